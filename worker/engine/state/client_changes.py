"""Changes that clients and operators make to tasks: abandon, stop, skip and retry. No I/O."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from worker.engine.state.artifacts import ARTIFACTS
from worker.engine.state.families import AWAITS, CHILDREN
from worker.engine.state.messages import READ, for_the_next
from worker.engine.state.references import FileRow
from worker.engine.state.requests import ANSWERS, ASKED
from worker.engine.state.rows import (
    ERROR,
    HAS_FORMER_SETTINGS,
    JOURNAL_SINCE,
    SKIPPED,
    TAKES_TURNS,
    WAITING_FOR,
    Effect,
    Row,
    forget,
    log,
    note_error,
)
from worker.engine.state.transitions import end, queue, requeue, requeue_skipped
from worker.words.conversations import WAITS_FOR_TURN
from worker.words.errors import Conflict
from worker.words.providers import ProviderState
from worker.words.statuses import AgentExecutionStatus, TaskUpdateEventType

Status = AgentExecutionStatus


@dataclass(frozen=True, slots=True)
class Abandon:
    """The end of a task's wait for an unavailable provider, by an operator's decision or a deadline."""

    organization_id: str
    task_id: str
    provider: ProviderState
    size: int = 0

    def decide(self, row: Row) -> Effect:
        """End the task as an error, unless it is no longer pending."""
        if row.status != Status.Pending:
            return Effect()
        reason = f"{self.provider.id} is unavailable: {self.provider.message}"
        delta = {"result": reason, **note_error(row, self.provider.error_code, self.provider.provider_code)}
        row.set(result=reason)
        return Effect(events=[end(row, Status.Error, delta, None)])


@dataclass(frozen=True, slots=True)
class Stop:
    """A client's request to stop a task."""

    organization_id: str
    task_id: str
    size: int = 0

    def decide(self, row: Row) -> Effect:
        """End the task as stopped, unless it is already terminal."""
        if row.is_terminal:
            return Effect()
        row.set(state={**row.state, "is_manually_stopped": True})
        return Effect(events=[end(row, Status.Stopped, {"is_manually_stopped": True}, None)])


@dataclass(frozen=True, slots=True)
class Skip:
    """An operator's request that the rest of a conversation proceed without this task.

    Args:
        place: The task's new place, at the end of the queue.
    """

    organization_id: str
    task_id: str
    place: int
    size: int = 0

    def decide(self, row: Row) -> Effect:
        """Move the task to the end of the queue, now or once it can continue.

        Raises:
            Conflict: The task takes no turns, or is neither pending nor paused.
        """
        if TAKES_TURNS not in row.state or row.status not in (Status.Pending, Status.Paused):
            what = f"is {row.status}" if TAKES_TURNS in row.state else "does not take turns in a conversation"
            raise Conflict(
                f"Task {row.id!r} {what}. Only a pending or paused task that holds up its conversation can be skipped."
            )
        delta: dict[str, Any] = {}
        if row.status == Status.Paused or WAITING_FOR in row.state:
            row.set(place=None, state={**row.state, SKIPPED: self.place})
        else:
            row.set(waits_for=None)
            queue(row, self.place)
            delta = {"status": Status.Pending, WAITING_FOR: WAITS_FOR_TURN}
        return Effect(events=[log(row, TaskUpdateEventType.TaskUpdated, {**delta, "_skipped": True})], wakes_work=True)


@dataclass(frozen=True, slots=True)
class Renewal:
    """New values for a task that is created again: columns, and the given parts of ``state``."""

    agent_id: str
    columns: dict[str, Any]
    state: dict[str, Any]
    files: Sequence[FileRow] = ()
    place: int | None = None  # in its conversation's queue; None if it takes no turns


@dataclass(frozen=True, slots=True)
class Retry:
    """A client's request to run a finished or paused task again, optionally with new input."""

    organization_id: str
    task_id: str
    renewal: Renewal | None = None
    size: int = 0
    resumes: bool | None = None  # from the journal; None decides by how the task ended

    def decide(self, row: Row) -> Effect:
        """Queue the task again with its counters and result cleared.

        Raises:
            Conflict: The task is neither finished nor paused, or belongs to another agent.
        """
        if not row.is_terminal and row.status != Status.Paused:
            raise Conflict(f"Task {row.id!r} is {row.status}. Only a finished or paused task can be retried.")
        if self.renewal is not None and self.renewal.agent_id != row.agent_id:
            raise Conflict(
                f"Task {row.id!r} belongs to agent {row.agent_id!r} and cannot be run again by another agent."
            )
        was_over = row.is_terminal
        resumes = self._resumes(row)
        cleared: dict[str, Any] = {"is_manually_stopped": False, "hitl_request": None, **dict.fromkeys(ERROR)}
        if not resumes:
            cleared |= {CHILDREN: None, ARTIFACTS: None}
        gone = {*cleared, AWAITS, *(() if resumes else (ANSWERS, ASKED, READ))}
        state = row.state if self.renewal is None or resumes else for_the_next(row.state)
        requeue(
            row,
            awaits=None,
            suspicions=0,
            crashes=0,
            errors=0,
            result=None,
            finish_reason=None,
            started_at=None,
            finished_at=None,
            paused_at=None,
            state={name: value for name, value in state.items() if name not in gone},
        )
        counts = {"suspicions": 0, "crashes": 0, "errors": 0}
        delta: dict[str, Any] = {"status": Status.Pending, "result": None, "finish_reason": None, **counts, **cleared}
        delta["internal_status"] = row.internal_status  # on a terminal task it may have changed without an event
        if self.renewal is not None:
            turn = row.state.get("turn", 0) + 1
            delta |= {"_settings_before": row.settings, **self.renewal.state, "turn": turn}
            row.set(
                state={**row.state, **self.renewal.state, HAS_FORMER_SETTINGS: True, "turn": turn},
                **self.renewal.columns,
            )
            forget(row, (TAKES_TURNS, SKIPPED))
            row.set(place=None, queued=False)
            if self.renewal.place is not None:
                row.set(state={**row.state, TAKES_TURNS: self.renewal.columns["conversation_id"]})
                queue(row, self.renewal.place)
                delta["waiting_for"] = WAITS_FOR_TURN
        elif was_over and TAKES_TURNS in row.state:
            queue(row)
            delta["waiting_for"] = WAITS_FOR_TURN
        delta |= requeue_skipped(row)
        event = log(row, TaskUpdateEventType.TaskUpdated, delta)
        if not resumes:
            row.set(state={**row.state, JOURNAL_SINCE: event.number})
        return Effect(
            events=[event],
            drop_journal=not resumes,
            wakes_work=True,
            files=self.renewal.files if self.renewal is not None else (),
            drop_files=self.renewal is not None,
        )

    def _resumes(self, row: Row) -> bool:
        """Return whether to resume: a paused task always does, an ended one with new input never does."""
        if self.renewal is not None:
            return row.status == Status.Paused
        if self.resumes is None or row.status == Status.Paused:
            return row.status != Status.Completed
        return self.resumes
