"""The grouped writer: one task a process commits everybody's changes in groups.

No waiting window: whatever came while the last group committed is the next group. A group locks its task rows in the
order of their ids, asks each change for its effect, writes all effects with a handful of statements, commits, and
only then hints. A group that fails is split until the bad item stands alone, so its neighbours never notice.
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from worker.engine import statements
from worker.engine.changes import Change, Effect, LoggedEvent, Row, not_found
from worker.engine.connections import connect, translated
from worker.engine.hub import DELIVERIES, WORK, Hub, hint
from worker.engine.payloads import encode
from worker.words.errors import ModuleException, Unavailable
from worker.words.notices import PlatformTrouble, announce

if TYPE_CHECKING:
    from datetime import datetime

    from psycopg import AsyncConnection, AsyncCursor

GROUP_ITEMS = 256  # beyond it a commit takes longer than its fsync, and everybody waits
GROUP_BYTES = 1024 * 1024
LARGE_BYTES = 256 * 1024  # larger values go alone, on a connection of their own, so that no group waits for them
RECONNECT_SECONDS = 0.2, 5.0  # first and longest wait between attempts

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
        user = (self.settings.get("input") or {}).get("user") or {}
        return {
            "id": self.id,
            "organization_id": self.organization_id,
            "agent_id": self.agent_id,
            "user_id": user.get("id"),
            "parent_id": self.settings.get("parent_execution"),
            "triggering_agent_id": self.settings.get("triggering_agent_id"),
            "status": self.status,
            "attempt": self.attempt,
            "settings": self.settings,
            "state": self.state,
        }


Item = NewRow | Change


@dataclass(slots=True)
class _Waiting:
    item: Item
    size: int
    done: "asyncio.Future[datetime]"


@dataclass(slots=True)
class _Plan:
    """What a group writes."""

    rows: dict[str, Row] = field(default_factory=dict[str, Row])
    new: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    events: list[LoggedEvent] = field(default_factory=list[LoggedEvent])
    journal: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    dropped_journals: list[str] = field(default_factory=list[str])
    wakes_work: bool = False
    wakes_deliveries: bool = False
    outcomes: "list[datetime | Exception]" = field(default_factory=list["datetime | Exception"])

    def add(self, effect: Effect, task_id: str) -> None:
        self.events += effect.events
        self.journal += [{"task_id": task_id, "key": key, "value": value} for key, value in effect.journal]
        if effect.drop_journal:
            self.dropped_journals.append(task_id)
        self.wakes_work |= effect.wakes_work


class Writer:
    """Commits changes in groups, on one connection."""

    def __init__(self, url: str, hub: Hub, *, pooled: bool) -> None:
        self._url = url
        self._hub = hub
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

    async def write(self, item: Item) -> "datetime":
        """Have a change committed.

        Returns:
            The database's time of the commit, once it is durable.

        Raises:
            ModuleException: This item's own: LeaseLost, TaskNotFound, Conflict, ValidationError, Unavailable.
        """
        if self._closing:
            raise Unavailable("the platform is closed")
        if item.size > LARGE_BYTES:
            return await self._write_alone(item)
        waiting = _Waiting(item, item.size, asyncio.get_running_loop().create_future())
        self._waiting.append(waiting)
        self._wake.set()
        return await waiting.done

    async def _write_alone(self, item: Item) -> "datetime":
        async with self._large:
            connection = await connect(self._url, pooled=self._pooled)
            try:
                plan = await self._commit(connection, [item])
                await self._tell(connection, plan)
                (outcome,) = plan.outcomes
            except Exception as error:
                raise (translated(error) or error) from error
            finally:
                await connection.close()
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

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
        for waiting, outcome in zip(group, plan.outcomes, strict=True):
            _settle(waiting, outcome)
        await self._tell(connection, plan)

    async def _failed(self, group: list[_Waiting], error: Exception) -> None:
        connection = self._connection
        if connection is None or connection.closed or connection.broken:
            # Whether the commit took place is unknown: whoever asked must look. Nothing is repeated behind their back.
            self._connection = None
            for waiting in group:
                _settle(waiting, translated(error) or error)
        elif len(group) == 1:
            _settle(group[0], translated(error) or error)
        else:
            half = len(group) // 2
            await self._commit_group(group[:half])
            await self._commit_group(group[half:])

    async def _connected(self) -> "AsyncConnection[Any]":
        if self._connection is None or self._connection.closed:
            self._connection = await self._reconnect()
            self._hub.own_backends.add(self._connection.info.backend_pid)
        return self._connection

    async def _reconnect(self) -> "AsyncConnection[Any]":
        """Connect, however long the database is away; a wrong configuration ends it at once."""
        wait, longest = RECONNECT_SECONDS
        while True:
            try:
                return await connect(self._url, pooled=self._pooled)
            except Unavailable as error:
                if self._closing:
                    raise
                announce(PlatformTrouble(doing="connecting to write", error=error, again_in=wait))
                await asyncio.sleep(wait)
                wait = min(wait * 2, longest)

    async def _commit(self, connection: "AsyncConnection[Any]", items: Sequence[Item]) -> _Plan:
        """One transaction for many items. Raises only where the whole transaction failed."""
        try:
            plan = await self._decide(connection, items)
            await self._store(connection, plan)
        except BaseException:
            if not connection.closed:
                await connection.rollback()
            raise
        self.commits += 1
        self.items += len(items)
        return plan

    async def _decide(self, connection: "AsyncConnection[Any]", items: Sequence[Item]) -> _Plan:
        ids = sorted({item.task_id for item in items if not isinstance(item, NewRow)})
        renewing = [item.task_id for item in items if getattr(item, "settings", None) and not isinstance(item, NewRow)]
        rows: list[Any] = []
        async with connection.pipeline():
            await connection.execute("begin")
            clock = await connection.execute("select now()")
            if ids:
                locked = await connection.execute(statements.LOCK_TASKS, {"ids": ids, "settings": renewing})
                rows = await locked.fetchall()
            now = (await clock.fetchall())[0][0]
        plan = _Plan(rows={row[0]: Row(*row[:9], now, *row[9:]) for row in rows})
        for item in items:
            plan.outcomes.append(_apply(plan, item, now))
        return plan

    async def _store(self, connection: "AsyncConnection[Any]", plan: _Plan) -> None:
        changed = [row for row in plan.rows.values() if row.changed]
        cursors: AsyncCursor[Any] | None = None
        async with connection.pipeline():
            if plan.new:
                await connection.execute(statements.INSERT_TASKS, (encode(plan.new),))
            for columns, rows in _by_shape(changed).items():
                await connection.execute(_update(columns), (encode([_values(row, columns) for row in rows]),))
            if plan.events:
                cursors = await connection.execute(statements.INSERT_EVENTS, (_events(plan.events),))
            if plan.dropped_journals:
                await connection.execute(statements.DROP_JOURNAL, (plan.dropped_journals,))
            if plan.journal:
                await connection.execute(statements.INSERT_JOURNAL, (_journal(plan.journal),))
            await connection.execute("commit")
        plan.wakes_deliveries = cursors is not None and cursors.rowcount > 0

    async def _tell(self, connection: "AsyncConnection[Any]", plan: _Plan) -> None:
        """Hint at what was committed, here at once and to other processes by NOTIFY."""
        flags = WORK * plan.wakes_work + DELIVERIES * plan.wakes_deliveries
        ids = list(dict.fromkeys(event.task_id for event in plan.events))
        if not flags and not ids:
            return
        self._hub.wake(flags, ids)
        with suppress(Exception):  # a hint; a broken connection shows itself at the next group
            await connection.execute(statements.NOTIFY, (hint(flags, ids),))


def _apply(plan: _Plan, item: Item, now: "datetime") -> "datetime | Exception":
    if isinstance(item, NewRow):
        plan.new.append(item.columns())
        plan.events.append(
            LoggedEvent(item.id, 1, "task_created", item.state, None, None, item.organization_id, item.agent_id)
        )
        plan.wakes_work |= item.status == "pending"
        return now
    row = plan.rows.get(item.task_id)
    if row is None or row.organization_id != item.organization_id:
        return not_found(item)
    try:
        effect = item.decide(row)
    except ModuleException as error:
        return error
    plan.add(effect, item.task_id)
    return now


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
            f" from json_to_recordset(%s::json) as c(id text, {types}) where t.id = c.id"
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


def _journal(entries: list[dict[str, Any]]) -> str:
    """Entries are JSON text already: they are put in as they are, not encoded once more."""
    parts = [
        f'{{"task_id":{encode(each["task_id"])},"key":{encode(each["key"])},"value":{each["value"]}}}'
        for each in entries
    ]
    return f"[{','.join(parts)}]"


def _settle(waiting: _Waiting, outcome: "datetime | Exception") -> None:
    if waiting.done.done():  # whoever asked has gone; the change stands all the same
        return
    if isinstance(outcome, Exception):
        waiting.done.set_exception(outcome)
    else:
        waiting.done.set_result(outcome)
