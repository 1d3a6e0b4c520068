"""Signals: what somebody tells a task by name, kept with it until it ends. No I/O."""

from dataclasses import dataclass
from typing import Any

from worker.engine.state.rows import Effect, Row, log
from worker.words.errors import Conflict
from worker.words.outside_rows import signal_row
from worker.words.signals import ReceivedSignal
from worker.words.statuses import AgentExecutionStatus, TaskUpdateEventType
from worker.words.texts import plain

Status = AgentExecutionStatus

RECEIVED = "_signals"
"""Key in a task's ``state``: how many signals it has got."""

LISTENS = "_listens"
"""Key in a task's ``state``: it is pending until it gets one."""


@dataclass(frozen=True, slots=True)
class Signal:
    """Somebody's signal.

    Args:
        name: What it is called.
        data: What comes with it.
        by: Who sends it.
    """

    organization_id: str
    task_id: str
    name: str
    data: Any = None
    by: str | None = None
    size: int = 0

    def decide(self, row: Row) -> Effect:
        """Keep it, and have a task that waits for one look. Raises: Conflict (it has ended)."""
        if row.is_terminal:
            raise Conflict(f"Task {row.id!r} is {row.status}; it hears nothing any more.")
        number = int(row.state.get(RECEIVED) or 0) + 1
        received = ReceivedSignal(number=number, name=self.name, data=plain(self.data), sent_by=self.by)
        event = log(row, TaskUpdateEventType.SignalReceived, received.model_dump(mode="json", exclude_none=True))
        state = {**row.state, RECEIVED: number}
        listens = state.pop(LISTENS, None) and row.status == Status.Pending
        row.set(state=state)
        if listens:
            row.set(available_at=row.now)
        return Effect(events=[event], journal=[signal_row(received)], wakes_work=bool(listens))


def hears(row: Row, heard: int) -> bool:
    """Whether a task got a signal that its run had not seen when it began to wait for one; else note that it waits.

    Args:
        row: The task, as its run gives it back.
        heard: How many signals the run has seen.
    """
    if int(row.state.get(RECEIVED) or 0) > heard:
        return True
    row.set(state={**row.state, LISTENS: True})
    return False
