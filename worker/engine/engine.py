"""The engine: a platform on PostgreSQL."""

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

from worker.contracts import Capabilities
from worker.engine import migrate
from worker.engine.client import EngineTasks
from worker.engine.connections import connect, errors, shown
from worker.engine.core import Core
from worker.engine.working import EngineWork
from worker.words.errors import ConfigurationError, Unavailable

if TYPE_CHECKING:
    from worker.engine.embedded import Embedded


class Engine:
    """Tasks, events, leases and journals in PostgreSQL 14 or newer, in the schema ``worker``.

    Args:
        url: The database; none: the embedded PostgreSQL under ``home``, which is migrated by itself.
        home: The folder of the embedded PostgreSQL.
        organization_id: Whose tasks.
        poll: Seconds between looks where nobody hints.
    """

    def __init__(
        self,
        url: str | None = None,
        *,
        home: Path = Path(".worker"),
        organization_id: str = "default",
        poll: float = 1.0,
    ) -> None:
        self._url = url
        self._home = home
        self._poll = poll
        self._organization = organization_id
        self._embedded: Embedded | None = None
        self._core: Core | None = Core(url, poll=poll) if url else None
        self._opening = asyncio.Lock()

    async def open(self) -> None:
        """Connect, starting the embedded server where there is no other. Raises: Unavailable, ConfigurationError."""
        async with self._opening:
            if self._core is None:
                self._core = Core(await self._start_embedded(), poll=self._poll)
                await self.migrate()
            if await self._core.open():
                self._tasks = EngineTasks(self._core, self._organization)
                self._work = EngineWork(self._core, self._organization, self._tasks)

    async def _start_embedded(self) -> str:
        from worker.engine.embedded import Embedded, EmbeddedFailed, EmbeddedUnavailable

        if self._embedded is None:
            try:
                self._embedded = await asyncio.to_thread(Embedded.start, self._home)
            except EmbeddedUnavailable as error:
                raise ConfigurationError(str(error)) from error
            except EmbeddedFailed as error:
                raise Unavailable(str(error)) from error
        return self._embedded.url

    async def close(self) -> None:
        """Let go of every connection, and of the embedded server; idempotent."""
        if self._core is not None:
            await self._core.close()
        if self._embedded is not None:
            embedded, self._embedded = self._embedded, None
            self._core = None
            await asyncio.to_thread(embedded.close)

    @property
    def tasks(self) -> EngineTasks:
        """The verbs of clients."""
        return self._tasks

    @property
    def work(self) -> EngineWork:
        """The verbs of workers."""
        return self._work

    @property
    def core(self) -> Core:
        """Connections and counters, for those who look after the engine."""
        if self._core is None:
            raise RuntimeError("the engine is not open")
        return self._core

    @property
    def capabilities(self) -> Capabilities:
        """All of them."""
        return Capabilities()

    @property
    def description(self) -> str:
        """Where it is; no secret in it."""
        if self._url is None:
            return f"the embedded PostgreSQL in {self._home}"
        pooled = self._core is not None and self._core.pooled
        return shown(self._url) + (" behind a pooler (leases and polling, no LISTEN)" if pooled else "")

    async def migrate(self) -> list[str]:
        """Bring the schema up to date; the names of what was applied."""
        url = self.core.url if self._core is not None else await self._start_embedded()
        connection = await connect(url, pooled=True)  # no prepared statements: each runs once
        try:
            with errors():
                return await migrate.migrate(connection)
        finally:
            await connection.close()

    async def pending_migrations(self) -> list[str]:
        """What ``migrate`` would apply."""
        url = self.core.url if self._core is not None else await self._start_embedded()
        connection = await connect(url, pooled=True)
        try:
            with errors():
                return await migrate.pending(connection)
        finally:
            await connection.close()
