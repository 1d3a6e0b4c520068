"""Transfer of items from one event loop to another loop or a thread, in order, with a bounded number of items ahead."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable, Coroutine, Generator
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

AHEAD = 64  # items that may wait for a slow reader before the source has to wait, too


class _End:
    """The marker after the last item."""


END = _End()


class Pump(Generic[T]):
    """Runs a source on its platform's loop and hands over each item.

    Args:
        source: Takes the platform and returns an asynchronous iterator.
        configuration: The platform's configuration; None means the default one.
        deliver: Called on the source's loop with each item, in order.
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
        """Hand over all items, on the platform's loop."""
        self._loop = platform_loop.loop
        items = pass_on(self._source(await platform_loop.platform(self._configuration)))
        try:
            async for item in items:
                await self._room.acquire()
                self._deliver(item)
        finally:
            await items.aclose()

    def taken(self) -> None:
        """Note that the reader has taken an item, which makes room for another."""
        if self._loop is not None:
            with suppress(RuntimeError):  # its loop has ended
                self._loop.call_soon_threadsafe(self._room.release)


async def pass_on(items: AsyncIterable[T]) -> AsyncGenerator[T, None]:
    """Iterate over items on the current loop, and close their iterator when this one is closed."""
    try:
        async for item in items:
            yield item
    finally:
        if isinstance(items, AsyncGenerator):
            await items.aclose()


async def drain_async(
    platform_loop: PlatformLoop, source: Source[T], configuration: Configuration | None
) -> AsyncGenerator[T, None]:
    """Iterate on the current loop over a source on another loop."""
    loop = asyncio.get_running_loop()
    arrivals: asyncio.Queue[T | _End] = asyncio.Queue()

    def deliver(item: T | _End) -> None:
        with suppress(RuntimeError):  # the reader's loop has ended, so no reader is left
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
        raise Unavailable("The platform was closed before all items were received.") from None
