"""Changes that a run makes to its own task: it adds events, saves fields, ends the task or hands it back. No I/O."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from worker.engine.state.families import AWAITS
from worker.engine.state.messages import READ, SENT, unread
from worker.engine.state.records import ENDED
from worker.engine.state.references import FileRow
from worker.engine.state.requests import pause
from worker.engine.state.rows import (
    BEGUN,
    WAITING_FOR,
    Effect,
    Row,
    forget,
    is_repeat,
    log,
    note_error,
    note_written,
    own,
    put,
    stored_data,
    text_size,
    unset_changes,
)
from worker.engine.state.signals import has_unseen_signal
from worker.engine.state.transitions import begin, end, fail, requeue
from worker.words.error_codes import ErrorCode
from worker.words.errors import Conflict
from worker.words.events import NewEvent
from worker.words.outcomes import HandBack, Outcome
from worker.words.retry import CRASHES
from worker.words.statuses import TERMINAL, AgentExecutionStatus, TaskUpdateEventType
from worker.words.texts import clean
from worker.words.work import JournalEntry

Status = AgentExecutionStatus

USED = frozenset({"tokens", "used_tools", "finish_reason", "duration"})
"""Fields for a run's cost and for how its answer ended."""

UNTIL_RELEASED = timedelta(days=3650)  # a task that waits for a provider or children is released when they are ready


@dataclass(frozen=True, slots=True)
class Append:
    """Events and journal entries, from the owner (with an attempt) or from any client (without)."""

    organization_id: str
    task_id: str
    attempt: int | None
    events: Sequence[NewEvent]
    journal: Sequence[JournalEntry] = ()
    sequence: int | None = None
    last_read: int = 0  # the number of the last message that the journal entries record as read

    @property
    def size(self) -> int:
        """The approximate size of the payload in bytes."""
        return sum(text_size(each.data) for each in self.events) + sum(len(each.value) for each in self.journal)

    def decide(self, row: Row) -> Effect:
        """Number the events.

        Raises:
            LeaseLost: The attempt no longer owns the task.
            Conflict: A client without an attempt writes to a task that has ended.
        """
        if is_repeat(row, self.attempt, self.sequence):
            return Effect()
        if self.attempt is not None:
            own(row, self.attempt)
        elif row.is_terminal:
            raise Conflict(f"Task {row.id!r} is {row.status}; events can only be added after a retry.")
        note_written(row, self.attempt, self.sequence)
        last_read = min(self.last_read, int(row.state.get(SENT) or 0))
        if last_read > int(row.state.get(READ) or 0):
            row.set(state={**row.state, READ: last_read})
        events = [log(row, event.type, stored_data(event), self.attempt) for event in self.events]
        return Effect(events=events, journal=self.journal)


@dataclass(frozen=True, slots=True)
class Keep:
    """Files that the owner has read for the task, recorded for later attempts."""

    organization_id: str
    task_id: str
    attempt: int
    files: Sequence[FileRow]
    size: int = 0

    def decide(self, row: Row) -> Effect:
        """Link the stored files to the task; raise LeaseLost if the attempt no longer owns it."""
        own(row, self.attempt)
        return Effect(files=self.files)


@dataclass(frozen=True, slots=True)
class Save:
    """Changed fields, from the owner (with an attempt) or from any client (without)."""

    organization_id: str
    task_id: str
    attempt: int | None
    changes: Mapping[str, Any]
    origin: str | None = None
    sequence: int | None = None

    @property
    def size(self) -> int:
        """The approximate size of the payload in bytes."""
        return text_size(self.changes)

    def decide(self, row: Row) -> Effect:
        """Store the changed fields.

        Raises:
            LeaseLost: The attempt no longer owns the task.
            Conflict: The task has ended with another result.
        """
        if is_repeat(row, self.attempt, self.sequence):
            return Effect()
        changes = dict(self.changes)
        status = changes.pop("status", None)
        if self.attempt is None:
            return self._outsider(row, changes, status)
        if row.is_terminal and row.attempt == self.attempt and status in (None, row.status):
            if row.state.get(ENDED) == self.attempt:
                return _added(row, changes, is_repeat=status is not None)
            if status is not None:
                return Effect()  # a repeat of the save that ended the task
        if row.status == Status.Stopped and row.attempt == self.attempt and status is None and changes.keys() <= USED:
            put(row, changes)  # a stopped run still reports its cost when it ends
            return Effect()
        own(row, self.attempt)
        if status in TERMINAL:
            row.set(state={**row.state, ENDED: self.attempt})
        if status in TERMINAL or status == Status.Paused:
            outcome = Outcome(Status(status), changes)
            return Finish(self.organization_id, self.task_id, self.attempt, outcome, self.sequence).decide(row)
        delta = put(row, changes)
        if not delta:
            return Effect()
        note_written(row, self.attempt, self.sequence)
        return Effect(events=[log(row, TaskUpdateEventType.TaskUpdated, delta, self.attempt, self.origin)])

    def _outsider(self, row: Row, changes: dict[str, Any], status: str | None) -> Effect:
        if row.is_terminal:  # the first terminal write wins
            put(row, {name: value for name, value in changes.items() if name in _addable(row)})
            return Effect()
        if status == Status.Paused and row.status != Status.Paused:
            return pause(row, changes, None, self.origin)
        delta = put(row, changes)
        if status == Status.Executing and row.status == Status.Pending:
            delta |= begin(row)
        elif status == Status.Executing and row.state.get(BEGUN) != row.attempt:
            row.set(state={**row.state, BEGUN: row.attempt})  # a client that sends no attempt has begun the current one
        elif status in TERMINAL:
            return Effect(events=[end(row, Status(status), delta, None, self.origin)])
        if not delta:
            return Effect()
        return Effect(events=[log(row, TaskUpdateEventType.TaskUpdated, delta, None, self.origin)])


