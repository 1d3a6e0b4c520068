"""A live attempt's requests wait as long as the platform is away: nobody else can make them good."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar
from weakref import WeakValueDictionary

from worker.words.errors import Unavailable
from worker.words.notices import PlatformTrouble, announce

T = TypeVar("T")

AGAIN_SECONDS = 1.0  # between tries; each is several requests of its own, with pauses that grow


class Patience:
    """Asks again until there is an answer, those of one task in the order in which they were asked."""

    def __init__(self) -> None:
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._is_over = asyncio.Event()

    def end(self) -> None:
        """Ask nothing again from now on."""
        self._is_over.set()

    async def ask(self, task_id: str, doing: str, once: Callable[[], Awaitable[T]]) -> T:
        """Ask until there is an answer.

        Args:
            task_id: Whose turn it must be: a later write that overtook an earlier one would be taken for its repeat.
            doing: What it is, for the announcement.
            once: Asks once; a repeat must be known as such by the other side.

        Raises:
            ModuleException: The answer. Unavailable: this side is being closed.
        """
        turn = self._turns.setdefault(task_id, asyncio.Lock())
        async with turn:
            while True:
                try:
                    return await once()
                except Unavailable as error:
                    if self._is_over.is_set():
                        raise
                    announce(PlatformTrouble(doing=doing, error=error, again_in=AGAIN_SECONDS))
                await self._pause()

    async def _pause(self) -> None:
        try:
            async with asyncio.timeout(AGAIN_SECONDS):
                await self._is_over.wait()
        except TimeoutError:
            return
