"""A task's row as changes see it, the effects of changes, and rules that several changes share. No I/O."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Any, NamedTuple, Protocol, cast

from worker.engine.database.columns import FIELDS
from worker.engine.state.references import FileRow
from worker.words.errors import LeaseLost, TaskNotFound
from worker.words.events import NewEvent
from worker.words.statuses import TERMINAL, WHOLE_TASK, AgentExecutionStatus, TaskUpdateEventType
from worker.words.work import JournalEntry

Status = AgentExecutionStatus

BEGUN = "_begun"
"""Key in a task's ``state``: the attempt that a client without attempt numbers has reported as begun."""

HAS_FORMER_SETTINGS = "_renewed"
"""Key in a task's ``state``: True if its settings were replaced; the log has the earlier ones."""

JOURNAL_SINCE = "_anew"
"""Key in a task's ``state``: the number of the event that last restarted it with an empty journal."""

SEQUENCE_BITS = 40  # of ``written``: enough for 34 years at a thousand writes a second

TAKES_TURNS = "_conversation"
"""Key in a task's ``state``: the conversation in which it takes turns with other tasks."""

SKIPPED = "_skipped"
"""Key in a task's ``state``: the place that a skipped task takes in its queue once it continues."""

WAITING_FOR = "waiting_for"
"""Key in a task's ``state``: a description of what it waits for while it is pending."""

ERROR = ("error_code", "provider_code")
"""Keys in a task's ``state``: the error codes of its last failed attempt."""


@dataclass(slots=True)
class Row:
    """A locked task's row, with the columns that decisions need; ``changed`` collects the columns to update."""

    id: str
    organization_id: str
    agent_id: str
    status: str
    attempt: int
    suspicions: int
    crashes: int
    errors: int
    worker_id: str | None
    last_event: int
    now: datetime  # by the database's clock, the same for a whole group
    state: dict[str, Any]
    settings: dict[str, Any] | None = None  # read only for a change that needs it
    internal_status: str | None = None
    started_at: datetime | None = None
    written: int = 0  # attempt and sequence number of a run's last numbered write
    has_result: bool = False
    changed: dict[str, Any] = field(default_factory=dict[str, Any])

    def pristine_copy(self) -> "Row":
        """Return a copy of the row without recorded changes."""
        copy = Row.__new__(Row)
        for name in _NAMES:
            setattr(copy, name, getattr(self, name))
        copy.changed = {}
        return copy

    def set(self, **columns: Any) -> None:
        """Set columns, on this row and in its later UPDATE."""
        for name, value in columns.items():
            if hasattr(self, name):
                setattr(self, name, value)
        self.changed |= columns

    @property
    def is_terminal(self) -> bool:
        """Whether the task has ended, so that only a retry changes it."""
        return self.status in TERMINAL


_NAMES = tuple(each.name for each in fields(Row) if each.name != "changed")


class LoggedEvent(NamedTuple):
    """A numbered event, ready to be stored."""

    task_id: str
    number: int
    type: str
    data: Any
    attempt: int | None
    origin: str | None
    organization_id: str
    agent_id: str


@dataclass(slots=True)
class Effect:
    """What a change does besides setting columns of its row."""

    events: list[LoggedEvent] = field(default_factory=list[LoggedEvent])
    journal: Sequence[JournalEntry] = ()
    drop_journal: bool = False
    wakes_work: bool = False
    files: Sequence[FileRow] = ()
    drop_files: bool = False


class Change(Protocol):
    """A request to change one task."""

    @property
    def task_id(self) -> str:
        """The task's id."""
        ...

    @property
    def organization_id(self) -> str:
        """The organization that must own the task."""
        ...

    @property
    def size(self) -> int:
        """The approximate size of the payload in bytes."""
        ...

    def decide(self, row: Row) -> Effect:
        """Set columns of the row and return the other effects, or raise and change nothing."""
        ...


