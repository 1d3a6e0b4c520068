"""``worker clean``: do now what a worker or server does once a day."""

import asyncio
import sys
from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from worker.cli import output
from worker.cli.platform import read_settings

if TYPE_CHECKING:
    from worker.engine.engine import Engine
    from worker.words.upkeep import Removed

LONGEST_DAYS = 36_500

Report = Callable[["Removed"], None]


def clean(
    days: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=LONGEST_DAYS,
            metavar="N",
            help="Keep tasks that finished within the last N days. Default: WORKER_RETENTION_DAYS.",
        ),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only report what would be removed.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one line of JSON.")] = False,
) -> None:
    """Remove expired tasks and audit log entries, and files and journals that are no longer needed.

    Finished tasks are removed with their events, journals, stored attachments and deliveries, in small transactions:
    live tasks are never touched, and an interrupted clean-up leaves no task half removed. Workers and servers do the
    same once a day.
    """
    settings = read_settings()
    kept = settings.retention_days if days is None else days
    from worker import wiring

    removed = asyncio.run(_cleaned(wiring.engine(settings), kept, dry_run=dry_run, quiet=as_json))
    if as_json:
        import json

        output.say(json.dumps({"dry_run": dry_run, "days": kept, **asdict(removed)}, separators=(",", ":")))
        return
    if not kept:
        output.aside("finished tasks are kept forever because WORKER_RETENTION_DAYS is 0; use --days N to remove them")
    output.say(f"{'would remove' if dry_run else 'removed'} {words(removed)}")


async def _cleaned(engine: "Engine", days: int, *, dry_run: bool, quiet: bool) -> "Removed":
    await engine.open()
    try:
        if dry_run:
            return await engine.count_removable(days)
        if quiet or not sys.stderr.isatty():
            return await _remove(engine, days, lambda _: None)
        return await _shown(engine, days)
    finally:
        await engine.close()


async def _remove(engine: "Engine", days: int, report: Report) -> "Removed":
    from worker.words.upkeep import Removed

    total = Removed()
    async for removed in engine.clean(days):
        total += removed
        report(total)
    return total


async def _shown(engine: "Engine", days: int) -> "Removed":
    """Clean up, with a progress bar."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=output.stderr(), transient=True) as progress:
        counting = progress.add_task("counting", total=None)
        surplus = await engine.count_removable(days)
        progress.remove_task(counting)
        tasks = progress.add_task("tasks", total=surplus.tasks)
        files = progress.add_task("files", total=surplus.files)

        def report(total: "Removed") -> None:
            progress.update(tasks, completed=total.tasks)
            progress.update(files, completed=total.files)

        return await _remove(engine, days, report)


def words(removed: "Removed") -> str:
    """Describe what was removed, for people."""
    size = removed.file_bytes / 1024**2
    return (
        f"{_count(removed.tasks, 'task')} with {_count(removed.events, 'event')},"
        f" {_count(removed.journal, 'journal row')}, {_count(removed.files, 'file')} ({size:,.1f} MiB)"
        + (f", {_count(removed.audit, 'entry')} of the audit log" if removed.audit else "")
    )


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
