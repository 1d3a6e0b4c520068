"""The columns of worker.tasks: one table, of which the SQL that locks, reads and writes tasks is composed.

A field of a task that has no column lives in ``state``, and needs nothing here.
"""

from collections.abc import Iterable
from typing import LiteralString, NamedTuple


class Column(NamedTuple):
    """A column.

    Args:
        name: Its name.
        type: Its type, as values are sent in JSON.
        locked: A change decides on it: it is read when a row is locked, and kept of rows that a run owns.
        read: A task's record is composed of it.
        saved: A save sets it: it is written by whatever a run writes in the midst of its work, and at its end.
    """

    name: LiteralString
    type: LiteralString
    locked: bool = False
    read: bool = False
    saved: bool = False


COLUMNS = (
    Column("id", "text", locked=True, read=True),
    Column("organization_id", "text", locked=True, read=True),
    Column("agent_id", "text", locked=True, read=True),
    Column("status", "text", locked=True, read=True, saved=True),
    Column("internal_status", "text", locked=True, read=True, saved=True),
    Column("result", "text", locked=True, read=True, saved=True),
    Column("finish_reason", "text", read=True, saved=True),
    Column("state", "json", locked=True, read=True, saved=True),
    Column("settings", "json", locked=True, read=True),
    Column("attempt", "integer", locked=True, read=True),
    Column("suspicions", "integer", locked=True, read=True),
    Column("crashes", "integer", locked=True, read=True),
    Column("errors", "integer", locked=True, read=True),
    Column("worker_id", "text", locked=True),
    Column("last_event", "bigint", locked=True, read=True),
    Column("written", "bigint", locked=True),
    Column("available_at", "timestamptz", read=True),
    Column("created_at", "timestamptz", read=True),
    Column("updated_at", "timestamptz", read=True),
    Column("started_at", "timestamptz", locked=True, read=True),
    Column("paused_at", "timestamptz", read=True),
    Column("finished_at", "timestamptz", read=True),
    Column("waits_for", "text", read=True),
    Column("awaits", "text[]"),
    Column("queued", "boolean", read=True),
    Column("place", "bigint"),
    Column("user_id", "text"),
    Column("parent_id", "text"),
    Column("triggering_agent_id", "text"),
    Column("conversation_id", "text"),
)

TYPES = {each.name: each.type for each in COLUMNS}

LOCKED: tuple[LiteralString, ...] = tuple(each.name for each in COLUMNS if each.locked)
"""What a change decides on."""

SAVED: tuple[LiteralString, ...] = tuple(each.name for each in COLUMNS if each.saved)
"""What a run writes of its own task."""

FIELDS = frozenset(SAVED) - {"state"}
"""Fields that a save may change and that have a column; all others live in ``state``."""

_LOCKED_AS: dict[str, LiteralString] = {
    "settings": "case when id = any(%(settings)s::text[]) then settings end as settings",  # large, and seldom wanted
    "result": "result is not null as has_result",
}

_READ_AS: dict[str, LiteralString] = {"result": "to_json(t.result) as result"}  # a text that may be sealed


def _listed(parts: Iterable[LiteralString]) -> LiteralString:
    joined: LiteralString = ", "
    return joined.join(parts)


def _read(name: LiteralString) -> LiteralString:
    return _READ_AS.get(name, "t." + name)


def typed(names: Iterable[str]) -> LiteralString:
    """Columns with their types, as ``json_to_recordset`` wants them."""
    wanted = set(names)
    return _listed(f"{each.name} {each.type}" for each in COLUMNS if each.name in wanted)


LOCKED_COLUMNS = _listed(_LOCKED_AS.get(name, name) for name in LOCKED)
"""What is read of a row as it is locked: the fields of ``state.rows.Row``, but for the time."""

TASK_COLUMNS = _listed(_read(each.name) for each in COLUMNS if each.read)
"""What ``task_record`` wants of a row of worker.tasks t."""

KEPT_COLUMNS = _listed(f"{name} = coalesce(m.{name}, t.{name})" for name in SAVED)
"""An assignment for each column that a run writes: what is not given stays."""
