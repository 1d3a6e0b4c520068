"""The columns of worker.tasks: the table from which the SQL that locks, reads and writes tasks is composed.

A task's field without a column is stored in ``state`` and needs no entry here.
"""

from collections.abc import Iterable
from typing import LiteralString, NamedTuple


class Column(NamedTuple):
    """A column.

    Args:
        name: The column's name.
        type: The column's type, as declared for values sent as JSON.
        locked: Whether changes decide on it: it is read when a row is locked, and remembered for owned rows.
        read: Whether a task's record is composed of it.
        saved: Whether a save sets it: a run writes it during its work and at its end.
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
"""Columns on which changes decide."""

SAVED: tuple[LiteralString, ...] = tuple(each.name for each in COLUMNS if each.saved)
"""Columns that a run writes on its own task."""

FIELDS = frozenset(SAVED) - {"state"}
"""Fields with a column that a save may change; all other fields are stored in ``state``."""

_LOCKED_AS: dict[str, LiteralString] = {
    "settings": "case when id = any(%(settings)s::text[]) then settings end as settings",  # large and rarely needed
    "result": "result is not null as has_result",
}

_READ_AS: dict[str, LiteralString] = {"result": "to_json(t.result) as result"}  # sealed texts are opened in JSON only


def _listed(parts: Iterable[LiteralString]) -> LiteralString:
    joined: LiteralString = ", "
    return joined.join(parts)


def _read(name: LiteralString) -> LiteralString:
    return _READ_AS.get(name, "t." + name)


def typed(names: Iterable[str]) -> LiteralString:
    """Return column definitions as ``json_to_recordset`` expects them."""
    wanted = set(names)
    return _listed(f"{each.name} {each.type}" for each in COLUMNS if each.name in wanted)


LOCKED_COLUMNS = _listed(_LOCKED_AS.get(name, name) for name in LOCKED)
"""The select list for locking a row: the fields of ``state.rows.Row``, except for the time."""

TASK_COLUMNS = _listed(_read(each.name) for each in COLUMNS if each.read)
"""The select list on worker.tasks t that ``task_record`` needs."""

KEPT_COLUMNS = _listed(f"{name} = coalesce(m.{name}, t.{name})" for name in SAVED)
"""An assignment for each column that a run writes; a column without a given value is left unchanged."""
