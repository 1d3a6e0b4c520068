"""The writes of one group: the effects of its items, gathered into few statements. No I/O."""

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
from worker.engine.state.transitions import affects_turns
from worker.words.conversations import WAITS_FOR_TURN, ConversationKey
from worker.words.errors import LeaseLost, ModuleException
from worker.words.references import Reference
from worker.words.texts import clean
from worker.words.work import JournalEntry

NEVER = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class NewRow:
    """A task to insert, already validated and split into settings and state."""

    id: str
    organization_id: str
    agent_id: str
    settings: dict[str, Any]
    state: dict[str, Any]
    size: int
    status: str = "pending"
    attempt: int = 0
    files: tuple[FileRow, ...] = ()
    worker_id: str | None = None  # a worker that begins the task immediately, if it is still alive
    queued: bool = False  # whether it waits for its turn in its conversation

    @property
    def task_id(self) -> str:
        """The task's id."""
        return self.id

    def columns(self) -> dict[str, Any]:
        """Return the row in the form that the INSERT expects."""
        return {
            "id": self.id,
            "organization_id": self.organization_id,
            "agent_id": self.agent_id,
            "status": self.status,
            "attempt": self.attempt,
            "worker_id": self.worker_id,
            "queued": self.queued,
            "state": self.state,
            "first_event": self.first_event_data(),
            **settings_columns(self.settings),
        }

    def first_event_data(self) -> dict[str, Any]:
        """Return the data of the first event, apart from the settings."""
        if self.queued:
            return {**self.state, "waiting_for": WAITS_FOR_TURN}
        if self.status == "pending":
            return self.state
        return {**self.state, "status": self.status, "execution_attempts": self.attempt}


def settings_columns(settings: dict[str, Any]) -> dict[str, Any]:
    """Return the settings together with the columns that lists filter by."""
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
    """The items of a group, and the writes that result from them."""

    items: Sequence[Item] = ()
    rows: dict[str, Row] = field(default_factory=dict[str, Row])
    new: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    events: list[LoggedEvent] = field(default_factory=list[LoggedEvent])
    journal: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    dropped_journals: list[str] = field(default_factory=list[str])
    files: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    dropped_files: list[str] = field(default_factory=list[str])
    begun: Sequence[Mapping[str, Any]] = ()  # rows of new tasks that workers of this process have begun
    turns: set[ConversationKey] = field(
        default_factory=set[ConversationKey]
    )  # conversations in which another task's turn may have come
    parents: set[str] = field(default_factory=set[str])  # tasks with a child that has ended
    wakes_work: bool = False
    wakes_deliveries: bool = False
    errors: list[Exception | None] = field(default_factory=list[Exception | None])  # one per item
    committed: dict[int, datetime] = field(default_factory=dict[int, datetime])  # by an earlier try, by item index
    undecided: set[int] = field(default_factory=set[int])  # indices of items decided on a row that had changed
    disturbed: list[str] = field(default_factory=list[str])  # tasks that were not changed by their own attempt
    now: datetime = NEVER
    vault: Vault = field(default_factory=Vault)

    def take(self, item: Item, owner: str | None = None) -> None:
        """Add an item: a new task as it is, or the effect of a change on its locked row.

        Args:
            item: The item.
            owner: The worker whose run writes the item, if known; tasks of other workers are not changed.
        """
        self.errors.append(self._created(item) if isinstance(item, NewRow) else self._changed(item, owner))

    def pass_over(self, item: Item, time: datetime) -> None:
        """Record that an earlier try committed an item at the given time, without sending its hint."""
        self.committed[len(self.errors)] = time
        self.errors.append(None)
        self.disturbed.append(item.task_id)
        self.wakes_work = self.wakes_deliveries = True

    def outcomes(self) -> list[datetime | Exception]:
        """Return the outcome of each item: the time of its commit, or its error."""
        return [error or self.committed.get(index, self.now) for index, error in enumerate(self.errors)]

    def _created(self, item: NewRow) -> None:
        """Add a new task. No client can be waiting for it yet, only workers for any task to run."""
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
        if affects_turns(row):
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
        if effect.drop_journal:  # including entries added earlier in this group
            self.journal = [entry for entry in self.journal if entry["task_id"] != task_id]
        self.journal += [_journal_row(task_id, entry) for entry in effect.journal]
        if effect.drop_journal:
            self.dropped_journals.append(task_id)
        self.wakes_work |= effect.wakes_work

    def begin(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Record the new tasks that their workers have begun; the remaining ones must be claimed."""
        self.begun = rows
        self.wakes_work |= len(rows) < sum(row["worker_id"] is not None for row in self.new)

    def keep(self, stored: Collection[str]) -> None:
        """Keep only the effects on stored tasks; the items of other tasks must be decided again."""
        self.undecided = {index for index, item in enumerate(self.items) if item.task_id not in stored}
        self.events = [event for event in self.events if event.task_id in stored]

    @property
    def changed_tasks(self) -> list[str]:
        """The ids of all changed tasks, each once."""
        settled = [self.items[index].task_id for index in self.committed]
        return [*settled, *dict.fromkeys(event.task_id for event in self.events)]

    def updates(self) -> Iterator[tuple[bytes, str, str]]:
        """Yield one UPDATE for each set of changed columns: the statement, the values and the ids."""
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
        """Return the journal entries as JSON for their INSERT, preserving escapes in their values, which are texts."""
        if self.vault.has_key:
            return to_json([{**row, "value": self.vault.entry(row["value"])} for row in self.journal]).decode()
        return to_json(self.journal).decode()

    def logged(self) -> str:
        """Return the events as JSON for their INSERT."""
        rows = [event._asdict() for event in self.events]
        for row in rows if self.vault.has_key else ():
            row["data"] = self.vault.event(row["type"], row["data"])
        return encode(rows)

    def inserted(self) -> str:
        """Return the new rows as JSON for their INSERT."""
        return encode([self.vault.columns(row) for row in self.new])


def _journal_row(task_id: str, entry: JournalEntry) -> dict[str, Any]:
    sha256 = None if entry.reference is None else Reference.stored(entry.reference).sha256
    return {"task_id": task_id, "key": clean(entry.key), "value": clean(entry.value), "sha256": sha256}


_updates: dict[tuple[str, ...], bytes] = {}


def _update(columns: tuple[str, ...]) -> bytes:
    """Return the UPDATE for a set of columns, whose names come from ``TYPES``, never from a client."""
    if columns not in _updates:
        sets = ", ".join(f"{name} = c.{name}" for name in columns)
        types = ", ".join(f"{name} {TYPES[name]}" for name in columns)
        _updates[columns] = (
            f"update worker.tasks t set {sets}, updated_at = now()"  # noqa: S608 - names from a constant
            f" from json_to_recordset(%s::json) as c(id text, {types})"
            " where t.id = any(%s::text[]) and t.id = c.id"  # the array makes the planner use the primary key
        ).encode()
    return _updates[columns]
