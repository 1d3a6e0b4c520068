"""The state machine of a task, as pure functions: a locked row and a wish make an effect, or an error for the loser.

The grouped writer locks the rows, asks each change what it does to its row, and writes all effects at once. Nothing
here does I/O, so every rule can be read, and tested, in one place.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from worker.engine.state.artifacts import ARTIFACTS
from worker.engine.state.families import AWAITS, CHILDREN
from worker.engine.state.messages import SENT, unread
from worker.engine.state.records import ENDED
from worker.engine.state.references import FileRow
from worker.engine.state.requests import ANSWERS, ASKED, pause
from worker.engine.state.rows import (
    ANEW,
    BEGUN,
    ERROR,
    RENEWED,
    SKIPPED,
    TAKES_TURNS,
    Effect,
    Row,
    end,
    forget,
    is_repeat,
    left_open,
    log,
    note_error,
    note_written,
    own,
    put,
    queue,
    rejoin,
    text_size,
    told,
)
from worker.engine.state.signals import hears
from worker.words.conversations import WAITS_FOR_TURN
from worker.words.error_codes import ErrorCode
from worker.words.errors import Conflict
from worker.words.events import NewEvent
from worker.words.outcomes import HandBack, Outcome
from worker.words.providers import ProviderState
from worker.words.retry import CRASHES, MOST_SUSPICIONS, SUSPICIONS
from worker.words.statuses import TERMINAL, AgentExecutionStatus, TaskUpdateEventType
from worker.words.texts import clean
from worker.words.work import JournalEntry

Status = AgentExecutionStatus

USED = frozenset({"tokens", "used_tools", "finish_reason", "duration"})
"""What a run has cost, and how its answer ended."""
WAITING_FOR = "waiting_for"
NEVER_BY_ITSELF = timedelta(days=3650)  # who waits for a provider, or for children, is released when they are there


@dataclass(frozen=True, slots=True)
class Append:
    """Events and journal entries, of the owner (with an attempt) or of anybody (without)."""

    organization_id: str
    task_id: str
    attempt: int | None
    events: Sequence[NewEvent]
    journal: Sequence[JournalEntry] = ()
    sequence: int | None = None

    @property
    def size(self) -> int:
        """Bytes of payload, roughly."""
        return sum(text_size(each.data) for each in self.events) + sum(len(each.value) for each in self.journal)

    def decide(self, row: Row) -> Effect:
        """Number the events. Raises: LeaseLost, Conflict."""
        if is_repeat(row, self.attempt, self.sequence):
            return Effect()
        if self.attempt is not None:
            own(row, self.attempt)
        elif row.is_terminal:
            raise Conflict(f"Task {row.id!r} is {row.status}; nothing is appended until it is retried.")
        note_written(row, self.attempt, self.sequence)
        events = [log(row, event.type, told(event), self.attempt) for event in self.events]
        return Effect(events=events, journal=self.journal)


@dataclass(frozen=True, slots=True)
class Keep:
    """What the owner has read of the task's files, for the attempts to come."""

    organization_id: str
    task_id: str
    attempt: int
    files: Sequence[FileRow]
    size: int = 0

    def decide(self, row: Row) -> Effect:
        """Say which stored files are the task's. Raises: LeaseLost."""
        own(row, self.attempt)
        return Effect(files=self.files)


