"""The connections of a process's loop: few, made anew at once, each looked at before use where another one broke."""

import asyncio
import logging
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from contextvars import Context
from typing import TYPE_CHECKING, Any

from worker.contracts.waiting import SOON
from worker.engine.database.connections import configure, options, whole_url
from worker.engine.database.server_identity import ServerIdentity
from worker.engine.database.vault import Vault
from worker.words.errors import Unavailable

if TYPE_CHECKING:
    from psycopg import AsyncConnection
    from psycopg_pool import AsyncConnectionPool


NEXT_SECONDS = 0.01  # before another connection is taken in the place of one that turned out to be broken


class ConnectionPool:
    """Connections in autocommit mode. Made, used and closed on one loop.

    The library's own waits double, from one second on: between tries to connect, and after each connection that turns
    out to be broken. After an absence, or while connections are being broken, it would come back late.

    Args:
        url: The database.
        server: The server that the process is on.
        pooled: A transaction pooler stands between.
        size: How many there are at the most.
        vault: Opens what is sealed.
        seconds: How long a verb waits for a connection before the database counts as away.
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
        self._pool: AsyncConnectionPool[AsyncConnection[Any]] = AsyncConnectionPool(
            whole_url(url),
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
        """Begin to connect."""
        log = logging.getLogger("psycopg.pool")
        if log.level in (logging.NOTSET, logging.WARNING):
            log.setLevel(logging.ERROR)  # of connections that broke, whoever used them hears
        await self._pool.open()

    async def close(self, seconds: float) -> None:
        """Let go of every connection; what does not let go in time is left."""
        for probe in self._probes:
            probe.cancel()
        await self._pool.close(seconds)

    @asynccontextmanager
    async def connection(self) -> "AsyncGenerator[AsyncConnection[Any]]":
        """Borrow a connection that works, as far as is known. Raises: psycopg's errors."""
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
            await self._pool.putconn(connection)

    async def _got(self, seconds: float) -> "AsyncConnection[Any]":
        """Take a connection; whoever is cancelled as one comes free is: the pool, and Python 3.11, pass over that."""
        task = asyncio.current_task()
        before = 0 if task is None else task.cancelling()
        connection = await self._pool.getconn(seconds)
        if task is not None and task.cancelling() > before:
            await self._pool.putconn(connection)
            raise asyncio.CancelledError
        return connection

    async def _works(self, connection: "AsyncConnection[Any]") -> bool:
        """Look at a connection, if another one broke meanwhile; one that does not work is given back for good."""
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
                await connection.close()
                await self._pool.putconn(connection)
        return works

    def drain(self) -> None:
        """Have idle connections closed and made anew; those in use are once they are given back."""
        loop = asyncio.get_running_loop()
        draining = loop.create_task(self._pool.drain(), name="closing connections", context=Context())
        self._probes.add(draining)
        draining.add_done_callback(self._probes.discard)

    async def _configure(self, connection: "AsyncConnection[Any]") -> None:
        await configure(connection, self._server, self._vault)

    def _probe_later(self, pool: "AsyncConnectionPool[Any]") -> None:
        """Have the pool try again soon: it does when somebody asks for a connection, and who asked before waits on."""
        probe = asyncio.get_running_loop().create_task(_probe(pool), name="looking for the database", context=Context())
        self._probes.add(probe)
        probe.add_done_callback(self._probes.discard)


async def _probe(pool: "AsyncConnectionPool[Any]") -> None:
    import psycopg_pool

    await asyncio.sleep(SOON.pauses().next())
    with suppress(psycopg_pool.PoolTimeout, psycopg_pool.PoolClosed, psycopg_pool.TooManyRequests):
        async with pool.connection():
            pass
