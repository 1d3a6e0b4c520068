"""How a task's status changes: each way is one function. No I/O.

When a change of status is allowed, and what else it brings, is said by the changes (``run_changes``,
``client_changes``, ``release``, ``requests``). The SQL that claims tasks and inserts them begun does the same as
``begin``; the database's clock and locks leave it no other way.
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

NOT_YET = timedelta(days=36500)  # a task whose turn has not come is let go when it has


def begin(row: Row) -> dict[str, Any]:
    """Begin an attempt, for a holder who sends no attempts. Returns: the change as its event tells it.

    The first attempt's beginning stays the task's, as in a claim.
    """
    row.set(status=Status.Executing, attempt=row.attempt + 1, worker_id=None, started_at=row.started_at or row.now)
    if TAKES_TURNS in row.state:  # whoever begins it himself does not wait for its turn
        row.set(queued=False)
    row.set(state={**row.state, BEGUN: row.attempt})
    return {"status": Status.Executing, "execution_attempts": row.attempt, "started_at": row.started_at}


def requeue(row: Row, at: datetime | None = None, **columns: Any) -> dict[str, Any]:
    """Have a task claimed again.

    Args:
        row: The task.
        at: When it may be claimed; None: now.
        columns: What else is set.

    Returns:
        The change as its event tells it.
    """
    row.set(status=Status.Pending, worker_id=None, available_at=at or row.now, **columns)
    return {"status": Status.Pending}


def end(row: Row, status: Status, delta: dict[str, Any], attempt: int | None, origin: str | None = None) -> LoggedEvent:
    """Make a task terminal: status, end and event together."""
    if status == Status.Completed:
        delta = {**delta, **forget(row, ERROR)}
    row.set(status=status, worker_id=None, finished_at=row.now)
    return log(row, TaskUpdateEventType.TaskFinished, {**delta, "status": status}, attempt, origin)


def fail(row: Row, reason: str, delta: dict[str, Any]) -> Effect:
    """End a task of which workers or processes died too often."""
    row.set(result=reason)
    told = {**delta, **note_error(row, ErrorCode.Crash), "result": reason}
    return Effect(events=[end(row, Status.Failed, told, row.attempt)])


def queue(row: Row, place: int | None = None) -> None:
    """Have a pending task wait for its turn, at a place or the one it has."""
    row.set(queued=True, available_at=row.now + NOT_YET)
    if place is not None:
        row.set(place=place)


def rejoin(row: Row) -> dict[str, Any]:
    """Have a task that goes on wait for its turn, where it was skipped. Returns: the change as its event tells it."""
    place = row.state.get(SKIPPED)
    if place is None:
        return {}
    forget(row, (SKIPPED,))
    queue(row, place)
    return {"waiting_for": WAITS_FOR_TURN}


def moves_turns(row: Row) -> bool:
    """Whether a changed row may have another task's turn come, or its own."""
    return TAKES_TURNS in row.state and (row.is_terminal or "place" in row.changed or "queued" in row.changed)