@dataclass(frozen=True, slots=True)
class Save:
    """Changed fields, of the owner (with an attempt) or of anybody (without)."""

    organization_id: str
    task_id: str
    attempt: int | None
    changes: Mapping[str, Any]
    origin: str | None = None
    sequence: int | None = None

    @property
    def size(self) -> int:
        """Bytes of payload, roughly."""
        return text_size(self.changes)

    def decide(self, row: Row) -> Effect:
        """Store what is new. Raises: LeaseLost."""
        if is_repeat(row, self.attempt, self.sequence):
            return Effect()
        changes = dict(self.changes)
        status = changes.pop("status", None)
        if self.attempt is None:
            return self._outsider(row, changes, status)
        if row.is_terminal and row.attempt == self.attempt and status in (None, row.status):
            if row.state.get(ENDED) == self.attempt:
                put(row, left_open(row, changes))
                return Effect()
            if status is not None:
                return Effect()  # a repeat of what ended it: answered with the task as it stands
        if row.status == Status.Stopped and row.attempt == self.attempt and status is None and changes.keys() <= USED:
            put(row, changes)  # a run that was stopped says at its end what it has cost
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
            row.set(status=Status.Executing, attempt=row.attempt + 1, worker_id=None, started_at=row.now)
            if TAKES_TURNS in row.state:  # whoever begins it himself does not wait
                row.set(queued=False)
            row.set(state={**row.state, BEGUN: row.attempt})
            delta |= {"status": Status.Executing, "execution_attempts": row.attempt, "started_at": row.now}
        elif status == Status.Executing and row.state.get(BEGUN) != row.attempt:
            row.set(state={**row.state, BEGUN: row.attempt})  # who sends no attempt has begun what it was given
        elif status in TERMINAL:
            return Effect(events=[end(row, Status(status), delta, None, self.origin)])
        if not delta:
            return Effect()
        return Effect(events=[log(row, TaskUpdateEventType.TaskUpdated, delta, None, self.origin)])


def _addable(row: Row) -> tuple[str, ...]:
    """What somebody without an attempt may still set on a finished task."""
    is_open = row.status == Status.Completed and not row.has_result and row.state.get(BEGUN) == row.attempt
    return ("internal_status", "result") if is_open else ("internal_status",)


@dataclass(frozen=True, slots=True)
class Finish:
    """The owner's last word."""

    organization_id: str
    task_id: str
    attempt: int
    outcome: Outcome
    sequence: int | None = None

    @property
    def size(self) -> int:
        """Bytes of payload, roughly."""
        return text_size(self.outcome.changes)

    def decide(self, row: Row) -> Effect:
        """End the task, or pause it. Raises: LeaseLost."""
        status = self.outcome.status
        if is_repeat(row, self.attempt, self.sequence):
            return Effect()
        if row.is_terminal and row.attempt == self.attempt and row.status != Status.Stopped:
            if row.state.get(ENDED) == self.attempt and status == row.status:  # before, by a save of its own
                put(row, left_open(row, self.outcome.changes))
            return Effect()
        own(row, self.attempt)
        note_written(row, self.attempt, self.sequence)
        if status == Status.Paused:
            return pause(row, self.outcome.changes, self.attempt)
        delta = put(row, {name: value for name, value in self.outcome.changes.items() if name != "status"})
        return Effect(events=[*unread(row, self.outcome.taken, self.attempt), end(row, status, delta, self.attempt)])


@dataclass(frozen=True, slots=True)
class GiveBack:
    """The owner's leave without an end: the task is pending again."""

    organization_id: str
    task_id: str
    attempt: int
    back: HandBack
    sequence: int | None = None
    size: int = 0

    def decide(self, row: Row) -> Effect:
        """Queue the task again, charged with an error or with nothing. Raises: LeaseLost."""
        if is_repeat(row, self.attempt, self.sequence):
            return Effect()
        own(row, self.attempt)
        note_written(row, self.attempt, self.sequence)
        delta: dict[str, Any] = {"status": Status.Pending}
        row.set(status=Status.Pending, worker_id=None, available_at=row.now + timedelta(seconds=self.back.delay))
        if self.back.waits_for is not None:
            row.set(waits_for=clean(self.back.waits_for), available_at=row.now + NEVER_BY_ITSELF)
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
            row.set(awaits=list(self.back.awaits), available_at=row.now + NEVER_BY_ITSELF)
            row.set(state={**row.state, AWAITS: True})
        if self.back.heard is not None and hears(row, self.back.heard):
            row.set(available_at=row.now)
        if self.back.delay and self.back.waits_for is None:
            delta["available_at"] = row.changed["available_at"]
        events = [log(row, TaskUpdateEventType.TaskUpdated, delta, self.attempt)]
        return Effect(events=events, wakes_work=True)


@dataclass(frozen=True, slots=True)
class Abandon:
    """An operator's word, or time's, that a task waits no longer for a provider that is away."""

    organization_id: str
    task_id: str
    provider: ProviderState
    size: int = 0

    def decide(self, row: Row) -> Effect:
        """End it as an error; one that is no longer pending is left as it is."""
        if row.status != Status.Pending:
            return Effect()
        reason = f"{self.provider.id} is away: {self.provider.message}"
        delta = {"result": reason, **note_error(row, self.provider.error_code, self.provider.provider_code)}
        row.set(result=reason)
        return Effect(events=[end(row, Status.Error, delta, None)])


