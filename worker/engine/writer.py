"""The grouped writer: one task a process commits everybody's changes in groups.

No waiting window: whatever came while the last group committed is the next group. A group locks its task rows in the
order of their ids, asks each change for its effect, writes all effects with a handful of statements, commits, and
only then hints. A group that fails is split until the bad item stands alone, so its neighbours never notice.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from worker.engine import file_statements, statements
from worker.engine.changes import Row
from worker.engine.connections import connect, translated
from worker.engine.hub import DELIVERIES, WORK
from worker.engine.payloads import encode
from worker.engine.plan import NEVER, Item, NewRow, Plan
from worker.words.errors import TaskNotFound, Unavailable
from worker.words.ids import is_id
from worker.words.notices import PlatformTrouble, announce

if TYPE_CHECKING:
    from psycopg import AsyncConnection, AsyncCursor

GROUP_ITEMS = 256  # beyond it a commit takes longer than its fsync, and everybody waits
GROUP_BYTES = 1024 * 1024
LARGE_BYTES = 256 * 1024  # larger values go alone, on a connection of their own, so that no group waits for them
AWAY_SECONDS = 10.0  # a write that waited so long for a connection is told that there is none, as a read is
RECONNECT_SECONDS = 0.2, 5.0  # first and longest wait between attempts


@dataclass(slots=True)
class _Waiting:
    item: Item
    size: int
    done: asyncio.Future[datetime]
    again: bool = False  # it collided with another transaction once, and may try once more


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

    async def _commit(self, connection: "AsyncConnection[Any]", items: Sequence[Item]) -> Plan:
        """One transaction for many items. Raises only where the whole transaction failed."""
        if all(isinstance(item, NewRow) and not item.files for item in items):
            plan = await self._create(connection, items)
        else:
            plan = await self._change(connection, items)
        self.commits += 1
        self.items += len(items)
        return plan

    async def _create(self, connection: "AsyncConnection[Any]", items: Sequence[Item]) -> Plan:
        """New tasks alone, without uploads, need no lock and no decision: one statement, its own transaction."""
        plan = Plan()
        for item in items:
            plan.take(item)
        made = await connection.execute(statements.INSERT_TASKS, (encode(plan.new),))
        await self._note_created(made, plan)
        return plan

    async def _note_created(self, made: "AsyncCursor[Any]", plan: Plan) -> None:
        ((plan.now, due),) = await made.fetchall()
        plan.wakes_deliveries |= due

    async def _change(self, connection: "AsyncConnection[Any]", items: Sequence[Item]) -> Plan:
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

    async def _decide(self, connection: "AsyncConnection[Any]", items: Sequence[Item]) -> Plan:
        """Lock the rows and ask each change for its effect; new tasks alone have nothing to wait for."""
        ids = sorted({item.task_id for item in items if not isinstance(item, NewRow)})
        plan = Plan()
        if ids:
            renewing = [item.task_id for item in items if getattr(item, "renewal", None)]
            locked = await connection.execute(statements.LOCK_TASKS, {"ids": ids, "settings": renewing})
            plan.rows = {row[0]: Row(*row) for row in await locked.fetchall()}
            plan.now = next((row.now for row in plan.rows.values()), NEVER)
        for item in items:
            plan.take(item)
        return plan

    async def _store(
        self, connection: "AsyncConnection[Any]", plan: Plan
    ) -> "tuple[AsyncCursor[Any] | None, AsyncCursor[Any] | None]":
        """Send what the group writes; the cursors of the statements that say what was created and what is due."""
        made = cursors = None
        if plan.new:
            made = await connection.execute(statements.INSERT_TASKS, (encode(plan.new),))
        for statement, values, ids in plan.updates():
            await connection.execute(statement, (values, ids))
        if plan.dropped_journals:
            await connection.execute(statements.DROP_JOURNAL, (plan.dropped_journals,))
        if plan.journal:
            await connection.execute(statements.INSERT_JOURNAL, plan.journal_columns())
        if plan.dropped_files:
            await connection.execute(file_statements.DROP_TASK_FILES, (plan.dropped_files,))
        if plan.files:
            await connection.execute(file_statements.INSERT_TASK_FILES, (encode(plan.files),))
        if plan.events:
            cursors = await connection.execute(statements.INSERT_EVENTS, (plan.logged(),))
        return made, cursors

    def _tell(self, plan: Plan) -> None:
        """Hint at what was committed."""
        flags = WORK * plan.wakes_work + DELIVERIES * plan.wakes_deliveries
        ids = plan.changed_tasks
        if flags or ids:
            self._told(flags, ids)


def _collisions() -> tuple[type[Exception], ...]:
    """Errors that come of what somebody else did at the same moment, such as giving up a subscription."""
    from psycopg import errors

    return errors.DeadlockDetected, errors.SerializationFailure, errors.ForeignKeyViolation


def _settle(waiting: _Waiting, outcome: datetime | Exception) -> None:
    if waiting.done.done():  # whoever asked has gone; the change stands all the same
        return
    if isinstance(outcome, Exception):
        waiting.done.set_exception(outcome)
    else:
        waiting.done.set_result(outcome)
