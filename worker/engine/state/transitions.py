"""Transitions of a task's status, one function each. No I/O.

The changes (``run_changes``, ``client_changes``, ``release``, ``requests``) decide when a transition is allowed and
what else it entails. The SQL that claims tasks, or inserts them as begun, repeats ``begin``, because it needs the
database's clock and locks.
"""

from datetime import datetime, timedelta
from typing import Any

from worker.engine.state.rows import (
    BEGUN,
    ERROR,
    SKIPPED,
    TAKES_TURNS,
    Effect,
    LoggedEvent,
    Row,
    forget,
    log,
    note_error,
)
from worker.words.conversations import WAITS_FOR_TURN
from worker.words.error_codes import ErrorCode
from worker.words.statuses import AgentExecutionStatus, TaskUpdateEventType

Status = AgentExecutionStatus

UNTIL_TURN = timedelta(days=36500)  # a queued task is made available when its turn comes


def begin(row: Row) -> dict[str, Any]:
    """Begin an attempt for a client that sends no attempt numbers, and return the delta for the event.

    As in a claim, ``started_at`` remains that of the first attempt.
    """
    row.set(status=Status.Executing, attempt=row.attempt + 1, worker_id=None, started_at=row.started_at or row.now)
    if TAKES_TURNS in row.state:  # a client that begins the task itself does not wait for its turn
        row.set(queued=False)
    row.set(state={**row.state, BEGUN: row.attempt})
    return {"status": Status.Executing, "execution_attempts": row.attempt, "started_at": row.started_at}


def requeue(row: Row, at: datetime | None = None, **columns: Any) -> dict[str, Any]:
    """Make a task pending, so that it can be claimed again.

    Args:
        row: The task.
        at: The earliest time of the claim; None means now.
        columns: Other columns to set.

    Returns:
        The delta for the event.
    """
    row.set(status=Status.Pending, worker_id=None, available_at=at or row.now, **columns)
    return {"status": Status.Pending}


def end(row: Row, status: Status, delta: dict[str, Any], attempt: int | None, origin: str | None = None) -> LoggedEvent:
    """Make a task terminal, and return its final event."""
    if status == Status.Completed:
        delta = {**delta, **forget(row, ERROR)}
    row.set(status=status, worker_id=None, finished_at=row.now)
    return log(row, TaskUpdateEventType.TaskFinished, {**delta, "status": status}, attempt, origin)


def fail(row: Row, reason: str, delta: dict[str, Any]) -> Effect:
    """End a task as failed because too many workers or processes died of it."""
    row.set(result=reason)
    changes = {**delta, **note_error(row, ErrorCode.Crash), "result": reason}
    return Effect(events=[end(row, Status.Failed, changes, row.attempt)])


def queue(row: Row, place: int | None = None) -> None:
    """Make a pending task wait for its turn, at the given place or at the one it has."""
    row.set(queued=True, available_at=row.now + UNTIL_TURN)
    if place is not None:
        row.set(place=place)


def requeue_skipped(row: Row) -> dict[str, Any]:
    """Queue a task that continues after it was skipped, and return the delta for the event."""
    place = row.state.get(SKIPPED)
    if place is None:
        return {}
    forget(row, (SKIPPED,))
    queue(row, place)
    return {"waiting_for": WAITS_FOR_TURN}


def affects_turns(row: Row) -> bool:
    """Return whether a changed row may give the turn to its task or to another one."""
    return TAKES_TURNS in row.state and (row.is_terminal or "place" in row.changed or "queued" in row.changed)
