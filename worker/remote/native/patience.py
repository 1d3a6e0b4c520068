"""A live attempt's requests wait as long as the platform is away: nobody else can make them good."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar
from weakref import WeakValueDictionary

from worker.contracts.waiting import Backoff, until_answered

T = TypeVar("T")

AGAIN = Backoff(1.0, 1.0)  # between tries; each is several requests of its own, with pauses that grow


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
            return await until_answered(once, doing, backoff=AGAIN, closing=self._is_over)
