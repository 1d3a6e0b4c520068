"""A task's row as changes see it, the effects they have, and the rules that several of them have in common. No I/O."""

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
"""Key in a task's ``state``: the attempt that an outside holder said it has begun."""

RENEWED = "_renewed"
"""Key in a task's ``state``: its settings were other ones before, and the log says which."""

ANEW = "_anew"
"""Key in a task's ``state``: the number of the event since which it has its journal."""

SEQUENCE_BITS = 40  # of ``written``: a process that writes a thousand times a second has numbers for 34 years

TAKES_TURNS = "_conversation"
"""Key in a task's ``state``: the conversation in which it takes turns with others."""

SKIPPED = "_skipped"
"""Key in a task's ``state``: its place, once it goes on, in the queue that it was taken out of."""

WAITING_FOR = "waiting_for"
"""Key in a task's ``state``: what it waits for while it is pending, in words."""

ERROR = ("error_code", "provider_code")
"""Keys in a task's ``state``: what its last failed try failed of."""


@dataclass(slots=True)
class Row:
    """A task's row while it is locked: what decisions need of it. Effects are noted on it as they are made."""

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
    now: datetime  # of the database, the same for a whole group
    state: dict[str, Any]
    settings: dict[str, Any] | None = None  # only where a change asks for it
    internal_status: str | None = None
    started_at: datetime | None = None
    written: int = 0  # attempt and number of the last numbered write of a run
    has_result: bool = False
    changed: dict[str, Any] = field(default_factory=dict[str, Any])

    def afresh(self) -> "Row":
        """A copy on which nothing is noted yet."""
        copy = Row.__new__(Row)
        for name in _NAMES:
            setattr(copy, name, getattr(self, name))
        copy.changed = {}
        return copy

    def set(self, **columns: Any) -> None:
        """Change columns, here and in the update to come."""
        for name, value in columns.items():
            if hasattr(self, name):
                setattr(self, name, value)
        self.changed |= columns

    @property
    def is_terminal(self) -> bool:
        """Whether only a retry changes it."""
        return self.status in TERMINAL


_NAMES = tuple(each.name for each in fields(Row) if each.name != "changed")


class LoggedEvent(NamedTuple):
    """An event with its number, ready to be stored."""

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
    """What a change does beside the columns it sets on its row."""

    events: list[LoggedEvent] = field(default_factory=list[LoggedEvent])
    journal: Sequence[JournalEntry] = ()
    drop_journal: bool = False
    wakes_work: bool = False
    files: Sequence[FileRow] = ()
    drop_files: bool = False


class Change(Protocol):
    """A wish to change one task."""

    @property
    def task_id(self) -> str:
        """The task."""
        ...

    @property
    def organization_id(self) -> str:
        """Whose task it must be."""
        ...

    @property
    def size(self) -> int:
        """Bytes of payload, roughly."""
        ...

    def decide(self, row: Row) -> Effect:
        """Change the row and say the rest, or raise and change nothing."""
        ...


def log(
    row: Row, kind: TaskUpdateEventType, data: Any, attempt: int | None = None, origin: str | None = None
) -> LoggedEvent:
    """Number an event."""
    row.set(last_event=row.last_event + 1)
    return LoggedEvent(row.id, row.last_event, kind, data, attempt, origin, row.organization_id, row.agent_id)


def own(row: Row, attempt: int) -> None:
    """Let only the owner pass. Raises: LeaseLost."""
    if row.status != Status.Executing or row.attempt != attempt:
        raise LeaseLost(row.id, attempt)


def is_repeat(row: Row, attempt: int | None, sequence: int | None) -> bool:
    """Whether a run's write was carried out before, and is sent again since its answer was lost.

    Args:
        row: The task.
        attempt: The run's.
        sequence: The write's number: greater than that of every write before it; None means it is never sent again.
    """
    if attempt is None or sequence is None:
        return False
    return row.written >> SEQUENCE_BITS == attempt and row.written >= _mark(attempt, sequence)


def note_written(row: Row, attempt: int | None, sequence: int | None) -> None:
    """Note that a run's write was carried out."""
    if attempt is not None and sequence is not None:
        row.set(written=_mark(attempt, sequence))


def _mark(attempt: int, sequence: int) -> int:
    return attempt << SEQUENCE_BITS | sequence


def text_size(value: Any) -> int:
    """Roughly how many bytes a value takes as JSON; exact enough to tell the large from the small."""
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


def told(event: NewEvent) -> Any:
    """What is kept of an event's data: of one about the whole task nothing, since only changes change a task."""
    return None if event.type in WHOLE_TASK else event.data


def forget(row: Row, names: Collection[str]) -> dict[str, None]:
    """Take fields out of a row's ``state``. Returns: the change as its event tells it."""
    gone: dict[str, None] = {name: None for name in names if name in row.state}
    if gone:
        row.set(state={name: value for name, value in row.state.items() if name not in gone})
    return gone


def note_error(row: Row, code: str | None, provider_code: str | None = None) -> dict[str, Any]:
    """Note what a try failed of, in place of the one before. Returns: the change as its event tells it."""
    delta: dict[str, Any] = {"error_code": code, "provider_code": provider_code}
    kept = {name: value for name, value in row.state.items() if name not in ERROR}
    row.set(state={**kept, **{name: value for name, value in delta.items() if value is not None}})
    return delta


def put(row: Row, changes: Mapping[str, Any]) -> dict[str, Any]:
    """Set fields on a row, None to clear one; ``payload_extension`` is merged.

    Returns:
        The change as its event tells it.
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


def left_open(row: Row, changes: Mapping[str, Any]) -> dict[str, Any]:
    """What the end of a task left open, of changes: a run may say how it ends before it says what came of it."""
    known = {"status": True, "result": row.has_result, "internal_status": row.internal_status is not None}
    return {
        name: value
        for name, value in changes.items()
        if value is not None and not known.get(name, row.state.get(name) is not None)
    }


def not_found(change: Change) -> TaskNotFound:
    """The error for a task that is not there, or is another organization's."""
    return TaskNotFound(change.task_id)
