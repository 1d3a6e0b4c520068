"""The state that all requests of a server share: the platform, keys, event feeds, and whether the server is closing."""

import asyncio
import math
import time
from collections.abc import Coroutine
from contextlib import AbstractAsyncContextManager
from typing import Any

from worker.background import in_background
from worker.contracts import Host
from worker.contracts.secrets import Secrets
from worker.contracts.waiting import within
from worker.server.feeds import Feeds
from worker.server.identity.answer_links import SignedAnswerLinks
from worker.server.identity.claims import Claimants
from worker.server.identity.keyring import Keyring
from worker.server.identity.links import Links
from worker.server.identity.refusals import Refusals
from worker.server.identity.wrong_keys import Guesses
from worker.server.limits.body_memory import BodyMemory
from worker.server.queues import Queues
from worker.server.timings import DEFAULT, ServerTimings
from worker.settings import Settings
from worker.telemetry import metrics
from worker.telemetry.exposition import StatsCache
from worker.telemetry.lag import LoopLag
from worker.words.errors import ConfigurationError, ModuleException, Unavailable
from worker.words.notices import PlatformTrouble, announce

SILENCE_LOOK_SECONDS = 60.0
REFUSALS_SECONDS = 60.0


class Service:
    """The state of a server. It may be created on any event loop, and is used on one.

    Args:
        host: The platform, for all organizations.
        settings: The key and the limits.
        open_without_key: Whether requests need no key while no key exists (loopback only).
        timings: Timeouts and intervals that are not user settings.
    """

    def __init__(
        self, host: Host, settings: Settings, *, open_without_key: bool = True, timings: ServerTimings = DEFAULT
    ) -> None:
        self.host = host
        self.settings = settings
        self.timings = timings
        given = settings.secret.get_secret_value() if settings.secret else None
        self.secrets = Secrets(lambda: host.sessions, given)
        self.links = Links(self.secrets, timings.file_link)
        self.feeds = Feeds(timings.comment)
        self.queues = Queues(settings.max_queued)
        self.stats_cache = StatsCache()
        self._lag: LoopLag | None = None
        self.closing = asyncio.Event()
        self.is_open = False
        self.holdings: dict[str, dict[str, int]] = {}  # attempts by task, by native worker with a stream here
        self.keyring = Keyring(
            host, settings, open_without_key=open_without_key, check_open=self.check_open, timings=timings
        )
        self.answer_links = SignedAnswerLinks(self.secrets, self.keyring)
        self.claimants = Claimants()
        self.body_memory = BodyMemory(timings.body_memory)
        self._background: set[asyncio.Task[None]] = set()
        self.refusals = Refusals(host, settings.organization_id, self.run_in_background, timings.refusals)
        self.guesses = Guesses(settings.wrong_keys)

    def trying(self, address: str, key: str) -> AbstractAsyncContextManager[None]:
        """Limit and count how often the block rejects a key; see ``Guesses.trying``."""
        return self.guesses.trying(address, key, self.host.keys.guessed)

    async def start(self) -> None:
        """Open the platform; if the database is unavailable, keep trying in the background."""
        self.closing = asyncio.Event()
        figures = metrics.of_this_process()
        self._lag = LoopLag(lambda seconds: figures.observe("event_loop_lag_seconds", seconds))
        try:
            await self._open()
        except Unavailable:
            self.run_in_background(self._open_later())
        self.run_in_background(self._look_for_silent())
        self.run_in_background(self._settle_refusals())

    async def _open(self) -> None:
        await self.host.open()
        self.host.guard()
        self.is_open = True
        self.run_in_background(self._begin_keys())

    async def _begin_keys(self) -> None:
        try:
            await self.keyring.begin()
        except ModuleException as error:  # an outdated schema, for example, which ``/ready`` reports
            announce(PlatformTrouble(doing="loading the API keys", error=error))
        await self.keyring.look_after(self.closing)

    async def _open_later(self) -> None:
        pauses = self.timings.database.pauses()
        while not self.closing.is_set():
            try:
                await self._open()
            except ModuleException as error:
                await self.pause(pauses.after("opening the platform", error))
            else:
                return

    async def _look_for_silent(self) -> None:
        while not await self.pause(SILENCE_LOOK_SECONDS):
            try:
                if self.is_open:
                    await self.host.end_silent()
            except ModuleException as error:
                announce(PlatformTrouble(doing="handling expired tasks", error=error, again_in=SILENCE_LOOK_SECONDS))

    async def _settle_refusals(self) -> None:
        while not await self.pause(REFUSALS_SECONDS):
            self.refusals.settle(time.monotonic())
        self.refusals.settle(math.inf)

    async def pause(self, seconds: float) -> bool:
        """Wait, at most until the server closes, and return whether it is closing."""
        return await within(self.closing, seconds)

    def close(self) -> None:
        """End every stream and every long poll."""
        self.closing.set()
        if self.is_open:
            self.host.organization(self.host.organization_id).work.nudge()

    async def stop(self) -> None:
        """Close the server and wait for its background work."""
        self.close()
        if self._lag is not None:
            self._lag.stop()
        await self.feeds.close()
        while self._background:
            await asyncio.gather(*self._background, return_exceptions=True)

    def run_in_background(self, work: Coroutine[Any, Any, None]) -> None:
        """Run a coroutine in the background; ``stop`` waits for it."""
        in_background(work, self._background, "background work of the server")

    def check_open(self) -> None:
        """Check that the database has been reached.

        Raises:
            Unavailable: The database has not been reached yet.
        """
        if not self.is_open:
            raise Unavailable("the database cannot be reached", retry_after=2)

    async def readiness(self) -> dict[str, int]:
        """Check that requests can be served, and return the number of hung threads by worker.

        Raises:
            Unavailable: The database cannot be reached.
            ConfigurationError: Migrations are missing.
        """
        if not self.is_open:
            raise Unavailable("the database cannot be reached", retry_after=2)
        missing = await self.host.pending_migrations()
        if missing:
            raise ConfigurationError(
                f"the database's schema is out of date: run `worker migrate` to apply {', '.join(missing)}"
            )
        return await self.host.hung_threads()
