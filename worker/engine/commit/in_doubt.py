"""Tries whose commit was not answered because the connection broke: how to find out whether they took place."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple

from worker.engine.commit.batch import NEVER, Batch, NewRow
from worker.engine.database.payloads import encode

if TYPE_CHECKING:
    from worker.engine.commit.queue import QueuedWrite


class Logged(NamedTuple):
    """An event found in the log where a try would have put its own."""

    time: datetime
    attempt: int | None
    data: str | None


@dataclass(frozen=True, slots=True)
class InDoubt:
    """The event that proves, if it is in the log, that a try took place.

    Args:
        task_id: The event's task.
        number: The event's number.
        time: The transaction's time; None if it is not known.
        attempt: The attempt that wrote the event, if the time is not known; None if the task's id proves the try alone.
        data: The event's data as JSON text, if the time is not known.
    """

    task_id: str
    number: int
    time: datetime | None = None
    attempt: int | None = None
    data: str | None = None

    def is_settled_by(self, event: Logged) -> bool:
        """Return whether a logged event is the try's own. One process writes an attempt's events, in order."""
        if self.attempt is not None:
            return (event.attempt, event.data) == (self.attempt, self.data)
        return self.time in (None, event.time)


def note_loss(group: "Sequence[QueuedWrite]", batch: Batch) -> None:
    """Record how to find out whether a commit whose answer was lost took place.

    Until every item was decided, nothing was sent that could be committed, so earlier doubts remain as they were.
    """
    if len(batch.errors) == len(group):
        in_doubts = _of_known(batch) if batch.rows and batch.now == NEVER else None
        shared = _of_all(group, batch)
        for index, waiting in enumerate(group):
            if index in batch.committed:  # an earlier try is known to have committed it
                continue
            if in_doubts is not None:
                waiting.in_doubt = in_doubts.get(waiting.item.task_id)
            else:
                waiting.in_doubt = InDoubt(waiting.item.task_id, 1) if isinstance(waiting.item, NewRow) else shared
    for waiting in group:
        waiting.losses += 1


def _of_all(group: "Sequence[QueuedWrite]", batch: Batch) -> InDoubt | None:
    """Return the event that proves a transaction; None if it logged nothing, so that repeating it changes nothing."""
    if batch.events:
        return InDoubt(batch.events[0].task_id, batch.events[0].number, batch.now)
    new = next((each.item for each in group if isinstance(each.item, NewRow)), None)
    return InDoubt(new.task_id, 1) if new is not None else None


def _of_known(batch: Batch) -> dict[str, InDoubt]:
    """Return one proof per task, since a write to unlocked rows may have stored some tasks and skipped others."""
    in_doubts: dict[str, InDoubt] = {}
    for event in batch.events:
        data = None if event.data is None else encode(event.data)
        in_doubts.setdefault(event.task_id, InDoubt(event.task_id, event.number, None, event.attempt, data))
    return in_doubts
