"""What all verbs of the engine share: connections, the writer, wake-ups and the heartbeat."""

import asyncio
import contextvars
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, LiteralString, TypeVar

from worker.contracts.bounds import CALL_SECONDS, remaining
from worker.contracts.lease import OwnLease
from worker.contracts.waiting import SOON
from worker.engine.commit.writer import Writer
from worker.engine.database.agent_models import AgentModels
from worker.engine.database.answer_links import AnswerLinks
from worker.engine.database.bounds import StatementBounds
from worker.engine.database.connections import (
    BY_INDEX,
    GRANTS,
    errors,
    is_lost,
    is_pooled,
    is_unusable_server,
)
from worker.engine.database.pool import ConnectionPool
from worker.engine.database.searching import Crowded, Searches
from worker.engine.database.server_identity import ServerIdentity
from worker.engine.database.statements import keys as sql_keys
from worker.engine.database.statements import tasks as sql_tasks
from worker.engine.database.statements import workers as sql_workers
from worker.engine.database.urls import settled
from worker.engine.database.vault import NO_KEY, PROBE, Vault
from worker.engine.liveness.heartbeat import Heartbeat, OnDeath
from worker.engine.liveness.notifier import Notifier
from worker.engine.liveness.parents import Parents
from worker.engine.liveness.rescue import Rescue
from worker.engine.liveness.turns import TurnKeeper
from worker.engine.liveness.wakeups import Wakeups
from worker.engine.timings import DEFAULT, EngineTimings
from worker.words.errors import ConfigurationError, Unavailable

if TYPE_CHECKING:
    from psycopg import AsyncConnection

Upkeep = Callable[[], Coroutine[Any, Any, None]]
"""A maintenance loop that a worker or a server runs alongside its work, until it is closed."""

Asked = tuple[LiteralString, Sequence[Any]]
"""A statement and its parameters."""

Rows = TypeVar("Rows")

POOL_SIZE = 2  # with those of the writer and the heartbeat, four connections per process
CONNECTIONS = POOL_SIZE + 2
ENCRYPTION_PROBE = "encryption probe"  # the name of a row of worker.secrets

CLOSE_SECONDS = 2.0  # for connections to be closed in order