def _added(row: Row, changes: dict[str, Any], *, is_repeat: bool) -> Effect:
    """Store fields from a run that has already ended its task by a save; raise Conflict for a different result."""
    kept = unset_changes(row, changes)
    if changes.get("result") is not None and "result" not in kept and not is_repeat:
        raise Conflict(f"Task {row.id!r} is {row.status} and already has a different result, which was kept.")
    put(row, kept)
    return Effect()


def _addable(row: Row) -> tuple[str, ...]:
    """Return the fields that a client without an attempt may still set on a finished task."""
    is_open = row.status == Status.Completed and not row.has_result and row.state.get(BEGUN) == row.attempt
    return ("internal_status", "result") if is_open else ("internal_status",)


@dataclass(frozen=True, slots=True)
class Finish:
    """The owner's outcome, which ends or pauses the task."""

    organization_id: str
    task_id: str
    attempt: int
    outcome: Outcome
    sequence: int | None = None

    @property
    def size(self) -> int:
        """The approximate size of the payload in bytes."""
        return text_size(self.outcome.changes)

    def decide(self, row: Row) -> Effect:
        """End or pause the task; raise LeaseLost if the attempt no longer owns it."""
        status = self.outcome.status
        if is_repeat(row, self.attempt, self.sequence):
            return Effect()
        if row.is_terminal and row.attempt == self.attempt and row.status != Status.Stopped:
            if row.state.get(ENDED) == self.attempt and status == row.status:  # the run ended it earlier by a save
                put(row, unset_changes(row, self.outcome.changes))
            return Effect()
        own(row, self.attempt)
        note_written(row, self.attempt, self.sequence)
        if status == Status.Paused:
            return pause(row, self.outcome.changes, self.attempt)
        delta = put(row, {name: value for name, value in self.outcome.changes.items() if name != "status"})
        return Effect(events=[*unread(row, self.outcome.taken, self.attempt), end(row, status, delta, self.attempt)])


@dataclass(frozen=True, slots=True)
class GiveBack:
    """The owner's hand-back, after which the task is pending again."""

    organization_id: str
    task_id: str
    attempt: int
    back: HandBack
    sequence: int | None = None
    size: int = 0

    def decide(self, row: Row) -> Effect:
        """Queue the task again and charge its error, if any; raise LeaseLost if the attempt no longer owns it."""
        if is_repeat(row, self.attempt, self.sequence):
            return Effect()
        own(row, self.attempt)
        note_written(row, self.attempt, self.sequence)
        delta = requeue(row, row.now + timedelta(seconds=self.back.delay))
        if self.back.waits_for is not None:
            row.set(waits_for=clean(self.back.waits_for), available_at=row.now + UNTIL_RELEASED)
            delta |= {"_waits": clean(self.back.error)}
            delta |= note_error(row, clean(self.back.error_code), clean(self.back.provider_code))
        elif self.back.error is not None:
            row.set(errors=row.errors + 1)
            delta |= {"errors": row.errors, "_error": clean(self.back.error)}
            delta |= note_error(row, clean(self.back.error_code), clean(self.back.provider_code))
        if self.back.waiting_for is not None:
            delta |= put(row, {WAITING_FOR: clean(self.back.waiting_for)})
        else:
            forget(row, (WAITING_FOR,))
        if self.back.awaits:
            row.set(awaits=list(self.back.awaits), available_at=row.now + UNTIL_RELEASED)
            row.set(state={**row.state, AWAITS: True})
        if self.back.heard is not None and has_unseen_signal(row, self.back.heard):
            row.set(available_at=row.now)
        if self.back.delay and self.back.waits_for is None:
            delta["available_at"] = row.changed["available_at"]
        events = [log(row, TaskUpdateEventType.TaskUpdated, delta, self.attempt)]
        return Effect(events=events, wakes_work=True)


@dataclass(frozen=True, slots=True)
class Crash:
    """The owner's report that the process which ran the task alone has died."""

    organization_id: str
    task_id: str
    attempt: int
    reason: str
    delay: float = 0.0
    sequence: int | None = None
    size: int = 0

    def decide(self, row: Row) -> Effect:
        """Charge a crash, then queue the task again or fail it at the third one.

        Raises:
            LeaseLost: The attempt no longer owns the task.
        """
        if is_repeat(row, self.attempt, self.sequence):
            return Effect()
        own(row, self.attempt)
        note_written(row, self.attempt, self.sequence)
        reason = clean(self.reason)
        row.set(crashes=row.crashes + 1)
        delta: dict[str, Any] = {"crashes": row.crashes, "_error": reason, **note_error(row, ErrorCode.Crash)}
        if row.crashes >= CRASHES:
            return fail(row, f"the task's process died {row.crashes} times; the last time it {reason}", delta)
        delta |= requeue(row, row.now + timedelta(seconds=self.delay))
        delta["available_at"] = row.changed["available_at"]
        return Effect(events=[log(row, TaskUpdateEventType.TaskUpdated, delta, self.attempt)], wakes_work=True)
