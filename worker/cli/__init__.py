"""The command line: ``worker``, also ``python -m worker``.

Each command imports what it needs when it runs, so that ``worker task show`` does not load agno, and ``--help`` loads
nothing.
"""

import io
import sys

__all__ = ["main"]

INTERRUPTED = 130  # a shell's exit code for a program that SIGINT has ended


def main() -> None:
    """Run the command that the arguments name, and exit with its code.

    The code is 0 for success, 1 for a failure, 2 for wrong usage and 130 for an interrupt.
    """
    try:
        _run()
    except KeyboardInterrupt:  # during imports, before a command could handle it
        sys.exit(INTERRUPTED)


def _run() -> None:
    from worker.cli.app import app

    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # escape characters that the terminal's encoding lacks
            stream.reconfigure(errors="backslashreplace")

    app(prog_name="worker")
