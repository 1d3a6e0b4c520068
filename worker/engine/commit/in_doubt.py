"""A try whose commit was not answered, since the connection broke: how to find out whether it took place."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple

from worker.engine.commit.batch import NEVER, Batch, NewRow
from worker.engine.database.payloads import encode

if TYPE_CHECKING:
    from worker.engine.commit.queue import QueuedWrite


class Logged(NamedTuple):
    """An event that the log has where a try would have put its own."""

    time: datetime
    attempt: int | None
    data: str | None


@dataclass(frozen=True, slots=True)
class InDoubt:
    """If the log has one of the events that a try wrote, it took place.

    Args:
        task_id: Of the event.
        number: Of the event.
        time: Of the transaction; None means it is not known.
        attempt: Whose event it is, where the time is not known; None means the task's id is the try's own.
        data: What it says, as JSON text, where the time is not known.
    """

    task_id: str
    number: int
    time: datetime | None = None
    attempt: int | None = None
    data: str | None = None

    def is_settled_by(self, event: Logged) -> bool:
        """Whether the event that is there is the try's. An attempt's events are written by one process, in order."""
        if self.attempt is not None:
            return (event.attempt, event.data) == (self.attempt, self.data)
        return self.time in (None, event.time)


def note_loss(group: "Sequence[QueuedWrite]", batch: Batch) -> None:
    """Note how to find out whether a commit whose answer was lost took place.

    Before all was decided nothing was sent that could be committed: then what was in doubt before still is.
    """
    if len(batch.errors) == len(group):
        in_doubts = _of_known(batch) if batch.rows and batch.now == NEVER else None
        shared = _of_all(group, batch)
        for index, waiting in enumerate(group):
            if index in batch.committed:  # that one's is no doubt at all
                continue
            if in_doubts is not None:
                waiting.in_doubt = in_doubts.get(waiting.item.task_id)
            else:
                waiting.in_doubt = InDoubt(waiting.item.task_id, 1) if isinstance(waiting.item, NewRow) else shared
    for waiting in group:
        waiting.losses += 1


def _of_all(group: "Sequence[QueuedWrite]", batch: Batch) -> InDoubt | None:
    """What shows that a transaction took place; None means it logged nothing, and to do it again changes nothing."""
    if batch.events:
        return InDoubt(batch.events[0].task_id, batch.events[0].number, batch.now)
    new = next((each.item for each in group if isinstance(each.item, NewRow)), None)
    return InDoubt(new.task_id, 1) if new is not None else None


def _of_known(batch: Batch) -> dict[str, InDoubt]:
    """The same for each task by itself: of rows that nobody looked at, some may have been written and others not."""
    in_doubts: dict[str, InDoubt] = {}
    for event in batch.events:
        data = None if event.data is None else encode(event.data)
        in_doubts.setdefault(event.task_id, InDoubt(event.task_id, event.number, None, event.attempt, data))
    return in_doubts
