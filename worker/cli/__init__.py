"""The command line: ``worker``, also ``python -m worker``.

Every command imports what it needs when it runs, so that ``worker task show`` loads no agno and ``--help`` nothing.
"""

import io
import sys

__all__ = ["main"]

INTERRUPTED = 130  # what a shell shows of a program that SIGINT ended


def main() -> None:
    """Run the command that the arguments name, and leave with its exit code.

    0: done, 1: it failed, 2: wrong usage, 130: interrupted.
    """
    try:
        _run()
    except KeyboardInterrupt:  # before a command could see to it, while modules are imported
        sys.exit(INTERRUPTED)


def _run() -> None:
    from worker.cli.app import app

    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a terminal that cannot show a character shows its number
            stream.reconfigure(errors="backslashreplace")

    app(prog_name="worker")
