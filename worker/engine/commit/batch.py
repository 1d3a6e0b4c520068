"""What a group writes: the effects of its items on rows that are locked, gathered into few statements. No I/O."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from pydantic_core import to_json

from worker.engine.database.columns import TYPES
from worker.engine.database.payloads import array, encode
from worker.engine.database.vault import Vault
from worker.engine.state.families import waiting_parent
from worker.engine.state.references import FileRow
from worker.engine.state.rows import TAKES_TURNS, Change, Effect, LoggedEvent, Row, not_found
from worker.engine.state.transitions import moves_turns
from worker.words.conversations import WAITS_FOR_TURN, ConversationKey
from worker.words.errors import LeaseLost, ModuleException
from worker.words.references import Reference
from worker.words.texts import clean
from worker.words.work import JournalEntry

NEVER = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class NewRow:
    """A task to be inserted, checked and split already."""

    id: str
    organization_id: str
    agent_id: str
    settings: dict[str, Any]
    state: dict[str, Any]
    size: int
    status: str = "pending"
    attempt: int = 0
    files: tuple[FileRow, ...] = ()
    worker_id: str | None = None  # a worker that begins with it at once, if it is still there
    queued: bool = False  # it waits for its turn in its conversation

    @property
    def task_id(self) -> str:
        """The task."""
        return self.id

    def columns(self) -> dict[str, Any]:
        """The row, as the insert wants it."""
        return {
            "id": self.id,
            "organization_id": self.organization_id,
            "agent_id": self.agent_id,
            "status": self.status,
            "attempt": self.attempt,
            "worker_id": self.worker_id,
            "queued": self.queued,
            "state": self.state,
            "told": self.told(),
            **settings_columns(self.settings),
        }

    def told(self) -> dict[str, Any]:
        """What its first event tells beyond the settings."""
        if self.queued:
            return {**self.state, "waiting_for": WAITS_FOR_TURN}
        if self.status == "pending":
            return self.state
        return {**self.state, "status": self.status, "execution_attempts": self.attempt}


def settings_columns(settings: dict[str, Any]) -> dict[str, Any]:
    """The settings, and what of them lists ask for."""
    user = (settings.get("input") or {}).get("user") or {}
    return {
        "user_id": user.get("id"),
        "parent_id": settings.get("parent_execution"),
        "triggering_agent_id": settings.get("triggering_agent_id"),
        "conversation_id": settings.get("conversation_id"),
        "settings": settings,
    }


Item = NewRow | Change


@dataclass(slots=True)
class Batch:
    """What a group writes: its items, and what comes of them."""

    items: Sequence[Item] = ()
    rows: dict[str, Row] = field(default_factory=dict[str, Row])
    new: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    events: list[LoggedEvent] = field(default_factory=list[LoggedEvent])
    journal: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    dropped_journals: list[str] = field(default_factory=list[str])
    files: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    dropped_files: list[str] = field(default_factory=list[str])
    begun: Sequence[Mapping[str, Any]] = ()  # rows of new tasks that a worker of this process has begun
    turns: set[ConversationKey] = field(
        default_factory=set[ConversationKey]
    )  # where somebody else's turn may have come
    parents: set[str] = field(default_factory=set[str])  # tasks of which a child has ended
    wakes_work: bool = False
    wakes_deliveries: bool = False
    errors: list[Exception | None] = field(default_factory=list[Exception | None])  # item by item
    committed: dict[int, datetime] = field(default_factory=dict[int, datetime])  # by an earlier try, item by item
    undecided: set[int] = field(default_factory=set[int])  # decided on a row that was another by then, item by item
    disturbed: list[str] = field(default_factory=list[str])  # tasks that were changed, but not by their own attempt
    now: datetime = NEVER
    vault: Vault = field(default_factory=Vault)

    def take(self, item: Item, owner: str | None = None) -> None:
        """Take in one item: a new task as it is, a change by what it decides on its locked row.

        Args:
            item: The item.
            owner: The worker whose run writes it, where that is known: a task of another's is left alone.
        """
        self.errors.append(self._created(item) if isinstance(item, NewRow) else self._changed(item, owner))

    def pass_over(self, item: Item, time: datetime) -> None:
        """Take note of an item that an earlier try has committed, at a time; its hint was never sent."""
        self.committed[len(self.errors)] = time
        self.errors.append(None)
        self.disturbed.append(item.task_id)
        self.wakes_work = self.wakes_deliveries = True

    def outcomes(self) -> list[datetime | Exception]:
        """What became of each item: the time of its commit, or its error."""
        return [error or self.committed.get(index, self.now) for index, error in enumerate(self.errors)]

    def _created(self, item: NewRow) -> None:
        """Nobody can have waited for this task, only for one to do."""
        self.new.append(item.columns())
        self._keep(item.files, item)
        if item.queued:
            self.turns.add(ConversationKey(item.organization_id, item.agent_id, item.settings["conversation_id"]))
        self.wakes_work |= item.status == "pending" and item.worker_id is None and not item.queued

    def _changed(self, change: Change, owner: str | None) -> Exception | None:
        row = self.rows.get(change.task_id)
        if row is None or row.organization_id != change.organization_id:
            return not_found(change)
        attempt = getattr(change, "attempt", None)
        if attempt is not None and owner is not None and row.worker_id not in (None, owner):
            return LeaseLost(row.id, attempt)
        try:
            effect = change.decide(row)
        except ModuleException as error:
            return error
        self._add(effect, change.task_id)
        if moves_turns(row):
            self.turns.add(ConversationKey(row.organization_id, row.agent_id, row.state[TAKES_TURNS]))
        if (parent := waiting_parent(row)) is not None:
            self.parents.add(parent)
        if getattr(change, "attempt", None) is None:
            self.disturbed.append(change.task_id)
        if effect.drop_files:
            self.dropped_files.append(change.task_id)
        self._keep(effect.files, change)
        return None

    def _keep(self, files: Sequence[FileRow], item: Item) -> None:
        owner = {"task_id": item.task_id, "organization_id": item.organization_id}
        self.files += [{**owner, **each._asdict()} for each in files]

    def _add(self, effect: Effect, task_id: str) -> None:
        self.events += effect.events
        if effect.drop_journal:  # also what came earlier in this very group
            self.journal = [entry for entry in self.journal if entry["task_id"] != task_id]
        self.journal += [_journal_row(task_id, entry) for entry in effect.journal]
        if effect.drop_journal:
            self.dropped_journals.append(task_id)
        self.wakes_work |= effect.wakes_work

    def begin(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Take note of the new tasks that their workers have begun: the others wait, after all."""
        self.begun = rows
        self.wakes_work |= len(rows) < sum(row["worker_id"] is not None for row in self.new)

    def keep(self, stored: Collection[str]) -> None:
        """Keep what was stored of a batch; the other items are still to be decided."""
        self.undecided = {index for index, item in enumerate(self.items) if item.task_id not in stored}
        self.events = [event for event in self.events if event.task_id in stored]

    @property
    def changed_tasks(self) -> list[str]:
        """Every task that somebody may have waited for a change of, once."""
        settled = [self.items[index].task_id for index in self.committed]
        return [*settled, *dict.fromkeys(event.task_id for event in self.events)]

    def updates(self) -> Iterator[tuple[bytes, str, str]]:
        """One UPDATE for each set of columns that some rows change: the statement, the values, the ids."""
        shapes: dict[tuple[str, ...], list[Row]] = {}
        for row in self.rows.values():
            if row.changed:
                shapes.setdefault(tuple(sorted(row.changed)), []).append(row)
        for columns, rows in shapes.items():
            values = [
                {"id": row.id, **self.vault.columns({name: row.changed[name] for name in columns})} for row in rows
            ]
            yield _update(columns), encode(values), array(row.id for row in rows)

    def noted(self) -> str:
        """The journal entries, as their insert wants them. Their values are texts: what is escaped in one stays so."""
        if self.vault.has_key:
            return to_json([{**row, "value": self.vault.entry(row["value"])} for row in self.journal]).decode()
        return to_json(self.journal).decode()

    def logged(self) -> str:
        """The events, as their insert wants them."""
        rows = [event._asdict() for event in self.events]
        for row in rows if self.vault.has_key else ():
            row["data"] = self.vault.event(row["type"], row["data"])
        return encode(rows)

    def inserted(self) -> str:
        """The new rows, as their insert wants them."""
        return encode([self.vault.columns(row) for row in self.new])


def _journal_row(task_id: str, entry: JournalEntry) -> dict[str, Any]:
    sha256 = None if entry.reference is None else Reference.stored(entry.reference).sha256
    return {"task_id": task_id, "key": clean(entry.key), "value": clean(entry.value), "sha256": sha256}


_updates: dict[tuple[str, ...], bytes] = {}


def _update(columns: tuple[str, ...]) -> bytes:
    """The UPDATE for a shape; names come from the table above, never from outside."""
    if columns not in _updates:
        sets = ", ".join(f"{name} = c.{name}" for name in columns)
        types = ", ".join(f"{name} {TYPES[name]}" for name in columns)
        _updates[columns] = (
            f"update worker.tasks t set {sets}, updated_at = now()"  # noqa: S608 - names from a constant
            f" from json_to_recordset(%s::json) as c(id text, {types})"
            " where t.id = any(%s::text[]) and t.id = c.id"  # the array has the planner take the primary key
        ).encode()
    return _updates[columns]
