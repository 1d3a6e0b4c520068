"""The limit on the bytes of attachments that a process holds at a time; further tasks wait their turn."""

import asyncio
import contextlib
import weakref
from collections import deque


class Allowance:
    """A semaphore over bytes, first come first served; it belongs to one event loop.

    A task takes the most it may need in one step, and returns the unused part after reading, so that two tasks can
    never deadlock while each waits for the rest.
    """

    def __init__(self, total: int) -> None:
        """Create an allowance of ``total`` bytes."""
        self.total = total
        self._free = total
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    @property
    def held(self) -> int:
        """The bytes that tasks currently hold."""
        return self.total - self._free

    @property
    def waiting(self) -> int:
        """The number of tasks that wait for their turn."""
        return len(self._waiting)

    async def take(self, size: int) -> "Hold":
        """Wait until ``size`` bytes are free, then hold them; a size above the total counts as the total."""
        size = min(size, self.total)
        if self._waiting or size > self._free:
            await self._wait(size)
        else:
            self._free -= size
        return Hold(self, size)

    def give_back(self, size: int) -> None:
        """Free ``size`` bytes and wake the tasks that now fit. Only for the loop's own thread."""
        self._free += size
        self._wake()

    async def _wait(self, size: int) -> None:
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        entry = (size, turn)
        self._waiting.append(entry)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.give_back(size)
            else:
                self._waiting.remove(entry)
                self._wake()
            raise

    def _wake(self) -> None:
        while self._waiting and self._waiting[0][0] <= self._free:
            size, turn = self._waiting.popleft()
            self._free -= size
            turn.set_result(None)


class Hold:
    """Bytes held by one task until they are released or the hold is garbage-collected."""

    def __init__(self, allowance: Allowance, size: int) -> None:
        """Wrap ``size`` bytes that were taken from ``allowance``."""
        self.size = size
        self._allowance = allowance
        self._loop = asyncio.get_running_loop()
        self._finalizer = self._watch()

    def shrink(self, size: int) -> None:
        """Keep only ``size`` bytes. Only for the loop's own thread."""
        if size < self.size:
            self._finalizer.detach()
            self._allowance.give_back(self.size - size)
            self.size = size
            self._finalizer = self._watch()

    def release(self) -> None:
        """Return all bytes. Safe from any thread; a second call does nothing."""
        self._finalizer()

    def _watch(self) -> "weakref.finalize[..., Hold]":
        finalizer: weakref.finalize[..., Hold] = weakref.finalize(
            self, _give_back_from_anywhere, self._loop, self._allowance, self.size
        )
        finalizer.atexit = False
        return finalizer


def _give_back_from_anywhere(loop: asyncio.AbstractEventLoop, allowance: Allowance, size: int) -> None:
    with contextlib.suppress(RuntimeError):  # the loop is closed, so no task is waiting
        loop.call_soon_threadsafe(allowance.give_back, size)