@dataclass(frozen=True, slots=True)
class Stop:
    """Anybody's wish that it end."""

    organization_id: str
    task_id: str
    size: int = 0

    def decide(self, row: Row) -> Effect:
        """End it as stopped; a terminal task is left as it is."""
        if row.is_terminal:
            return Effect()
        row.set(state={**row.state, "is_manually_stopped": True})
        return Effect(events=[end(row, Status.Stopped, {"is_manually_stopped": True}, None)])


@dataclass(frozen=True, slots=True)
class Skip:
    """An operator's wish that the others of its conversation go on without it.

    Args:
        place: The last one in the queue.
    """

    organization_id: str
    task_id: str
    place: int
    size: int = 0

    def decide(self, row: Row) -> Effect:
        """Have it go to the end of the queue: at once, or once what it waits for is there. Raises: Conflict."""
        if TAKES_TURNS not in row.state or row.status not in (Status.Pending, Status.Paused):
            what = f"is {row.status}" if TAKES_TURNS in row.state else "takes no turn in a conversation"
            raise Conflict(f"Task {row.id!r} {what}; only one that waits and keeps others waiting is skipped.")
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
    """What a task that is created again gets anew: columns, and what of ``state`` was given."""

    agent_id: str
    columns: dict[str, Any]
    state: dict[str, Any]
    files: Sequence[FileRow] = ()
    place: int | None = None  # in its conversation's queue; none: it takes no turn


@dataclass(frozen=True, slots=True)
class Retry:
    """Anybody's wish that a finished or paused task run again, with a new input where one is given."""

    organization_id: str
    task_id: str
    renewal: Renewal | None = None
    size: int = 0
    resumes: bool | None = None  # from what is journaled; none: as suits how it ended

    def decide(self, row: Row) -> Effect:
        """Queue it afresh. Raises: Conflict."""
        if not row.is_terminal and row.status != Status.Paused:
            raise Conflict(f"Task {row.id!r} is {row.status}; only a finished or paused task runs again.")
        if self.renewal is not None and self.renewal.agent_id != row.agent_id:
            raise Conflict(f"Task {row.id!r} is agent {row.agent_id!r}'s; it cannot run again as another's.")
        was_over = row.is_terminal
        resumes = self._resumes(row)
        cleared: dict[str, Any] = {"is_manually_stopped": False, "hitl_request": None, **dict.fromkeys(ERROR)}
        if not resumes:
            cleared |= {CHILDREN: None, ARTIFACTS: None}
        gone = {*cleared, AWAITS, *(() if resumes else (ANSWERS, ASKED, SENT))}
        row.set(
            status=Status.Pending,
            worker_id=None,
            available_at=row.now,
            awaits=None,
            suspicions=0,
            crashes=0,
            errors=0,
            result=None,
            finish_reason=None,
            started_at=None,
            finished_at=None,
            paused_at=None,
            state={name: value for name, value in row.state.items() if name not in gone},
        )
        counts = {"suspicions": 0, "crashes": 0, "errors": 0}
        delta: dict[str, Any] = {"status": Status.Pending, "result": None, "finish_reason": None, **counts, **cleared}
        delta["internal_status"] = row.internal_status  # on a terminal task it may have changed without an event
        if self.renewal is not None:
            turn = row.state.get("turn", 0) + 1
            delta |= {"_settings_before": row.settings, **self.renewal.state, "turn": turn}
            row.set(state={**row.state, **self.renewal.state, RENEWED: True, "turn": turn}, **self.renewal.columns)
            forget(row, (TAKES_TURNS, SKIPPED))
            row.set(place=None, queued=False)
            if self.renewal.place is not None:
                row.set(state={**row.state, TAKES_TURNS: self.renewal.columns["conversation_id"]})
                queue(row, self.renewal.place)
                delta["waiting_for"] = WAITS_FOR_TURN
        elif was_over and TAKES_TURNS in row.state:
            queue(row)
            delta["waiting_for"] = WAITS_FOR_TURN
        delta |= rejoin(row)
        event = log(row, TaskUpdateEventType.TaskUpdated, delta)
        if not resumes:
            row.set(state={**row.state, ANEW: event.number})
        return Effect(
            events=[event],
            drop_journal=not resumes,
            wakes_work=True,
            files=self.renewal.files if self.renewal is not None else (),
            drop_files=self.renewal is not None,
        )

    def _resumes(self, row: Row) -> bool:
        """A paused task always goes on where it stood; one that is given another input never does."""
        if self.renewal is not None:
            return row.status == Status.Paused
        if self.resumes is None or row.status == Status.Paused:
            return row.status != Status.Completed
        return self.resumes


