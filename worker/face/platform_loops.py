"""An event loop and the platforms on it, each of which is opened once, on first use."""

import asyncio
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from contextlib import suppress
from contextvars import Context
from typing import TypeVar

from worker.contracts import Platform
from worker.face.configuration import Configuration

T = TypeVar("T")
Call = Callable[[Platform], Awaitable[T]]
Place = tuple[str | None, ...]
Closer = Callable[[], Awaitable[None]]

CLOSE_SECONDS = 10.0  # to close everything at exit; a hanging platform must not keep the process alive


class PlatformLoop:
    """An event loop that platforms live on. All methods except ``submit`` must run on that loop.

    Args:
        loop: The loop, running now or soon in some thread.
        default: An open platform for the default configuration; its owner closes it.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, default: Platform | None = None) -> None:
        self.loop = loop
        self._default = default
        self._default_place: Place | None = None
        self._openings: dict[Place, asyncio.Task[Platform]] = {}
        self._closers: list[Closer] = []

    def submit(self, call: Call[T], configuration: Configuration | None) -> Future[T]:
        """Make a call on the loop, from any thread, with the caller's context variables."""
        return asyncio.run_coroutine_threadsafe(self.run(call, configuration), self.loop)

    async def run(self, call: Call[T], configuration: Configuration | None) -> T:
        """Make a call with the platform of a configuration."""
        return await call(await self.platform(configuration))

    async def platform(self, configuration: Configuration | None) -> Platform:
        """Return the open platform of a configuration. If opening failed, the next call tries again.

        Raises:
            Unavailable: The platform cannot be reached.
            ConfigurationError: The configuration is invalid.
        """
        place = self._place(configuration)
        if self._default is not None and place == self._default_place:
            return self._default
        opening = self._openings.get(place)
        if opening is None:
            # Use a separate context, since tasks that a platform starts outlive the run that opened it.
            opening = self.loop.create_task(_opened(configuration), context=Context())
            self._openings[place] = opening
            opening.add_done_callback(lambda done: self._forget_failed(place, done))
        return opening.result() if opening.done() else await asyncio.shield(opening)

    def before_closing(self, closer: Closer) -> None:
        """Register a closer to run before platforms are closed. Registering it again has no effect."""
        if closer not in self._closers:
            self._closers.append(closer)

    async def close(self) -> None:
        """Close everything that was opened here."""
        closers, self._closers = self._closers, []
        openings, self._openings = self._openings, {}
        for closer in closers:
            with suppress(Exception):
                await closer()
        for opening in openings.values():
            with suppress(Exception):
                await (await opening).close()

    def _place(self, configuration: Configuration | None) -> Place:
        if self._default_place is None:
            self._default_place = Configuration().place
        return self._default_place if configuration is None else configuration.place

    def _forget_failed(self, place: Place, opening: asyncio.Task[Platform]) -> None:
        if opening.cancelled() or opening.exception() is not None:
            self._openings.pop(place, None)


class ThreadLoop(PlatformLoop):
    """A platform loop on its own daemon thread."""

    def __init__(self) -> None:
        super().__init__(asyncio.new_event_loop())
        self._leaving = asyncio.Event()
        self._thread = threading.Thread(target=self._live, name="worker-platform", daemon=True)
        self._thread.start()

    def leave(self, seconds: float = CLOSE_SECONDS) -> None:
        """Close the platforms and end the thread, from another thread. After so many seconds, stop waiting for it."""
        with suppress(RuntimeError):  # the loop has ended already
            self.loop.call_soon_threadsafe(self._leaving.set)
        self._thread.join(seconds)

    def _live(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self.loop) as runner:
            runner.run(self._until_left())

    async def _until_left(self) -> None:
        await self._leaving.wait()
        await self.close()


async def _opened(configuration: Configuration | None) -> Platform:
    from worker.wiring import choose

    platform = choose((configuration or Configuration()).settings)
    try:
        await platform.open()
    except BaseException:
        with suppress(Exception):
            await platform.close()
        raise
    return platform
