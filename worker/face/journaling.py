"""The way of a handler's own calls to its journal: read it first, write what they have done.

What belongs here: what steps, questions to people, waits and tools share. None of them knows where the journal is kept.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from worker.agents.journal import Entry, Journal, too_large
from worker.contracts import Platform, Work
from worker.current import Run
from worker.face import bridge
from worker.words.errors import Conflict
from worker.words.events import NewEvent
from worker.words.work import JournalEntry


def work_of(run: Run, platform: Platform) -> Work:
    """Where a run's rows are: the platform's own on a spare loop, which has one of its own."""
    return platform.work if bridge.is_spare() else run.work


def journal_of(run: Run) -> Journal:
    """A run's journal. Raises: Conflict (there is none)."""
    if run.journal is None:
        raise Conflict("A handler can wait, or ask a person, only in a task, on a platform that keeps journals.")
    return run.journal


async def load(run: Run, platform: Platform) -> None:
    """Have a run's journal read, and what was done before stored: what follows may depend on it."""
    journal = journal_of(run)
    await journal.load(work_of(run, platform))
    await journal.deferred.store()


async def emit(run: Run, events: Sequence[NewEvent], rows: Sequence[JournalEntry], platform: Platform) -> None:
    """Store events and rows, if there are any. Raises: LeaseLost."""
    if events or rows:
        await work_of(run, platform).emit(run.task_id, run.attempt or 0, events, rows)


def noted(run: Run, at: str) -> Entry | None:
    """What is journaled of a place of the handler, which is then used up; None: nothing."""
    journal = journal_of(run)
    return journal.take(journal.root, "step", at)


async def note(
    run: Run,
    values: Mapping[str, Any],
    platform: Platform,
    told: Callable[[str], str] = "The result of step {}".format,
) -> None:
    """Journal what came of places of the handler, in one write; of what is too large, an event tells.

    Args:
        run: The attempt.
        values: What came of each place, as JSON has it.
        platform: Where the task lives.
        told: What that event calls the value of a place.

    Raises:
        LeaseLost: The attempt owns its task no longer.
    """
    journal = journal_of(run)
    rows = {at: journal.row(journal.root, "step", at, value) for at, value in values.items()}
    await emit(
        run,
        [too_large(told(at)) for at, row in rows.items() if row is None],
        [row for row in rows.values() if row is not None],
        platform,
    )
