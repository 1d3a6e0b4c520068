"""``worker demo``."""

import typer


def demo() -> None:
    """Run one task with three real files and a real model, live, on a PostgreSQL of its own under WORKER_HOME."""
    from worker.cli.demonstration import demonstrate

    raise typer.Exit(demonstrate())
