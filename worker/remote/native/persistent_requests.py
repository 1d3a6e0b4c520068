"""Retries without a time limit for a live attempt's requests, since only the attempt itself can make them."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar
from weakref import WeakValueDictionary

from worker.contracts.waiting import Backoff, until_answered

T = TypeVar("T")

AGAIN = Backoff(1.0, 1.0)  # between tries, each of which consists of several requests with growing pauses


class PersistentRequests:
    """Repeats requests until they are answered; those of one task are sent in order."""

    def __init__(self) -> None:
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._is_over = asyncio.Event()

    def end(self) -> None:
        """Stop repeating requests."""
        self._is_over.set()

    async def ask(self, task_id: str, doing: str, once: Callable[[], Awaitable[T]]) -> T:
        """Repeat a request until it is answered, and return the answer.

        Args:
            task_id: The task whose earlier requests must be answered first; an overtaken write would look like a
                repeat.
            doing: A description of the request, for announcements.
            once: Sends the request once; the server must recognize repeats.

        Raises:
            ModuleException: The server's error.
            Unavailable: This side is closing.
        """
        turn = self._turns.setdefault(task_id, asyncio.Lock())
        async with turn:
            return await until_answered(once, doing, backoff=AGAIN, closing=self._is_over)