def log(
    row: Row, kind: TaskUpdateEventType, data: Any, attempt: int | None = None, origin: str | None = None
) -> LoggedEvent:
    """Return an event of the task with the next number."""
    row.set(last_event=row.last_event + 1)
    return LoggedEvent(row.id, row.last_event, kind, data, attempt, origin, row.organization_id, row.agent_id)


def own(row: Row, attempt: int) -> None:
    """Raise LeaseLost unless the attempt owns the task."""
    if row.status != Status.Executing or row.attempt != attempt:
        raise LeaseLost(row.id, attempt)


def is_repeat(row: Row, attempt: int | None, sequence: int | None) -> bool:
    """Return whether a run's write was already carried out, and was sent again because its answer was lost.

    Args:
        row: The task.
        attempt: The run's attempt.
        sequence: The write's number, greater than that of every earlier write; None if it is never sent again.
    """
    if attempt is None or sequence is None:
        return False
    return row.written >> SEQUENCE_BITS == attempt and row.written >= _mark(attempt, sequence)


def note_written(row: Row, attempt: int | None, sequence: int | None) -> None:
    """Record that a run's write was carried out."""
    if attempt is not None and sequence is not None:
        row.set(written=_mark(attempt, sequence))


def _mark(attempt: int, sequence: int) -> int:
    return attempt << SEQUENCE_BITS | sequence


def text_size(value: Any) -> int:
    """Return the approximate size of a value as JSON in bytes, accurate enough to tell large values from small ones."""
    if isinstance(value, str | bytes):
        return len(value)
    if isinstance(value, dict):
        size = 0
        for key, each in cast("dict[object, object]", value).items():
            size += len(key) if type(key) is str else len(str(key))
            size += len(each) if type(each) is str else text_size(each)
        return size
    if isinstance(value, list | tuple):
        return sum([text_size(each) for each in cast("Sequence[object]", value)])
    return 8


def stored_data(event: NewEvent) -> Any:
    """Return the data to store for an event: None for one about the whole task, since only changes change a task."""
    return None if event.type in WHOLE_TASK else event.data


def forget(row: Row, names: Collection[str]) -> dict[str, None]:
    """Remove fields from a row's ``state``, and return the delta for the event."""
    gone: dict[str, None] = {name: None for name in names if name in row.state}
    if gone:
        row.set(state={name: value for name, value in row.state.items() if name not in gone})
    return gone


def note_error(row: Row, code: str | None, provider_code: str | None = None) -> dict[str, Any]:
    """Replace the error codes of a task's last failed attempt, and return the delta for the event."""
    delta: dict[str, Any] = {"error_code": code, "provider_code": provider_code}
    kept = {name: value for name, value in row.state.items() if name not in ERROR}
    row.set(state={**kept, **{name: value for name, value in delta.items() if value is not None}})
    return delta


def put(row: Row, changes: Mapping[str, Any]) -> dict[str, Any]:
    """Set fields on a row, None to clear one; ``payload_extension`` is merged.

    Returns:
        The delta for the event.
    """
    columns = {name: changes[name] for name in FIELDS if name in changes}
    rest = {name: value for name, value in changes.items() if name not in columns}
    if rest.get("payload_extension") is not None:
        rest["payload_extension"] = {**(row.state.get("payload_extension") or {}), **rest["payload_extension"]}
    if columns:
        row.set(**columns)
    if rest:
        state = {**row.state, **rest}
        row.set(state={name: value for name, value in state.items() if rest.get(name, value) is not None})
    return {**columns, **rest}


def unset_changes(row: Row, changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return those changes whose fields the task's end left unset: a run may report its status before its result."""
    known = {"status": True, "result": row.has_result, "internal_status": row.internal_status is not None}
    return {
        name: value
        for name, value in changes.items()
        if value is not None and not known.get(name, row.state.get(name) is not None)
    }


def not_found(change: Change) -> TaskNotFound:
    """Return the error for a task that does not exist or belongs to another organization."""
    return TaskNotFound(change.task_id)
