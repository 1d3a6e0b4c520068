"""A memory budget for request bodies, so that the senders of one key cannot exhaust memory or block all others."""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from worker.words.errors import Unavailable

FREE_BYTES = 64 * 1024  # bodies up to this size are not counted
TOTAL_BYTES = 96 * 1024 * 1024
KEY_BYTES = 64 * 1024 * 1024  # per key; the largest allowed file fits
RETRY_SECONDS = 5.0


class BodyMemory:
    """A memory budget for bodies. A whole body is reserved before it is read, so a waiting request holds nothing.

    Args:
        patience: Seconds for which a body waits for memory.
        total: The budget of all keys in bytes.
        of_key: The budget of each key in bytes.
    """

    def __init__(self, patience: float, total: int = TOTAL_BYTES, of_key: int = KEY_BYTES) -> None:
        self._patience = patience
        self._total = total
        self._of_key = of_key
        self._taken = Counter[str]()
        self._freed = asyncio.Condition()

    @asynccontextmanager
    async def reserve(self, key: str, size: int) -> AsyncGenerator[None]:
        """Reserve memory for a body inside this block.

        Args:
            key: The key that sends the body; each key has its own limit.
            size: The size of the body in bytes.

        Raises:
            Unavailable: No memory became free in time.
        """
        if size <= FREE_BYTES:
            yield
            return
        try:
            async with asyncio.timeout(self._patience), self._freed:
                await self._freed.wait_for(lambda: self._fits(key, size))
                self._taken[key] += size
        except TimeoutError:
            raise Unavailable(
                "the server is processing too many large requests; try again later", retry_after=RETRY_SECONDS
            ) from None
        try:
            yield
        finally:
            async with self._freed:
                self._taken[key] -= size
                if not self._taken[key]:
                    del self._taken[key]
                self._freed.notify_all()

    def _fits(self, key: str, size: int) -> bool:
        return self._taken.total() + size <= self._total and self._taken[key] + size <= self._of_key
