"""The tasks that this process runs, as it knows them: a run's own writes need no look at them first.

A claim answers the whole row, and from then on hardly anybody but the run itself writes to it. So what a run writes is
decided on the row as it is known, by the very functions that decide on a locked one, and stored by one statement that
touches those rows alone which are still as they were known. What it leaves out is decided again on the locked row.
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
"""What a run writes without leaving its task to others; all else looks at the row first."""

CLAIMS_KEPT = 50_000  # whose they were, and of when: many times what a process runs at once

_NOW = cast("Any", None)  # the database's time is not known before it is asked, and no write of a run's own needs it


_CLAIMED = tuple(each.name for each in COLUMNS if each.locked and each.read and each.name not in ("settings", "result"))
"""What of a row that was claimed is kept as it is."""

_WRITTEN = frozenset(SAVED) | {"last_event", "worker_id", "finished_at"}
"""What the one statement writes."""


class OwnedRows:
    """Rows by task, each as the last claim or write of this process left it."""

    def __init__(self) -> None:
        self._rows: dict[str, Row] = {}
        self._doubtful: set[str] = set()
        self._claims: OrderedDict[tuple[str, int], tuple[str, float]] = OrderedDict()  # by task and attempt

    def __len__(self) -> int:
        return len(self._rows)

    def learn(self, claimed: Iterable[Mapping[str, Any]], worker_id: str, asked: float) -> None:
        """Know tasks that were claimed for a worker of this process, and when it asked for them."""
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
        """Which worker of this process claimed the attempt that an item belongs to; None: no attempt, or none here."""
        claim = self._claims.get((item.task_id, getattr(item, "attempt", None) or 0))
        return None if claim is None else claim[0]

    def claimed_at(self, task_id: str, attempt: int | None) -> float | None:
        """When a worker of this process asked for an attempt; None means no attempt, or none here."""
        claim = self._claims.get((task_id, attempt or 0))
        return None if claim is None else claim[1]

    def forget(self, task_ids: Iterable[str]) -> None:
        """Know tasks no longer: they have ended, or are another's."""
        for task_id in task_ids:
            self._rows.pop(task_id, None)
            self._doubtful.discard(task_id)

    def covers(self, item: Item, owner: str | None) -> bool:
        """Whether an item is of an attempt that is known, written once, and sets nothing but what can be set so."""
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
        """Decide what a group writes, on the rows as they are known."""
        for item in items:
            if item.task_id not in batch.rows:
                batch.rows[item.task_id] = self._rows[item.task_id].afresh()
        for item in items:
            batch.take(item)

    def parameters(self, batch: Batch) -> dict[str, str]:
        """What the one statement wants of a batch."""
        rows = [self._guarded(row, batch.vault) for row in batch.rows.values()]
        return {
            "ids": array(batch.rows),
            "rows": encode(rows),
            "events": batch.logged(),
            "journal": batch.noted(),
        }

    def _guarded(self, row: Row, vault: Vault) -> dict[str, Any]:
        """The columns that a row changes, and how it must still be."""
        known = self._rows[row.id]
        if not _WRITTEN.issuperset(row.changed):
            raise RuntimeError(f"a run's write sets {sorted(row.changed.keys() - _WRITTEN)}, which would be lost")
        guard = {
            "id": row.id,
            "attempt": known.attempt,
            "owner": known.worker_id,
            "known": known.last_event,
            "changes": bool(row.changed),
        }
        return {**guard, "last_event": row.last_event, **vault.columns(row.changed)}

    def doubt(self, task_ids: Iterable[str]) -> None:
        """These are not as they were known: the next write looks first."""
        self._doubtful |= self._rows.keys() & task_ids

    def update(self, batch: Batch, stored: Collection[str]) -> None:
        """Take in what a group made of the rows of some tasks."""
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
    """Whether an item empties a column: the one statement takes an empty one for one that stays."""
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