@dataclass(frozen=True, slots=True)
class Crash:
    """The owner's word that the process which ran the task alone died of it."""

    organization_id: str
    task_id: str
    attempt: int
    reason: str
    delay: float = 0.0
    sequence: int | None = None
    size: int = 0

    def decide(self, row: Row) -> Effect:
        """Charge a crash, and queue the task again or, by the third, end it. Raises: LeaseLost."""
        if is_repeat(row, self.attempt, self.sequence):
            return Effect()
        own(row, self.attempt)
        note_written(row, self.attempt, self.sequence)
        reason = clean(self.reason)
        row.set(crashes=row.crashes + 1)
        delta: dict[str, Any] = {"crashes": row.crashes, "_error": reason, **note_error(row, ErrorCode.Crash)}
        if row.crashes >= CRASHES:
            return _failed(row, f"its process died {row.crashes} times; the last time it {reason}", delta)
        row.set(status=Status.Pending, worker_id=None, available_at=row.now + timedelta(seconds=self.delay))
        delta |= {"status": Status.Pending, "available_at": row.changed["available_at"]}
        return Effect(events=[log(row, TaskUpdateEventType.TaskUpdated, delta, self.attempt)], wakes_work=True)


@dataclass(frozen=True, slots=True)
class Release:
    """The word that a worker holds its tasks no longer: a rescuer's of a dead one, or of one that leaves its own.

    Args:
        suspected: It died: the task may be what it died of.
        isolates: It ran suspects apart. One that does not has a suspect among its tasks charged with its death.
        sign: By what its death was noticed, for the attempts' history: its ``lock`` or its ``lease``.
    """

    organization_id: str
    task_id: str
    worker_id: str
    suspected: bool = True
    isolates: bool = True
    sign: str | None = None
    size: int = 0

    @classmethod
    def of(
        cls, held: Mapping[str, Any], *, suspected: bool, isolates: bool = True, sign: str | None = None
    ) -> "Release":
        """Make it of a row that names task and worker."""
        return cls(held["organization_id"], held["id"], held["worker_id"], suspected, isolates, sign)

    def decide(self, row: Row) -> Effect:
        """Queue the task again, or end it where too many workers died of it; nothing where it moved on meanwhile."""
        if row.status != Status.Executing or row.worker_id != self.worker_id:
            return Effect()
        delta = self._suspect(row) if self.suspected else {}
        if row.crashes >= CRASHES or row.suspicions >= MOST_SUSPICIONS:
            return _failed(row, f"its worker died {row.suspicions} times while it ran", delta)
        row.set(status=Status.Pending, worker_id=None, available_at=row.now)
        delta["status"] = Status.Pending
        events = [log(row, TaskUpdateEventType.TaskUpdated, delta, row.attempt)]
        return Effect(events=events, wakes_work=True)

    def _suspect(self, row: Row) -> dict[str, Any]:
        ran_beside_others = row.suspicions < SUSPICIONS
        row.set(suspicions=row.suspicions + 1)
        delta: dict[str, Any] = {"suspicions": row.suspicions, "_lost": self.sign}
        if not ran_beside_others and not self.isolates:
            row.set(crashes=row.crashes + 1)
            delta["crashes"] = row.crashes
        return delta


def _failed(row: Row, reason: str, delta: dict[str, Any]) -> Effect:
    row.set(result=reason)
    delta = {**delta, **note_error(row, ErrorCode.Crash)}
    return Effect(events=[end(row, Status.Failed, {**delta, "result": reason}, row.attempt)])
