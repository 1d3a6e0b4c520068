"""How much of bodies is held at once: one key's senders do not fill the memory, nor keep others from sending."""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from worker.words.errors import Unavailable

FREE_BYTES = 64 * 1024  # a body that small takes no room
TOTAL_BYTES = 96 * 1024 * 1024
KEY_BYTES = 64 * 1024 * 1024  # of one key: the largest file fits
WAIT_SECONDS = 20.0
RETRY_SECONDS = 5.0


class BodyMemory:
    """Memory for bodies. All that a body needs is taken before it is read: nobody waits while holding a part."""

    def __init__(self, total: int = TOTAL_BYTES, of_key: int = KEY_BYTES) -> None:
        self._total = total
        self._of_key = of_key
        self._taken = Counter[str]()
        self._freed = asyncio.Condition()

    @asynccontextmanager
    async def organization(self, key: str, size: int) -> AsyncGenerator[None]:
        """Hold room for a body of so many bytes. Raises: Unavailable (there is none in time)."""
        if size <= FREE_BYTES:
            yield
            return
        try:
            async with asyncio.timeout(WAIT_SECONDS), self._freed:
                await self._freed.wait_for(lambda: self._fits(key, size))
                self._taken[key] += size
        except TimeoutError:
            raise Unavailable("too many large requests at once; come again later", retry_after=RETRY_SECONDS) from None
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
