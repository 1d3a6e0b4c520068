"""``worker demo``."""

import typer


def demo() -> None:
    """Do one task with three real files by a real model, live, on a PostgreSQL of its own under WORKER_HOME."""
    from worker.cli.demonstration import demonstrate

    raise typer.Exit(demonstrate())
