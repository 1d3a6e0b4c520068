"""The engine: a platform on PostgreSQL."""

import asyncio
from collections.abc import AsyncGenerator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from worker.contracts import Capabilities, Stats
from worker.contracts.secrets import Secrets
from worker.engine.core import Core
from worker.engine.database import migrate
from worker.engine.database.answer_links import AnswerLinks
from worker.engine.database.connections import check_encoding, connect, errors
from worker.engine.database.statements import presence as sql_presence
from worker.engine.database.statements import workers as sql_workers
from worker.engine.database.urls import check_url, shown
from worker.engine.database.vault import Vault
from worker.engine.liveness.clock import watch
from worker.engine.timings import DEFAULT, EngineTimings
from worker.engine.verbs.audit import EngineAudit
from worker.engine.verbs.children import maintain_children, wake_parents
from worker.engine.verbs.dead_letters import EngineDeadLetters
from worker.engine.verbs.file_access import EngineUploads
from worker.engine.verbs.input_answers import expire_requests
from worker.engine.verbs.keys import EngineKeys
from worker.engine.verbs.knowledge import vectors
from worker.engine.verbs.knowledge.bases import EngineKnowledge
from worker.engine.verbs.page_sessions import EngineSessions
from worker.engine.verbs.presence import EnginePresence, end_silent
from worker.engine.verbs.providers import look_after
from worker.engine.verbs.retention import Retention
from worker.engine.verbs.stats import stats
from worker.engine.verbs.tasks import EngineTasks
from worker.engine.verbs.work import EngineWork
from worker.words.errors import ConfigurationError, Unavailable
from worker.words.upkeep import Removed

if TYPE_CHECKING:
    from worker.engine.embedded import Embedded


class EngineOrganization:
    """The engine's verbs for one organization."""

    def __init__(self, core: Core, organization_id: str) -> None:
        self._core = core
        self.organization_id = organization_id
        self.tasks = EngineTasks(core, organization_id)
        self.work = EngineWork(core, organization_id, self.tasks)
        self.deliveries = EngineDeadLetters(core, organization_id)
        self.knowledge = EngineKnowledge(core, organization_id, self.tasks)
        self.presence = EnginePresence(core, organization_id, self.work)
        self.audit = EngineAudit(core, organization_id)
        self.uploads = EngineUploads(core, organization_id)

    async def stats(self) -> Stats:
        """Return counts of the organization's unfinished work."""
        return await stats(self._core, self.organization_id)


