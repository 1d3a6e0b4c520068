"""The grouped writer: one task a process commits everybody's changes in groups.

No waiting window: whatever came while the last group committed is the next group. A group locks its task rows in the
order of their ids, asks each change for its effect, writes all effects with a handful of statements, commits, and
only then hints. A group that fails is split until the bad item stands alone, so its neighbours never notice.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from worker.engine import statements
from worker.engine.changes import Change, Effect, LoggedEvent, Row, not_found
from worker.engine.connections import connect, translated
from worker.engine.hub import DELIVERIES, WORK
from worker.engine.payloads import encode
from worker.words.errors import ModuleException, TaskNotFound, Unavailable
from worker.words.ids import is_id
from worker.words.notices import PlatformTrouble, announce

if TYPE_CHECKING:
    from psycopg import AsyncConnection, AsyncCursor

GROUP_ITEMS = 256  # beyond it a commit takes longer than its fsync, and everybody waits
GROUP_BYTES = 1024 * 1024
LARGE_BYTES = 256 * 1024  # larger values go alone, on a connection of their own, so that no group waits for them
AWAY_SECONDS = 10.0  # a write that waited so long for a connection is told that there is none, as a read is
RECONNECT_SECONDS = 0.2, 5.0  # first and longest wait between attempts

NEVER = datetime.min.replace(tzinfo=UTC)

_TYPES = {
    "status": "text",
    "attempt": "integer",
    "crashes": "integer",
    "errors": "integer",
    "worker_id": "text",
    "available_at": "timestamptz",
    "last_event": "bigint",
    "started_at": "timestamptz",
    "paused_at": "timestamptz",
    "finished_at": "timestamptz",
    "internal_status": "text",
    "result": "text",
    "user_id": "text",
    "parent_id": "text",
    "triggering_agent_id": "text",
    "settings": "json",
    "state": "json",
}
"""Columns that changes set, with their types."""


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
            "state": self.state,
            "told": self.told(),
            **settings_columns(self.settings),
        }

    def told(self) -> dict[str, Any]:
        """What its first event tells beyond the settings."""
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
        "settings": settings,
    }


Item = NewRow | Change


@dataclass(slots=True)
class _Waiting:
    item: Item
    size: int
    done: asyncio.Future[datetime]
    again: bool = False  # it collided with another transaction once, and may try once more


@dataclass(slots=True)
class _Plan:
    """What a group writes."""

    rows: dict[str, Row] = field(default_factory=dict[str, Row])
    new: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    created: list[str] = field(default_factory=list[str])
    events: list[LoggedEvent] = field(default_factory=list[LoggedEvent])
    journal: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    dropped_journals: list[str] = field(default_factory=list[str])
    wakes_work: bool = False
    wakes_deliveries: bool = False
    errors: list[Exception | None] = field(default_factory=list[Exception | None])  # item by item
    now: datetime = NEVER

    def add(self, effect: Effect, task_id: str) -> None:
        self.events += effect.events
        if effect.drop_journal:  # also what came earlier in this very group
            self.journal = [entry for entry in self.journal if entry["task_id"] != task_id]
        self.journal += [{"task_id": task_id, "key": key, "value": value} for key, value in effect.journal]
        if effect.drop_journal:
            self.dropped_journals.append(task_id)
        self.wakes_work |= effect.wakes_work


Tell = Callable[[str, list[str]], None]
"""Called after a commit with a hint's flags and the ids of changed tasks."""


