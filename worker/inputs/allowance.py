"""The bytes of attachments that a process may hold at one time: who comes late waits its turn."""

import asyncio
import contextlib
import weakref
from collections import deque


class Allowance:
    """A semaphore over bytes, first come first served; it belongs to one event loop.

    A task takes what it may need at most in one step and gives back what it did not use once it has read, so
    two tasks can never wait for each other's second half.
    """

    def __init__(self, total: int) -> None:
        """Hold `total` bytes."""
        self.total = total
        self._free = total
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    @property
    def held(self) -> int:
        """The bytes that tasks hold now."""
        return self.total - self._free

    @property
    def waiting(self) -> int:
        """How many tasks wait for their turn."""
        return len(self._waiting)

    async def take(self, size: int) -> "Hold":
        """Wait until `size` bytes are free, then hold them; more than the total is held as the total."""
        size = min(size, self.total)
        if self._waiting or size > self._free:
            await self._wait(size)
        else:
            self._free -= size
        return Hold(self, size)

    def give_back(self, size: int) -> None:
        """Free `size` bytes and wake whoever fits now; on the loop's own thread only."""
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
    """Bytes that one task holds, until it releases them or nobody refers to it any more."""

    def __init__(self, allowance: Allowance, size: int) -> None:
        """Hold `size` bytes that were taken from `allowance`."""
        self.size = size
        self._allowance = allowance
        self._loop = asyncio.get_running_loop()
        self._finalizer = self._watch()

    def shrink(self, size: int) -> None:
        """Keep only `size` bytes; on the loop's own thread."""
        if size < self.size:
            self._finalizer.detach()
            self._allowance.give_back(self.size - size)
            self.size = size
            self._finalizer = self._watch()

    def release(self) -> None:
        """Give everything back; from any thread, a second call does nothing."""
        self._finalizer()

    def _watch(self) -> "weakref.finalize[..., Hold]":
        finalizer: weakref.finalize[..., Hold] = weakref.finalize(
            self, _give_back_from_anywhere, self._loop, self._allowance, self.size
        )
        finalizer.atexit = False
        return finalizer


def _give_back_from_anywhere(loop: asyncio.AbstractEventLoop, allowance: Allowance, size: int) -> None:
    with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
        loop.call_soon_threadsafe(allowance.give_back, size)