class Engine:
    """Tasks, events, leases and journals in PostgreSQL 14 or newer, in the schema ``worker``.

    Args:
        url: The database; None means the embedded PostgreSQL under ``home``, which is migrated automatically.
        home: The folder of the embedded PostgreSQL.
        organization_id: The default organization.
        poll: Seconds between polls when no hint arrives.
        retention_days: How long finished tasks are kept, 0 forever; a worker or server cleans up once a day. None
            means that nothing is removed automatically.
        audit_days: How long lines of the audit log are kept, 0 forever.
        encryption_key: One or more keys, separated by spaces, that encrypt the secrets of tasks.
        encrypt_all: Whether inputs, results, events, journals and files are encrypted too.
        public_url: The HTTP server's address, used in links to input requests; None means that requests have no links.
        secret: The secret from which the server derives its other secrets, if configured.
        timings: The timeouts and intervals; tests shorten them.

    Attributes:
        tasks, work, deliveries, knowledge: The verbs for the default organization, once the engine is open.

    Raises:
        ConfigurationError: The URL cannot be parsed, or the encryption key is invalid.
    """

    tasks: EngineTasks
    work: EngineWork
    deliveries: EngineDeadLetters
    knowledge: EngineKnowledge

    def __init__(
        self,
        url: str | None = None,
        *,
        home: Path = Path(".worker"),
        organization_id: str = "default",
        poll: float = 1.0,
        retention_days: int | None = None,
        audit_days: int = 0,
        encryption_key: str | None = None,
        encrypt_all: bool = False,
        public_url: str | None = None,
        secret: str | None = None,
        timings: EngineTimings = DEFAULT,
    ) -> None:
        self._timings = timings
        if url is not None:
            check_url(url)
        self._vault = Vault(encryption_key, everything=encrypt_all)
        self._again = partial(
            Engine,
            url,
            home=home,
            organization_id=organization_id,
            poll=poll,
            encryption_key=encryption_key,
            encrypt_all=encrypt_all,
            public_url=public_url,
            secret=secret,
            timings=timings,
        )
        self._links = AnswerLinks(Secrets(lambda: self.sessions, secret), public_url)
        self._url = url
        self._home = home
        self._poll = poll
        self.organization_id = organization_id
        self._embedded: Embedded | None = None
        self._retention_days = retention_days
        self._audit_days = audit_days
        self._core: Core | None = self._create_core(url) if url else None
        self._organizations: dict[str, EngineOrganization] = {}
        self._opening = asyncio.Lock()

    def another(self) -> "Engine":
        """Return another engine on the same database."""
        return self._again()

    async def open(self) -> None:
        """Connect, starting the embedded server if no URL is given.

        Raises:
            Unavailable: The database cannot be reached.
            ConfigurationError: The URL, the role or the schema is wrong.
        """
        async with self._opening:
            if self._core is None:
                self._core = self._create_core(await self._start_embedded())
                await self.migrate()
            if await self._core.open():
                self._organizations.clear()
                organization = self.organization(self.organization_id)
                self.tasks = EngineTasks(self._core, self.organization_id, self._links)
                self.work, self.deliveries = organization.work, organization.deliveries
                self.knowledge = organization.knowledge

    def _create_core(self, url: str) -> Core:
        core = Core(url, poll=self._poll, vault=self._vault, timings=self._timings)
        core.links = self._links
        days = self._retention_days
        if days is not None:
            core.upkeep.append(lambda: Retention(core, self._audit_days).every_day(days))
        core.upkeep.append(lambda: look_after(core))
        core.upkeep.append(lambda: expire_requests(core))
        core.upkeep.append(lambda: maintain_children(core))
        core.upkeep.append(lambda: wake_parents(core))
        core.upkeep.append(lambda: watch(core, core.timings.clock))
        core.upkeep.append(core.turns.look_after)
        return core

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
        """Close all connections, and release the embedded server; idempotent."""
        if self._core is not None:
            await self._core.close()
        if self._embedded is not None:
            embedded, self._embedded = self._embedded, None
            self._core = None
            await asyncio.to_thread(embedded.close)

    def organization(self, organization_id: str) -> EngineOrganization:
        """Return the verbs of one organization; all organizations share the connections."""
        if organization_id not in self._organizations:
            self._organizations[organization_id] = EngineOrganization(self.core, organization_id)
        return self._organizations[organization_id]

    def guard(self) -> None:
        """Start to scan for dead workers."""
        self.core.guard()

    async def end_silent(self) -> int:
        """End tasks that are held without a lease by a client that has been silent for an hour, and return how many."""
        return await end_silent(self.core)

    async def count_removable(self, days: int) -> Removed:
        """Return the amounts that ``clean`` would remove."""
        return await Retention(self.core, self._audit_days).count_removable(days)

    def clean(self, days: int) -> AsyncGenerator[Removed]:
        """Remove finished tasks older than the given days, and unreferenced data, batch by batch."""
        return Retention(self.core, self._audit_days).clean(days)

    @property
    def is_open(self) -> bool:
        """Whether the engine is connected."""
        return self._core is not None and bool(self._organizations)

    @property
    def keys(self) -> EngineKeys:
        """Keys of the HTTP server."""
        return EngineKeys(self.core)

    @property
    def sessions(self) -> EngineSessions:
        """Sessions of the HTTP server's pages."""
        return EngineSessions(self.core)

    async def stats(self) -> Stats:
        """Return counts of the default organization's unfinished work."""
        return await self.organization(self.organization_id).stats()

    @property
    def core(self) -> Core:
        """Connections and counters, for operating and testing the engine."""
        if self._core is None:
            raise RuntimeError("the engine is not open")
        return self._core

    @property
    def capabilities(self) -> Capabilities:
        """The capabilities of the engine: all of them."""
        return Capabilities()

    @property
    def description(self) -> str:
        """Where the database is, without any secret."""
        if self._url is None:
            return f"the embedded PostgreSQL in {self._home}"
        pooled = self._core is not None and self._core.pooled
        return shown(self._url) + (" behind a pooler (leases and polling, no LISTEN)" if pooled else "")

    async def migrate(self) -> list[str]:
        """Bring the schema up to date, and return the names of the migrations applied."""
        url = self.core.url if self._core is not None else await self._start_embedded()
        connection = await connect(url, pooled=True)  # without prepared statements, since each runs once
        try:
            check_encoding(connection)
            with errors():
                applied = await migrate.migrate(connection, self._timings)
                await vectors.set_up(connection)
                return applied
        finally:
            await connection.close()

    async def connection_limit(self) -> int:
        """Return how many connections this user may open, by the lowest limit that applies."""
        return (await self.core.rows(sql_workers.CONNECTION_LIMIT))[0]["connections"]

    async def hung_threads(self) -> dict[str, int]:
        """Return the number of hung threads of each live worker that has any, in all organizations."""
        return {row["id"]: row["hung_threads"] for row in await self.core.read(sql_presence.HUNG_THREADS)}

    async def pending_migrations(self) -> list[str]:
        """Return the names of the migrations that ``migrate`` would apply."""
        url = self.core.url if self._core is not None else await self._start_embedded()
        connection = await connect(url, pooled=True)
        try:
            with errors():
                return await migrate.pending(connection)
        finally:
            await connection.close()
