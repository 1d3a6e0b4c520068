"""The connection pool of a process's loop: small, quick to reconnect, and checking connections after one has broken."""

import asyncio
import logging
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any

from worker.background import in_background
from worker.contracts.waiting import SOON
from worker.engine.database.connections import configure, options
from worker.engine.database.server_identity import ServerIdentity
from worker.engine.database.urls import url_with_defaults
from worker.engine.database.vault import Vault
from worker.words.errors import Unavailable

if TYPE_CHECKING:
    from psycopg import AsyncConnection
    from psycopg_pool import AsyncConnectionPool


NEXT_SECONDS = 0.01  # before another connection is taken in place of a broken one


class ConnectionPool:
    """A pool of connections in autocommit mode. Created, used and closed on one loop.

    The library's own delays start at one second and double, between attempts to connect and after each broken
    connection. They would make it recover too late after an outage, or while connections are being broken.

    Args:
        url: The database.
        server: The server that the process is connected to.
        pooled: Whether connections go through a transaction pooler.
        size: The largest number of connections.
        vault: Opens sealed values.
        seconds: How long a verb waits for a connection before the database counts as unavailable.
    """

    def __init__(
        self, url: str, server: ServerIdentity, *, pooled: bool, size: int, vault: Vault, seconds: float
    ) -> None:
        from psycopg_pool import AsyncConnectionPool

        from worker.engine.database.session_settings import AsyncSession

        self._seconds = seconds
        self._server = server
        self._vault = vault
        self._pooled = pooled
        self._probes: set[asyncio.Task[None]] = set()
        self._returns: set[asyncio.Task[None]] = set()
        self._pool: AsyncConnectionPool[AsyncConnection[Any]] = AsyncConnectionPool(
            url_with_defaults(url),
            connection_class=AsyncSession,
            kwargs=options(pooled=pooled),
            configure=self._configure,
            min_size=1,
            max_size=size,
            timeout=seconds,
            reconnect_timeout=SOON.first,
            reconnect_failed=self._probe_later,
            open=False,
            name="agno-worker",
        )

    async def open(self) -> None:
        """Start to connect."""
        log = logging.getLogger("psycopg.pool")
        if log.level in (logging.NOTSET, logging.WARNING):
            log.setLevel(logging.ERROR)  # callers get the errors of broken connections anyway
        await self._pool.open()

    async def close(self, seconds: float) -> None:
        """Close all connections, leaving those that do not close in time."""
        for probe in self._probes:
            probe.cancel()
        await self._pool.close(seconds)

    @asynccontextmanager
    async def connection(self) -> "AsyncGenerator[AsyncConnection[Any]]":
        """Borrow a connection that works, as far as is known; psycopg's errors are not translated."""
        until = time.monotonic() + self._seconds
        while True:
            connection = await self._got(until - time.monotonic())
            if await self._works(connection):
                break
            await asyncio.sleep(NEXT_SECONDS)
        try:
            async with connection:
                yield connection
        finally:
            await self._put_back(connection)

    async def _got(self, seconds: float) -> "AsyncConnection[Any]":
        """Take a connection, and notice a cancellation at that moment, which the pool and Python 3.11 overlook."""
        task = asyncio.current_task()
        before = 0 if task is None else task.cancelling()
        connection = await self._pool.getconn(seconds)
        if task is not None and task.cancelling() > before:
            await self._put_back(connection)
            raise asyncio.CancelledError
        return connection

    async def _works(self, connection: "AsyncConnection[Any]") -> bool:
        """Check a connection if another one broke meanwhile; one that fails is closed and returned to the pool."""
        import psycopg

        works = False
        try:
            if not self._pooled:
                await self._server.check(connection)
            elif not self._server.trusts(connection):
                await connection.execute("select 1")
                self._server.trust(connection)
            works = True
        except (psycopg.Error, Unavailable):
            pass
        finally:
            if not works:
                try:
                    await connection.close()
                finally:
                    await self._put_back(connection)
        return works

    async def _put_back(self, connection: "AsyncConnection[Any]") -> None:
        """Return a connection to the pool.

        A cancellation does not interrupt this: the pool would lose the connection, and never answer the caller that was
        to get it next.
        """
        returning = in_background(self._pool.putconn(connection), self._returns, "returning a connection")
        await asyncio.shield(returning)

    def drain(self) -> None:
        """Close and replace idle connections, and those in use once they are returned."""
        in_background(self._pool.drain(), self._probes, "closing connections")

    async def _configure(self, connection: "AsyncConnection[Any]") -> None:
        await configure(connection, self._server, self._vault)

    def _probe_later(self, pool: "AsyncConnectionPool[Any]") -> None:
        """Make the pool try again soon: it does so when a connection is requested; earlier requests keep waiting."""
        in_background(_probe(pool), self._probes, "checking the database")


async def _probe(pool: "AsyncConnectionPool[Any]") -> None:
    import psycopg_pool

    await asyncio.sleep(SOON.pauses().next())
    with suppress(psycopg_pool.PoolTimeout, psycopg_pool.PoolClosed, psycopg_pool.TooManyRequests):
        async with pool.connection():
            pass
