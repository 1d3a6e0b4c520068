"""A try whose commit was not answered, since the connection broke: how to find out whether it took place."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple

from worker.engine.commit.batch import NEVER, NewRow, Plan
from worker.engine.database.payloads import encode

if TYPE_CHECKING:
    from worker.engine.commit.queue import Waiting


class Logged(NamedTuple):
    """An event that the log has where a try would have put its own."""

    time: datetime
    attempt: int | None
    data: str | None


@dataclass(frozen=True, slots=True)
class Doubt:
    """If the log has one of the events that a try wrote, it took place.

    Args:
        task_id: Of the event.
        number: Of the event.
        time: Of the transaction; none: it is not known.
        attempt: Whose event it is, where the time is not known; none: the task's id is the try's own.
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


def note_loss(group: "Sequence[Waiting]", plan: Plan) -> None:
    """Note how to find out whether a commit whose answer was lost took place.

    Before all was decided nothing was sent that could be committed: then what was in doubt before still is.
    """
    if len(plan.errors) == len(group):
        doubts = _of_known(plan) if plan.rows and plan.now == NEVER else None
        shared = _of_all(group, plan)
        for index, waiting in enumerate(group):
            if index in plan.committed:  # that one's is no doubt at all
                continue
            if doubts is not None:
                waiting.doubt = doubts.get(waiting.item.task_id)
            else:
                waiting.doubt = Doubt(waiting.item.task_id, 1) if isinstance(waiting.item, NewRow) else shared
    for waiting in group:
        waiting.losses += 1


def _of_all(group: "Sequence[Waiting]", plan: Plan) -> Doubt | None:
    """What shows that a transaction took place; none: it logged nothing, and to do it again changes nothing."""
    if plan.events:
        return Doubt(plan.events[0].task_id, plan.events[0].number, plan.now)
    new = next((each.item for each in group if isinstance(each.item, NewRow)), None)
    return Doubt(new.task_id, 1) if new is not None else None


def _of_known(plan: Plan) -> dict[str, Doubt]:
    """The same for each task by itself: of rows that nobody looked at, some may have been written and others not."""
    doubts: dict[str, Doubt] = {}
    for event in plan.events:
        data = None if event.data is None else encode(event.data)
        doubts.setdefault(event.task_id, Doubt(event.task_id, event.number, None, event.attempt, data))
    return doubts
