"""What all requests of a server share: the platform, its keys, its event feeds, and whether it is closing."""

import asyncio
import hashlib
import hmac
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from worker.contracts import Host, Key, Room
from worker.server.feeds import Feeds
from worker.server.links import Links
from worker.server.queues import Queues
from worker.server.secrets import Secrets
from worker.settings import Settings
from worker.telemetry import metrics
from worker.telemetry.exposition import Standings
from worker.telemetry.lag import LoopLag
from worker.words.errors import (
    AgentNotFound,
    ConfigurationError,
    ModuleException,
    NotFound,
    TaskNotFound,
    Unavailable,
)
from worker.words.notices import PlatformTrouble, announce
from worker.words.tasks import TaskQuery, TaskRecord

KEY_SECONDS = 5.0  # how long a key is believed without a look: a revoked one opens nothing after that
KEYS_KEPT = 1024
MARKS = "session marks"  # the name of a secret, not the secret
AWAY_SECONDS = 1.0, 15.0  # first and longest wait for a database that is away at the start
SILENCE_LOOK_SECONDS = 60.0


class Unauthorized(ModuleException):
    """The key is missing or wrong."""

    status = 401


@dataclass(frozen=True, slots=True)
class Access:
    """What a request may reach."""

    room: Room
    agents: frozenset[str] | None = None

    def reaches(self, agent_id: str) -> bool:
        """Whether an agent is within reach."""
        return self.agents is None or agent_id in self.agents

    def check(self, agent_id: str) -> None:
        """Let pass only what is within reach. Raises: AgentNotFound."""
        if not self.reaches(agent_id):
            raise AgentNotFound(agent_id)

    def within(self, query: TaskQuery) -> TaskQuery:
        """A query for what is within reach alone."""
        if self.agents is None:
            return query
        agents = self.agents if query.agents is None else self.agents.intersection(query.agents)
        return query.model_copy(update={"agents": tuple(sorted(agents))})

    async def check_task(self, task_id: str) -> None:
        """Let pass only tasks of agents within reach. Raises: TaskNotFound."""
        if self.agents is not None:
            await self.task(task_id)

    async def task(self, task_id: str) -> TaskRecord:
        """A task within reach. Raises: TaskNotFound."""
        task = await self.room.tasks.get(task_id)
        if not self.reaches(task.agent_id):
            raise TaskNotFound(task_id)
        return task


