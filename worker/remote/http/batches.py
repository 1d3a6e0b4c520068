"""Batching of requests: items that arrive during one request form the next. Each item has its own outcome."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextvars import Context
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

T = TypeVar("T")

ITEMS = 512  # most items per request, the server's limit
BYTES = 8 * 1024 * 1024  # most bytes of items per request; the server accepts 10 MiB including the envelope
SPLIT = frozenset({400, 413, 422})  # errors of a whole request that a single item may have caused

Send = Callable[[Sequence[T]], Awaitable[Sequence[Any]]]
"""Sends items and returns an outcome for each: a value, or an exception to raise in the item's caller."""


@dataclass(slots=True, eq=False)
class _Waiting(Generic[T]):
    item: T
    size: int
    done: asyncio.Future[Any] = field(default_factory=lambda: asyncio.get_running_loop().create_future())


class Batches(Generic[T]):
    """Sends items in batches, one request at a time, each with all items that are waiting.

    Args:
        send: Sends a batch.
        size: Returns the size of an item in bytes.
    """

    def __init__(self, send: Send[T], size: Callable[[T], int] = lambda _: 1) -> None:
        self._send = send
        self._size = size
        self._waiting: deque[_Waiting[T]] = deque()
        self._sending: asyncio.Task[None] | None = None

    async def ask(self, item: T) -> Any:
        """Send an item with the next batch, and return its outcome."""
        waiting = _Waiting(item, self._size(item))
        self._waiting.append(waiting)
        if self._sending is None or self._sending.done():
            self._sending = asyncio.create_task(self._run(), name="batches", context=Context())
        return await waiting.done

    async def close(self) -> None:
        """Stop sending, and cancel all waiting items."""
        if self._sending is not None:
            self._sending.cancel()
            await asyncio.gather(self._sending, return_exceptions=True)
        for waiting in self._waiting:
            waiting.done.cancel()
        self._waiting.clear()

    async def _run(self) -> None:
        while self._waiting:
            batch = self._take()
            try:
                await self._settle(batch)
            finally:
                for waiting in batch:
                    waiting.done.cancel()  # affects only items without an outcome, after a cancelled request

    def _take(self) -> list[_Waiting[T]]:
        batch = [self._waiting.popleft()]
        size = batch[0].size
        while self._waiting and len(batch) < ITEMS and size + self._waiting[0].size <= BYTES:
            batch.append(self._waiting.popleft())
            size += batch[-1].size
        return batch

    async def _settle(self, batch: list[_Waiting[T]]) -> None:
        try:
            outcomes = await self._send([waiting.item for waiting in batch])
        except Exception as error:  # noqa: BLE001 - every error is raised in the callers of the items
            if len(batch) > 1 and getattr(error, "status_code", None) in SPLIT:
                for waiting in batch:
                    await self._settle([waiting])
                return
            outcomes = [error] * len(batch)
        for waiting, outcome in zip(batch, outcomes, strict=True):
            _settle(waiting.done, outcome)


def _settle(done: asyncio.Future[Any], outcome: Any) -> None:
    if done.done():  # the caller was cancelled
        return
    if isinstance(outcome, Exception):
        done.set_exception(outcome)
    else:
        done.set_result(outcome)
