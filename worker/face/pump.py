"""Items from one loop to another loop or a thread: handed over as they come, never more than a few ahead."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine, Generator
from concurrent.futures import CancelledError, Future
from contextlib import suppress
from queue import SimpleQueue
from typing import Any, Generic, TypeVar

from worker.contracts import Platform
from worker.face.configuration import Configuration
from worker.face.platform_loops import PlatformLoop
from worker.words.errors import Unavailable

T = TypeVar("T")
Source = Callable[[Platform], AsyncIterator[T]]
Submit = Callable[[Callable[[PlatformLoop], Coroutine[Any, Any, None]]], Future[None]]

AHEAD = 64  # items that may wait for a slow reader, before the source has to wait too


class _End:
    """What follows the last item."""


END = _End()


class Pump(Generic[T]):
    """Runs a source on its platform's loop and hands over each item.

    Args:
        source: Gets the platform, answers an asynchronous iterator.
        deliver: Called on the source's loop, in order; ``END`` comes last.
    """

    def __init__(
        self, source: Source[T], configuration: Configuration | None, deliver: Callable[[T | _End], None]
    ) -> None:
        self._source = source
        self._configuration = configuration
        self._deliver = deliver
        self._room = asyncio.Semaphore(AHEAD)
        self._loop: asyncio.AbstractEventLoop | None = None

    async def run(self, platform_loop: PlatformLoop) -> None:
        """Hand over all there is, on the platform's loop."""
        self._loop = platform_loop.loop
        items = pass_on(self._source, await platform_loop.platform(self._configuration))
        try:
            async for item in items:
                await self._room.acquire()
                self._deliver(item)
        finally:
            await items.aclose()

    def taken(self) -> None:
        """Say that an item was taken, so that there is room for another."""
        if self._loop is not None:
            with suppress(RuntimeError):  # its loop has ended
                self._loop.call_soon_threadsafe(self._room.release)


async def pass_on(source: Source[T], platform: Platform) -> AsyncGenerator[T, None]:
    """Iterate on the platform's own loop; the source is closed with this."""
    items = source(platform)
    try:
        async for item in items:
            yield item
    finally:
        if isinstance(items, AsyncGenerator):
            await items.aclose()


async def drain_async(
    platform_loop: PlatformLoop, source: Source[T], configuration: Configuration | None
) -> AsyncGenerator[T, None]:
    """Iterate on this loop over a source on another."""
    loop = asyncio.get_running_loop()
    arrivals: asyncio.Queue[T | _End] = asyncio.Queue()

    def deliver(item: T | _End) -> None:
        with suppress(RuntimeError):  # the reader's loop has ended, and nobody will read
            loop.call_soon_threadsafe(arrivals.put_nowait, item)

    pump = Pump(source, configuration, deliver)
    running = asyncio.run_coroutine_threadsafe(pump.run(platform_loop), platform_loop.loop)
    running.add_done_callback(lambda _: deliver(END))
    try:
        while not isinstance(item := await arrivals.get(), _End):
            pump.taken()
            yield item
        _raise_what_ended(running)
    finally:
        running.cancel()


def drain(submit: Submit, source: Source[T], configuration: Configuration | None) -> Generator[T, None, None]:
    """Iterate in this thread over a source on another thread's loop."""
    arrivals: SimpleQueue[T | _End] = SimpleQueue()
    pump = Pump(source, configuration, arrivals.put)
    running = submit(pump.run)
    running.add_done_callback(lambda _: arrivals.put(END))
    try:
        while not isinstance(item := arrivals.get(), _End):
            pump.taken()
            yield item
        _raise_what_ended(running)
    finally:
        running.cancel()


def _raise_what_ended(running: Future[None]) -> None:
    try:
        running.result()
    except CancelledError:
        raise Unavailable("The platform was closed before the last item came.") from None