class Service:
    """A server's own state. Made on any loop, used on one.

    Args:
        host: The platform, of all organizations.
        settings: The key and the limits.
        open_without_key: Whether requests need no key while there is none at all (loopback only).
    """

    def __init__(self, host: Host, settings: Settings, *, open_without_key: bool = True) -> None:
        self.host = host
        self.settings = settings
        self.secrets = Secrets(host, settings)
        self.links = Links(self.secrets)
        self.feeds = Feeds()
        self.queues = Queues(settings.max_queued)
        self.standings = Standings()
        self._lag: LoopLag | None = None
        self.closing = asyncio.Event()
        self.is_open = False
        self.holdings: dict[str, dict[str, int]] = {}  # what native workers with a stream here were given
        self._own_key = _digest(settings.server_key.get_secret_value()) if settings.server_key else None
        self._open_without_key = open_without_key and self._own_key is None
        self._keys: OrderedDict[str, tuple[float, Key | None]] = OrderedDict()
        self._exist: tuple[float, bool] | None = None
        self._background: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Open the platform; where the database is away, go on trying beside the requests."""
        self.closing = asyncio.Event()
        figures = metrics.of_this_process()
        self._lag = LoopLag(lambda seconds: figures.observe("event_loop_lag_seconds", seconds))
        try:
            await self._open()
        except Unavailable:
            self.beside(self._open_later())
        self.beside(self._look_for_silent())

    async def _open(self) -> None:
        await self.host.open()
        self.host.guard()
        self.is_open = True

    async def _open_later(self) -> None:
        wait, longest = AWAY_SECONDS
        while not self.closing.is_set():
            try:
                await self._open()
            except ModuleException as error:
                announce(PlatformTrouble(doing="opening the platform", error=error, again_in=wait))
                await self.pause(wait)
                wait = min(wait * 2, longest)
            else:
                return

    async def _look_for_silent(self) -> None:
        while not await self.pause(SILENCE_LOOK_SECONDS):
            try:
                if self.is_open:
                    await self.host.end_silent()
            except ModuleException as error:
                announce(PlatformTrouble(doing="ending silent tasks", error=error, again_in=SILENCE_LOOK_SECONDS))

    async def pause(self, seconds: float) -> bool:
        """Wait, but not beyond the server's end; whether that came."""
        try:
            async with asyncio.timeout(seconds):
                await self.closing.wait()
        except TimeoutError:
            return False
        return True

    def close(self) -> None:
        """Have every stream and every long poll end."""
        self.closing.set()
        if self.is_open:
            self.host.room(self.host.organization_id).work.nudge()

    async def stop(self) -> None:
        """Wait for what is done beside the requests."""
        self.close()
        if self._lag is not None:
            self._lag.stop()
        await self.feeds.close()
        while self._background:
            await asyncio.gather(*self._background, return_exceptions=True)

    def beside(self, work: Coroutine[Any, Any, None]) -> None:
        """Do something beside the requests; the server's end waits for it."""
        task = asyncio.get_running_loop().create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    async def admit(self, key: str | None, organization_id: str | None) -> Access:
        """Decide what a request may reach.

        Args:
            key: Its key.
            organization_id: The organization its address names.

        Raises:
            Unauthorized: The key is missing or wrong.
            NotFound: The key is another organization's.
            Unavailable: The database is away.
        """
        self._check_open()
        if self._own_key is not None and key and hmac.compare_digest(_digest(key), self._own_key):
            return self._access(self.settings.organization_id, organization_id, None)
        found = await self._find(key) if key else None
        if found is not None:
            return self._access(found.organization_id, organization_id, found.agents)
        if self._open_without_key and not await self._any_key():
            return Access(self.host.room(organization_id or self.settings.organization_id))
        raise Unauthorized(description="The header x-api-key is missing or wrong.")

    async def mark(self, key: str) -> str:
        """What a signed session remembers of a key in its place: nobody can make a key of it.

        Raises:
            Unauthorized: The key opens nothing.
            Unavailable: The database is away.
        """
        self._check_open()
        if self._own_key is not None and hmac.compare_digest(_digest(key), self._own_key):
            return await self._own_mark()
        found = await self._find(key)
        if found is None:
            raise Unauthorized(description="The server does not know this key.")
        return found.id

    async def readmit(self, mark: str, organization_id: str | None) -> Access:
        """Decide what a session may reach that began with a key, as ``admit`` does; its key may be gone by now.

        Raises:
            Unauthorized: The key opens nothing any more.
            NotFound: The key is another organization's.
            Unavailable: The database is away.
        """
        self._check_open()
        if self._own_key is not None and hmac.compare_digest(mark, await self._own_mark()):
            return self._access(self.settings.organization_id, organization_id, None)
        found = await self._known(f"id {mark}", lambda: self.host.keys.get(mark))
        if found is None:
            raise Unauthorized(description="The key of this session opens nothing any more.")
        return self._access(found.organization_id, organization_id, found.agents)

    def _check_open(self) -> None:
        if not self.is_open:
            raise Unavailable("the database cannot be reached", retry_after=2)

    async def _own_mark(self) -> str:
        secret = await self.host.keys.secret(MARKS)
        return "own." + hmac.new(secret, (self._own_key or "").encode(), hashlib.sha256).hexdigest()

    def _access(self, own: str, asked: str | None, agents: tuple[str, ...] | None) -> Access:
        if asked is not None and asked != own:
            raise NotFound("This key's organization is not the one that the address names.")
        return Access(self.host.room(own), frozenset(agents) if agents is not None else None)

    async def _find(self, key: str) -> Key | None:
        return await self._known(_digest(key), lambda: self.host.keys.find(key))

    async def _known(self, name: str, look: Callable[[], Awaitable[Key | None]]) -> Key | None:
        known = self._keys.get(name)
        if known is not None and known[0] > time.monotonic():
            return known[1]
        found = await look()
        self._keys[name] = (time.monotonic() + KEY_SECONDS, found)
        while len(self._keys) > KEYS_KEPT:
            self._keys.popitem(last=False)
        return found

    async def _any_key(self) -> bool:
        if self._exist is None or self._exist[0] < time.monotonic():
            self._exist = time.monotonic() + KEY_SECONDS, await self.host.keys.exist()
        return self._exist[1]

    async def allowance(self, key: str, access: Access) -> list[str]:
        """The agents that a key may call, among those of the organization of who asks."""
        try:
            its = await self.admit(key, access.room.organization_id)
        except (Unauthorized, NotFound):
            return []
        listed = [agent.id for agent in await its.room.tasks.list_agents()]
        both = set(listed) | set(its.agents or ()) if its.agents is not None else set(listed)
        return sorted(agent for agent in both if its.reaches(agent) and access.reaches(agent))

    async def readiness(self) -> None:
        """Say whether requests can be served. Raises: Unavailable, ConfigurationError."""
        if not self.is_open:
            raise Unavailable("the database cannot be reached", retry_after=2)
        missing = await self.host.pending_migrations()
        if missing:
            raise ConfigurationError(f"the database's schema lacks {', '.join(missing)}: run `worker migrate`")


def _digest(key: str) -> str:
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()