class Core:
    """One process's hold on the database. Created and used on one loop.

    Args:
        url: The database.
        poll: Seconds between polls when no hint arrives; tests shorten it.
        vault: Encrypts secrets at rest; None means that nothing is encrypted.
        timings: The timeouts and intervals.
    """

    def __init__(
        self, url: str, *, poll: float = 1.0, vault: Vault | None = None, timings: EngineTimings = DEFAULT
    ) -> None:
        self.timings = timings
        self.url = settled(url)
        self.vault = vault or Vault()
        self.poll = poll
        self.pooled = False
        self.server = ServerIdentity(self._left_server)
        self.lease = OwnLease()
        self.bounds = StatementBounds(timings.cancel)
        self.models = AgentModels(self)
        self.turns = TurnKeeper(self)
        self.parents = Parents()
        self.links: AnswerLinks | None = None  # for records returned to this process itself
        self.wakeups: Wakeups
        self.writer: Writer
        self.heartbeat: Heartbeat
        self.rescue: Rescue
        self._pool: ConnectionPool | None = None
        self.claims = 0
        self.upkeep: list[Upkeep] = []
        self._upkeep: list[asyncio.Task[None]] = []
        self._opening = asyncio.Lock()
        self._searches = Searches(self.url, self.vault, timings.search)
        self._has_checked_key = False

    async def open(self) -> bool:
        """Connect, and return whether the engine was not open before; raise Unavailable or ConfigurationError."""
        async with self._opening:
            if self._pool is not None:
                return False
            self.pooled = await is_pooled(self.url)
            self.wakeups = Wakeups(asyncio.get_running_loop())
            self._notifier = Notifier(self.wakeups.name, self._notify)
            self.writer = Writer(
                self.url,
                self.announce,
                self.turns.look_at,
                self.parents.note,
                pooled=self.pooled,
                server=self.server,
                lease=self.lease,
                vault=self.vault,
                timings=self.timings,
            )
            self.rescue = Rescue(self, self.writer, self.wakeups.loop)
            self.heartbeat = self._new_heartbeat(None)
            self._pool = ConnectionPool(
                self.url,
                self.server,
                pooled=self.pooled,
                size=POOL_SIZE,
                vault=self.vault,
                seconds=self.timings.reading,
            )
            await self._pool.open()
            self.writer.start()
            return True

    async def close(self) -> None:
        """Commit pending writes and close all connections; idempotent."""
        async with self._opening:
            if self._pool is None:
                return
            await self._end_upkeep()
            await asyncio.to_thread(self.heartbeat.stop)
            await self.rescue.close()
            await self.writer.close()
            await self.turns.close()
            await self._notifier.close()  # uses the pool, which is therefore closed last
            pool, self._pool = self._pool, None
            await self.bounds.settled(CLOSE_SECONDS)
            await pool.close(CLOSE_SECONDS)

    @asynccontextmanager
    async def connection(self, seconds: float | None = None) -> AsyncGenerator["AsyncConnection[Any]"]:
        """Borrow a connection in autocommit mode.

        Args:
            seconds: The time limit for each answer; None means ten.

        Raises:
            Unavailable: The database cannot be reached, or took longer.
            ConfigurationError: The URL or the schema is wrong.
        """
        if self._pool is None:
            raise Unavailable("the platform is not open")
        with errors():
            async with self._pool.connection() as connection:
                try:
                    with self.bounds.using(connection, seconds):
                        yield connection
                except Exception as error:
                    if is_lost(connection, error) or is_unusable_server(error):
                        self.server.suspect()
                    if is_unusable_server(error):
                        await connection.close()
                    raise

    def _left_server(self) -> None:
        """Close idle connections to the previous server, from any thread; those in use are not reused."""
        self.wakeups.loop.call_soon_threadsafe(self._drain_pool)

    def _drain_pool(self) -> None:
        if self._pool is not None:
            self._pool.drain()

    async def rows(
        self,
        sql: LiteralString,
        parameters: Sequence[Any] | Mapping[str, Any] = (),
        *,
        seconds: float | None = None,
    ) -> list[dict[str, Any]]:
        """Run one statement in its own transaction, and return its rows as dicts.

        Args:
            sql: The statement.
            parameters: Its parameters.
            seconds: The time limit; None means the rest of the current call's time, at most ten.

        Raises:
            Unavailable: It took longer, or the database cannot be reached.
        """
        return await self.bounds.within(lambda: self._rows(sql, parameters, seconds), seconds or remaining())

    async def _rows(
        self, sql: LiteralString, parameters: Sequence[Any] | Mapping[str, Any], seconds: float | None
    ) -> list[dict[str, Any]]:
        from psycopg.rows import dict_row

        async with self.connection(seconds) as connection, connection.cursor(row_factory=dict_row) as cursor:
            await cursor.execute(sql, parameters)
            return [] if cursor.rownumber is None else await cursor.fetchall()

    async def by_index(self, sql: LiteralString, parameters: Sequence[Any] | Mapping[str, Any] = ()) -> int:
        """Run a statement on a few rows of a large table, forcing it to use an index, and return their number."""
        async with self.connection() as connection, connection.transaction():
            await connection.execute(BY_INDEX)
            return (await connection.execute(sql, parameters)).rowcount

    async def search(self, sql: LiteralString, parameters: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Run a statement that no index supports, isolated from others; raise ValidationError if it takes too long."""
        return await self._retry(
            lambda: self.bounds.within(lambda: self._searches.rows(sql, parameters, pooled=self.pooled), remaining()),
            patient=False,
        )

    async def read(
        self,
        sql: LiteralString,
        parameters: Sequence[Any] | Mapping[str, Any] = (),
        *,
        patient: bool = False,
        seconds: float | None = None,
    ) -> list[dict[str, Any]]:
        """Return the rows of a statement that may run twice, repeating it if the connection breaks.

        Args:
            sql: The statement.
            parameters: Its parameters.
            patient: Whether a live attempt asks, which waits as long as the database is unavailable.
            seconds: The time limit of one try; None means the rest of the current call's time, at most ten.
        """
        if patient and seconds is None:
            seconds = CALL_SECONDS
        return await self._retry(lambda: self.rows(sql, parameters, seconds=seconds), patient=patient)

    async def read_each(self, *asked: Asked) -> list[list[dict[str, Any]]]:
        """Return the rows of several statements that may run twice, with one wait for all of them."""
        return await self._retry(lambda: self.bounds.within(lambda: self._rows_each(asked), remaining()), patient=False)

    async def _rows_each(self, asked: Iterable[Asked]) -> list[list[dict[str, Any]]]:
        from psycopg.rows import dict_row

        async with self.connection() as connection, connection.pipeline():
            cursors = [await connection.cursor(row_factory=dict_row).execute(*each) for each in asked]
            return [await cursor.fetchall() for cursor in cursors]

    async def _retry(self, ask: Callable[[], Awaitable[Rows]], *, patient: bool) -> Rows:
        until = time.monotonic() + min(self.timings.reading, remaining())
        pauses = SOON.pauses()
        while True:
            try:
                return await ask()
            except Unavailable as error:
                if self._pool is None or (not patient and time.monotonic() >= until) or isinstance(error, Crowded):
                    raise
            await asyncio.sleep(pauses.next())

    async def check_key(self) -> None:
        """Check, once, that the encryption key is the one with which this database's secrets were written.

        Raises:
            ConfigurationError: The key is another one, or missing.
        """
        if self._has_checked_key:
            return
        if self.vault.has_key:
            mine = self.vault.seal_bytes(PROBE)
            (row,) = await self.rows(sql_keys.GET_OR_CREATE, (ENCRYPTION_PROBE, mine))
            self.vault.open_bytes(bytes(row["value"]))
            await self.rows(sql_keys.REPLACE_VALUE, (mine, ENCRYPTION_PROBE))  # sealed with the first of the keys
        elif await self.rows(sql_keys.FIND_VALUE, (ENCRYPTION_PROBE,)):
            raise ConfigurationError(NO_KEY)
        self._has_checked_key = True

    def announce(self, flags: str, task_ids: list[str], disturbed: list[str] | None = None) -> None:
        """Wake waiters in this process, and send a hint to other processes.

        Args:
            flags: The hint's flags.
            task_ids: Tasks that changed.
            disturbed: Those that were not changed by their own attempt alone; None means all.
        """
        self.wakeups.wake(flags, task_ids, disturbed)
        self._notifier.send(flags, task_ids, has_waiters=self.wakeups.watches(task_ids))

    async def _notify(self, payload: str) -> None:
        await self.rows(sql_tasks.NOTIFY, (payload,))

    def listen(self) -> None:
        """Start to receive other processes' hints; a client does so once it follows events."""
        if not self.heartbeat.running:
            self.heartbeat.start()

    def guard(self) -> None:
        """Start to scan for dead workers; a server does, since its remote workers have no heartbeat on the database."""
        self._begin_upkeep()
        if self.heartbeat.running and self.heartbeat.rescues:
            return
        if self.heartbeat.running:
            self.heartbeat.stop()
        self.heartbeat = self._new_heartbeat(self.rescue.on_death)
        self.heartbeat.start()

    def beat(self, worker_id: str, lock_key: int, lease_seconds: float, subscriptions: list[int]) -> None:
        """Keep a worker alive, and scan for dead ones."""
        self.rescue.subscriptions = subscriptions
        self._begin_upkeep()
        if self.heartbeat.running and self.heartbeat.rescues and self.heartbeat.free_for(worker_id):
            self.heartbeat.hold(worker_id, lock_key, lease_seconds)
            return
        if self.heartbeat.running:
            self.heartbeat.stop()
        self.heartbeat = self._new_heartbeat(self.rescue.on_death)
        self.heartbeat.hold(worker_id, lock_key, lease_seconds)
        self.heartbeat.start()

    def _new_heartbeat(self, on_death: OnDeath | None) -> Heartbeat:
        return Heartbeat(
            self.url,
            self.wakeups,
            on_death,
            pooled=self.pooled,
            server=self.server,
            lease=self.lease,
            timings=self.timings,
        )

    def _begin_upkeep(self) -> None:
        if not self._upkeep:
            empty = contextvars.Context()  # the first caller's time limit and task name must not apply to the upkeep
            self._upkeep = [asyncio.create_task(each(), name="upkeep", context=empty.copy()) for each in self.upkeep]

    async def _end_upkeep(self) -> None:
        upkeep, self._upkeep = self._upkeep, []
        for each in upkeep:
            each.cancel()
        await asyncio.gather(*upkeep, return_exceptions=True)

    async def check_rights(self) -> None:
        """Raise ConfigurationError if the role lacks a right that a worker needs, before any work is begun."""
        rows = await self.rows(sql_workers.MISSING_RIGHTS)
        missing = rows[0]["missing"] if rows else []
        if missing:
            raise ConfigurationError(f"the database role lacks the privileges {', '.join(sorted(missing))}; {GRANTS}")
