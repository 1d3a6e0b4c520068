"""``worker run`` and ``worker migrate``: commands for operators."""

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from worker.cli import output
from worker.cli.platform import read_settings

if TYPE_CHECKING:
    from collections.abc import Callable

    from worker.engine.engine import Engine
    from worker.registry import Registry

HANDLERS = Path("handlers")

HandlersOption = Annotated[
    Path,
    typer.Option(
        "--handlers",
        metavar="FOLDER",
        help="Folder with the handlers' modules. Subfolders are included, unless the folder is '.'.",
    ),
]
AgentOption = Annotated[
    list[str] | None,
    typer.Option("--agent", metavar="ID", help="Agent to serve; may be repeated. Default: XPANDER_AGENT_ID."),
]


def run(
    concurrency: Annotated[
        int | None,
        typer.Option(min=1, max=10_000, help="Maximum number of tasks to run at a time. Default: WORKER_CONCURRENCY."),
    ] = None,
    agent: AgentOption = None,
    handlers: HandlersOption = HANDLERS,
    max_tasks: Annotated[
        int | None, typer.Option(min=1, help="Exit after this many tasks. Default: WORKER_MAX_TASKS.")
    ] = None,
    max_memory: Annotated[
        str | None, typer.Option(help="Exit when memory exceeds this size, such as 1GiB. Default: WORKER_MAX_MEMORY.")
    ] = None,
) -> None:
    """Run a worker: claim tasks and run them, until SIGTERM or Ctrl-C."""
    agents = ",".join(agent) if agent else None
    bytes_at_most = None if max_memory is None else _bytes(max_memory)
    settings = read_settings(concurrency=concurrency, agent_id=agents, max_tasks=max_tasks, max_memory=bytes_at_most)
    registry = load(handlers)
    from worker.supervisor.main import run_worker

    raise typer.Exit(run_worker(settings, registry))


def _bytes(text: str) -> int:
    from pydantic import ByteSize, TypeAdapter, ValidationError

    try:
        return TypeAdapter(ByteSize).validate_python(text)
    except ValidationError:
        raise typer.BadParameter(f"{text!r} is not a size: use a format such as 1GiB or 800MB") from None


def migrate() -> None:
    """Bring the database's schema up to date, including that of Agno's storage (agno_db)."""
    from worker import wiring

    settings = read_settings()
    engine = wiring.engine(settings)
    for name in asyncio.run(_migrated(engine, wiring.connector(settings))) or ["the schema is already up to date"]:
        output.say(name)
    output.say(f"on {engine.description}")


async def _migrated(engine: "Engine", connect: "Callable[[], Any]") -> list[str]:
    from worker.agents.agno_storage import migrate

    try:
        applied = await engine.migrate()
        await migrate(connect)
        return applied
    finally:
        await engine.close()


def load(folder: Path) -> "Registry":
    """Import a folder of handlers.

    Raises:
        ConfigurationError: A module cannot be imported.
    """
    from worker import discovery, registry

    discovery.discover(folder)
    return registry.default
