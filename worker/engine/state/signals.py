"""Signals: named data sent to a task, stored until it ends. No I/O."""

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
"""Key in a task's ``state``: the number of signals received."""

WAITS_FOR_SIGNAL = "_listens"
"""Key in a task's ``state``: True while it is pending until the next signal."""


@dataclass(frozen=True, slots=True)
class Signal:
    """A signal to a task.

    Args:
        name: The signal's name.
        data: The signal's data.
        by: The sender.
    """

    organization_id: str
    task_id: str
    name: str
    data: Any = None
    by: str | None = None
    size: int = 0

    def decide(self, row: Row) -> Effect:
        """Store the signal, and make a task that waits for one available; raise Conflict if the task has ended."""
        if row.is_terminal:
            raise Conflict(f"Task {row.id!r} is {row.status} and no longer receives signals.")
        number = int(row.state.get(RECEIVED) or 0) + 1
        received = ReceivedSignal(number=number, name=self.name, data=plain(self.data), sent_by=self.by)
        event = log(row, TaskUpdateEventType.SignalReceived, received.model_dump(mode="json", exclude_none=True))
        state = {**row.state, RECEIVED: number}
        listens = state.pop(WAITS_FOR_SIGNAL, None) and row.status == Status.Pending
        row.set(state=state)
        if listens:
            row.set(available_at=row.now)
        return Effect(events=[event], journal=[signal_row(received)], wakes_work=bool(listens))


def has_unseen_signal(row: Row, heard: int) -> bool:
    """Return whether a signal arrived that the run has not seen; if none did, mark the task as waiting for one.

    Args:
        row: The task, as its run hands it back.
        heard: The number of signals that the run has seen.
    """
    if int(row.state.get(RECEIVED) or 0) > heard:
        return True
    row.set(state={**row.state, WAITS_FOR_SIGNAL: True})
    return False