class Writer:
    """Commits changes in groups, on one connection.

    Args:
        url: The database.
        tell: How those who wait hear of it.
        pooled: A transaction pooler stands between.
    """

    def __init__(self, url: str, tell: Tell, *, pooled: bool) -> None:
        self._url = url
        self._told = tell
        self._pooled = pooled
        self._waiting: list[_Waiting] = []
        self._wake = asyncio.Event()
        self._large = asyncio.Semaphore(1)
        self._connection: AsyncConnection[Any] | None = None
        self._task: asyncio.Task[None] | None = None
        self._closing = False
        self.commits = 0
        self.items = 0

    def start(self) -> None:
        """Begin to commit."""
        self._task = asyncio.create_task(self._run(), name="grouped writer")

    async def close(self) -> None:
        """Commit what waits, then let go of the connection."""
        self._closing = True
        self._wake.set()
        if self._task is not None:
            await self._task
        if self._connection is not None:
            await self._connection.close()

    async def write(self, item: Item) -> datetime:
        """Have a change committed.

        Returns:
            The database's time of the commit, once it is durable.

        Raises:
            ModuleException: This item's own: LeaseLost, TaskNotFound, Conflict, ValidationError, Unavailable.
        """
        if self._closing:
            raise Unavailable("the platform is closed")
        if not is_id(item.task_id):  # what the database could not even be asked for
            raise TaskNotFound(item.task_id)
        if item.size > LARGE_BYTES:
            return await self._write_alone(item)
        waiting = _Waiting(item, item.size, asyncio.get_running_loop().create_future())
        self._waiting.append(waiting)
        self._wake.set()
        return await waiting.done

    async def _write_alone(self, item: Item) -> datetime:
        async with self._large:
            connection = await connect(self._url, pooled=self._pooled)
            try:
                plan = await self._commit(connection, [item])
            except Exception as error:
                raise (translated(error) or error) from error
            finally:
                await connection.close()
        self._tell(plan)
        if plan.errors[0] is not None:
            raise plan.errors[0]
        return plan.now

    async def _run(self) -> None:
        while not (self._closing and not self._waiting):
            await self._wake.wait()
            self._wake.clear()
            while self._waiting:
                await self._commit_group(self._take())

    def _take(self) -> list[_Waiting]:
        size = count = 0
        for waiting in self._waiting[:GROUP_ITEMS]:
            size += waiting.size
            if count and size > GROUP_BYTES:
                break
            count += 1
        group, self._waiting = self._waiting[:count], self._waiting[count:]
        return group

    async def _commit_group(self, group: list[_Waiting]) -> None:
        """Commit a group; one that fails is split until the bad item stands alone."""
        try:
            connection = await self._connected()
            plan = await self._commit(connection, [waiting.item for waiting in group])
        except Exception as error:  # noqa: BLE001 - each kind has its answer below
            await self._failed(group, error)
            return
        for waiting, error in zip(group, plan.errors, strict=True):
            _settle(waiting, error or plan.now)
        self._tell(plan)

    async def _failed(self, group: list[_Waiting], error: Exception) -> None:
        connection = self._connection
        if connection is None or connection.closed or connection.broken:
            # Whether the commit took place is unknown: whoever asked must look. Nothing is repeated behind their back.
            self._connection = None
            for waiting in group:
                _settle(waiting, translated(error) or error)
        elif len(group) == 1 and isinstance(error, _collisions()) and not group[0].again:
            group[0].again = True
            await self._commit_group(group)
        elif len(group) == 1:
            _settle(group[0], translated(error) or error)
        else:
            half = len(group) // 2
            await self._commit_group(group[:half])
            await self._commit_group(group[half:])

    async def _connected(self) -> "AsyncConnection[Any]":
        if self._connection is None or self._connection.closed:
            self._connection = await self._reconnect()
        return self._connection

    async def _reconnect(self) -> "AsyncConnection[Any]":
        """Connect; whoever waits hears after a while that the database is away, of a wrong configuration at once."""
        wait, longest = RECONNECT_SECONDS
        until = time.monotonic() + AWAY_SECONDS
        while True:
            try:
                return await connect(self._url, pooled=self._pooled)
            except Unavailable as error:
                if self._closing or time.monotonic() >= until:
                    raise
                announce(PlatformTrouble(doing="connecting to write", error=error, again_in=wait))
                await asyncio.sleep(wait)
                wait = min(wait * 2, longest)

    async def _commit(self, connection: "AsyncConnection[Any]", items: Sequence[Item]) -> _Plan:
        """One transaction for many items. Raises only where the whole transaction failed."""
        if all(isinstance(item, NewRow) for item in items):
            plan = await self._create(connection, items)
        else:
            plan = await self._change(connection, items)
        self.commits += 1
        self.items += len(items)
        return plan

    async def _create(self, connection: "AsyncConnection[Any]", items: Sequence[Item]) -> _Plan:
        """New tasks alone need no lock and no decision: one statement, which is its own transaction."""
        plan = _Plan(errors=[None] * len(items))
        for item in items:
            _apply(plan, item)
        made = await connection.execute(statements.INSERT_TASKS, (encode(plan.new),))
        await self._note_created(made, plan)
        return plan

    async def _note_created(self, made: "AsyncCursor[Any]", plan: _Plan) -> None:
        ((plan.now, due),) = await made.fetchall()
        plan.wakes_deliveries |= due

    async def _change(self, connection: "AsyncConnection[Any]", items: Sequence[Item]) -> _Plan:
        """Lock, decide, store: one pipeline, with one wait in it."""
        try:
            async with connection.pipeline():
                await connection.execute("begin")
                plan = await self._decide(connection, items)
                made, cursors = await self._store(connection, plan)
                await connection.execute("commit")
        except BaseException:
            if not connection.closed:
                await connection.rollback()
            raise
        if made is not None:
            await self._note_created(made, plan)
        plan.wakes_deliveries |= cursors is not None and cursors.rowcount > 0
        return plan

    async def _decide(self, connection: "AsyncConnection[Any]", items: Sequence[Item]) -> _Plan:
        """Lock the rows and ask each change for its effect; new tasks alone have nothing to wait for."""
        ids = sorted({item.task_id for item in items if not isinstance(item, NewRow)})
        plan = _Plan()
        if ids:
            renewing = [item.task_id for item in items if getattr(item, "renewal", None)]
            locked = await connection.execute(statements.LOCK_TASKS, {"ids": ids, "settings": renewing})
            plan.rows = {row[0]: Row(*row) for row in await locked.fetchall()}
            plan.now = next((row.now for row in plan.rows.values()), NEVER)
        for item in items:
            plan.errors.append(_apply(plan, item))
        return plan

    async def _store(
        self, connection: "AsyncConnection[Any]", plan: _Plan
    ) -> "tuple[AsyncCursor[Any] | None, AsyncCursor[Any] | None]":
        """Send what the group writes; the cursors of the statements that say what was created and what is due."""
        made = cursors = None
        if plan.new:
            made = await connection.execute(statements.INSERT_TASKS, (encode(plan.new),))
        for columns, rows in _by_shape([row for row in plan.rows.values() if row.changed]).items():
            values = encode([_values(row, columns) for row in rows])
            await connection.execute(_update(columns), (values, [row.id for row in rows]))
        if plan.dropped_journals:
            await connection.execute(statements.DROP_JOURNAL, (plan.dropped_journals,))
        if plan.journal:
            columns = zip(*((each["task_id"], each["key"], each["value"]) for each in plan.journal), strict=True)
            await connection.execute(statements.INSERT_JOURNAL, [list(column) for column in columns])
        if plan.events:
            cursors = await connection.execute(statements.INSERT_EVENTS, (_events(plan.events),))
        return made, cursors

    def _tell(self, plan: _Plan) -> None:
        """Hint at what was committed."""
        flags = WORK * plan.wakes_work + DELIVERIES * plan.wakes_deliveries
        ids = [*plan.created, *dict.fromkeys(event.task_id for event in plan.events)]
        if flags or ids:
            self._told(flags, ids)


