"""The destination of a run's events."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from worker.contracts import Platform
from worker.current import run_in_hand
from worker.face.artifacts import keep_produced
from worker.words.events import NewEvent
from worker.words.work import JournalEntry

if TYPE_CHECKING:
    from worker.agents.runs.material import Produce
    from worker.agents.runs.produced_media import Produced


class Emitter:
    """Appends events to the task's log on behalf of the current attempt. Without an attempt, events are dropped."""

    def __init__(self, task_id: str) -> None:
        run = run_in_hand.get()
        self._run = run if run is not None and run.task_id == task_id and run.attempt is not None else None

    async def emit(self, events: Sequence[NewEvent], rows: Sequence[JournalEntry] = ()) -> None:
        """Append events, with rows of the journal.

        Raises:
            LeaseLost: The attempt no longer owns its task.
        """
        if self._run is not None and self._run.attempt is not None:
            await self._run.work.emit(self._run.task_id, self._run.attempt, events, rows)

    def producing(self, platform: Platform | None) -> "Produce | None":
        """Return a function that stores the run's artifacts with the task, or None if no attempt owns the task."""
        run = self._run
        if run is None or platform is None:
            return None

        async def keep(made: "Sequence[Produced]") -> None:
            await self.emit_new(await keep_produced(platform, run, made))

        return keep

    async def emit_new(self, events: Sequence[NewEvent]) -> None:
        """Append events, except those that an earlier attempt has already logged.

        Raises:
            LeaseLost: The attempt no longer owns its task.
        """
        journal = self._run.journal if self._run is not None else None
        if self._run is not None and journal is not None:
            await journal.load(self._run.work)
            events = journal.unemitted(events)
        if events:
            await self.emit(events)
