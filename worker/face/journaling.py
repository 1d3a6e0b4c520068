"""A handler's access to its journal: read it before a call, and write the call's result.

What belongs here: code shared by steps, questions, waits and tools. None of them knows where the journal is stored.
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
    """Return the verbs for a run's writes: the run's own or, on a spare loop, those of that loop's platform."""
    return platform.work if bridge.is_spare() else run.work


def journal_of(run: Run) -> Journal:
    """Return a run's journal.

    Raises:
        Conflict: The run has none.
    """
    if run.journal is None:
        raise Conflict("A handler can only wait or ask a person within a task, on a platform that keeps journals.")
    return run.journal


async def load(run: Run, platform: Platform) -> None:
    """Load a run's journal, and store its deferred rows, since the following code may depend on them."""
    journal = journal_of(run)
    await journal.load(work_of(run, platform))
    await journal.deferred.store()


async def emit(run: Run, events: Sequence[NewEvent], rows: Sequence[JournalEntry], platform: Platform) -> None:
    """Store events and journal rows, if there are any.

    Raises:
        LeaseLost: The attempt no longer owns its task.
    """
    if events or rows:
        await work_of(run, platform).emit(run.task_id, run.attempt or 0, events, rows)


def noted(run: Run, at: str) -> Entry | None:
    """Return the journal's entry for a position in the handler and mark the entry as used, or return None."""
    journal = journal_of(run)
    return journal.take(journal.root, "step", at)


async def note(
    run: Run,
    values: Mapping[str, Any],
    platform: Platform,
    describe: Callable[[str], str] = "The result of step {}".format,
) -> None:
    """Journal results of positions in the handler, in one write. A result that is too large is reported by an event.

    Args:
        run: The attempt.
        values: The JSON value for each position.
        platform: The task's platform.
        describe: Describes the value of a position, for that event.

    Raises:
        LeaseLost: The attempt no longer owns its task.
    """
    journal = journal_of(run)
    rows = {at: journal.row(journal.root, "step", at, value) for at, value in values.items()}
    await emit(
        run,
        [too_large(describe(at)) for at, row in rows.items() if row is None],
        [row for row in rows.values() if row is not None],
        platform,
    )