def _apply(plan: _Plan, item: Item) -> Exception | None:
    if isinstance(item, NewRow):
        plan.new.append(item.columns())
        plan.created.append(item.id)
        plan.wakes_work |= item.status == "pending"
        return None
    row = plan.rows.get(item.task_id)
    if row is None or row.organization_id != item.organization_id:
        return not_found(item)
    try:
        effect = item.decide(row)
    except ModuleException as error:
        return error
    plan.add(effect, item.task_id)
    return None


def _collisions() -> tuple[type[Exception], ...]:
    """Errors that come of what somebody else did at the same moment, such as giving up a subscription."""
    from psycopg import errors

    return errors.DeadlockDetected, errors.SerializationFailure, errors.ForeignKeyViolation


def _by_shape(rows: list[Row]) -> dict[tuple[str, ...], list[Row]]:
    """Gather rows that set the same columns: one statement each."""
    shapes: dict[tuple[str, ...], list[Row]] = {}
    for row in rows:
        shapes.setdefault(tuple(sorted(row.changed)), []).append(row)
    return shapes


_updates: dict[tuple[str, ...], bytes] = {}


def _update(columns: tuple[str, ...]) -> bytes:
    """The UPDATE for a shape; names come from the table above, never from outside."""
    if columns not in _updates:
        sets = ", ".join(f"{name} = c.{name}" for name in columns)
        types = ", ".join(f"{name} {_TYPES[name]}" for name in columns)
        _updates[columns] = (
            f"update worker.tasks t set {sets}, updated_at = now()"  # noqa: S608 - names from a constant
            f" from json_to_recordset(%s::json) as c(id text, {types})"
            " where t.id = any(%s::text[]) and t.id = c.id"  # the array has the planner take the primary key
        ).encode()
    return _updates[columns]


def _values(row: Row, columns: tuple[str, ...]) -> dict[str, Any]:
    return {"id": row.id, **{name: row.changed[name] for name in columns}}


def _events(events: list[LoggedEvent]) -> str:
    return encode(
        [
            {
                "task_id": event.task_id,
                "number": event.number,
                "type": event.type,
                "attempt": event.attempt,
                "origin": event.origin,
                "data": event.data,
                "organization_id": event.organization_id,
                "agent_id": event.agent_id,
            }
            for event in events
        ]
    )


def _settle(waiting: _Waiting, outcome: datetime | Exception) -> None:
    if waiting.done.done():  # whoever asked has gone; the change stands all the same
        return
    if isinstance(outcome, Exception):
        waiting.done.set_exception(outcome)
    else:
        waiting.done.set_result(outcome)
