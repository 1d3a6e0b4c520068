"""Rows of the tasks that this process runs, remembered so that a run's own writes need not read them first.

A claim returns the whole row, and afterwards hardly any writer but the run changes it. So a run's writes are decided
on the remembered row, by the same functions that decide on a locked one, and stored by one statement that touches only
rows that have not changed meanwhile. Items that it leaves out are decided again on the locked row.
"""

from collections import OrderedDict
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, cast

from worker.engine.commit.batch import Batch, Item
from worker.engine.database.columns import COLUMNS, FIELDS, SAVED
from worker.engine.database.payloads import array, encode
from worker.engine.database.vault import Vault
from worker.engine.state.rows import Row
from worker.engine.state.run_changes import Append, Finish, Save
from worker.words.statuses import AgentExecutionStatus

OWN = (Append, Save, Finish)
"""A run's changes that do not queue its task again; all other changes read the row first."""

CLAIMS_KEPT = 50_000  # claims remembered: many times the number of tasks that a process runs concurrently

_NOW = cast("Any", None)  # the database's time is not known in advance, and a run's own writes do not need it


_CLAIMED = tuple(each.name for each in COLUMNS if each.locked and each.read and each.name not in ("settings", "result"))
"""Columns of a claimed row that are remembered unchanged."""

_WRITTEN = frozenset(SAVED) | {"last_event", "worker_id", "finished_at"}
"""Columns that the statement ``WRITE_OWNED`` writes."""


class OwnedRows:
    """Rows by task, each as the last claim or write of this process left it."""

    def __init__(self) -> None:
        self._rows: dict[str, Row] = {}
        self._doubtful: set[str] = set()
        self._claims: OrderedDict[tuple[str, int], tuple[str, float]] = OrderedDict()  # by task and attempt

    def __len__(self) -> int:
        return len(self._rows)

    def learn(self, claimed: Iterable[Mapping[str, Any]], worker_id: str, asked: float) -> None:
        """Remember tasks claimed for a worker of this process, and when it asked for them."""
        for row in claimed:
            self._own(row["id"], row["attempt"], worker_id, asked)
            self._doubtful.discard(row["id"])
            known = {name: row[name] for name in _CLAIMED}
            self._rows[row["id"]] = Row(
                **known, worker_id=worker_id, has_result=row["result"] is not None, settings=None, now=_NOW
            )

    def _own(self, task_id: str, attempt: int, worker_id: str, asked: float) -> None:
        self._claims[task_id, attempt] = worker_id, asked
        if len(self._claims) > CLAIMS_KEPT:
            self._claims.popitem(last=False)

    def owner(self, item: Item) -> str | None:
        """Return the worker of this process that claimed an item's attempt, or None."""
        claim = self._claims.get((item.task_id, getattr(item, "attempt", None) or 0))
        return None if claim is None else claim[0]

    def claimed_at(self, task_id: str, attempt: int | None) -> float | None:
        """Return when a worker of this process asked for an attempt, or None."""
        claim = self._claims.get((task_id, attempt or 0))
        return None if claim is None else claim[1]

    def release(self, task_id: str, attempt: int) -> None:
        """Forget the claim of an attempt that has ended or was handed back: millions of tasks may sleep."""
        self._claims.pop((task_id, attempt), None)

    def forget(self, task_ids: Iterable[str]) -> None:
        """Forget tasks that have ended or belong to another worker."""
        for task_id in task_ids:
            self._rows.pop(task_id, None)
            self._doubtful.discard(task_id)

    def covers(self, item: Item, owner: str | None) -> bool:
        """Return whether an item comes from a known attempt and can be stored without reading its row first."""
        row = self._rows.get(item.task_id)
        return (
            row is not None
            and item.task_id not in self._doubtful
            and isinstance(item, OWN)
            and item.attempt == row.attempt
            and owner == row.worker_id
            and item.organization_id == row.organization_id
            and getattr(item, "sequence", None) is None
            and not _pauses(item)
            and not _clears(item)
        )

    def decide(self, items: Sequence[Item], batch: Batch) -> None:
        """Decide a group's items on the remembered rows."""
        for item in items:
            if item.task_id not in batch.rows:
                batch.rows[item.task_id] = self._rows[item.task_id].pristine_copy()
        for item in items:
            batch.take(item)

    def parameters(self, batch: Batch) -> dict[str, str]:
        """Return the parameters of ``WRITE_OWNED`` for a batch."""
        rows = [self._guarded(row, batch.vault) for row in batch.rows.values()]
        return {
            "ids": array(batch.rows),
            "rows": encode(rows),
            "events": batch.logged(),
            "journal": batch.noted(),
        }

    def _guarded(self, row: Row, vault: Vault) -> dict[str, Any]:
        """Return the columns that a row changes, and the values that it must still have."""
        known = self._rows[row.id]
        if not _WRITTEN.issuperset(row.changed):
            raise RuntimeError(
                f"a run's write sets columns that would not be written: {sorted(row.changed.keys() - _WRITTEN)}"
            )
        guard = {
            "id": row.id,
            "attempt": known.attempt,
            "owner": known.worker_id,
            "known": known.last_event,
            "changes": bool(row.changed),
        }
        return {**guard, "last_event": row.last_event, **vault.columns(row.changed)}

    def doubt(self, task_ids: Iterable[str]) -> None:
        """Mark tasks whose rows may have changed, so that the next write reads them first."""
        self._doubtful |= self._rows.keys() & task_ids

    def update(self, batch: Batch, stored: Collection[str]) -> None:
        """Remember the rows of the stored tasks as a group left them."""
        for task_id in self._rows.keys() & stored:
            row = batch.rows.get(task_id)
            self._doubtful.discard(task_id)
            if row is not None and self._is_held(row):
                row.changed = {}
                self._rows[task_id] = row
            else:
                del self._rows[task_id]

    def _is_held(self, row: Row) -> bool:
        return row.status == AgentExecutionStatus.Executing and row.attempt == self._rows[row.id].attempt


def _clears(item: Append | Save | Finish) -> bool:
    """Return whether an item clears a column, which ``WRITE_OWNED`` cannot tell from leaving it unchanged."""
    changes = item.changes if isinstance(item, Save) else item.outcome.changes if isinstance(item, Finish) else {}
    return any(name in changes and changes[name] is None for name in FIELDS)


def _pauses(item: Append | Save | Finish) -> bool:
    match item:
        case Finish():
            return item.outcome.status == AgentExecutionStatus.Paused
        case Save():
            return item.changes.get("status") == AgentExecutionStatus.Paused
        case _:
            return False
