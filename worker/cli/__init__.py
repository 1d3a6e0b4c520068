"""The command line: ``worker``, also ``python -m worker``.

Every command imports what it needs when it runs, so that ``worker task show`` loads no agno and ``--help`` nothing.
"""

__all__ = ["main"]


def main() -> None:
    """Run the command that the arguments name, and leave with its exit code: 0 done, 1 it failed, 2 wrong usage."""
    from worker.cli.app import app

    app(prog_name="worker")
