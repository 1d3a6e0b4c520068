"""Batches: what came while the last request was under way is the next one. Each item has its own outcome."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextvars import Context
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

T = TypeVar("T")

ITEMS = 512  # of one request: the server's limit
BYTES = 8 * 1024 * 1024  # of one request: the server takes 10 MiB, its envelope included
SPLIT = frozenset({400, 413, 422})  # answers to a whole request that one item may be to blame for

Send = Callable[[Sequence[T]], Awaitable[Sequence[Any]]]
"""Sends items, answers one outcome each: a value, or an exception to be raised where it was asked."""


@dataclass(slots=True, eq=False)
class _Waiting(Generic[T]):
    item: T
    size: int
    done: asyncio.Future[Any] = field(default_factory=lambda: asyncio.get_running_loop().create_future())


class Batches(Generic[T]):
    """One request after another, each with all that is waiting.

    Args:
        send: Sends a batch.
        size: Bytes of an item.
    """

    def __init__(self, send: Send[T], size: Callable[[T], int] = lambda _: 1) -> None:
        self._send = send
        self._size = size
        self._waiting: deque[_Waiting[T]] = deque()
        self._sending: asyncio.Task[None] | None = None

    async def ask(self, item: T) -> Any:
        """Have an item sent; its outcome."""
        waiting = _Waiting(item, self._size(item))
        self._waiting.append(waiting)
        if self._sending is None or self._sending.done():
            self._sending = asyncio.create_task(self._run(), name="batches", context=Context())
        return await waiting.done

    async def close(self) -> None:
        """Send nothing more; what waits is cancelled."""
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
                    waiting.done.cancel()  # only what a cancelled request leaves without an outcome

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
        except Exception as error:  # noqa: BLE001 - whatever it is, it is raised where the item was asked for
            if len(batch) > 1 and getattr(error, "status_code", None) in SPLIT:
                for waiting in batch:
                    await self._settle([waiting])
                return
            outcomes = [error] * len(batch)
        for waiting, outcome in zip(batch, outcomes, strict=True):
            _tell(waiting.done, outcome)


def _tell(done: asyncio.Future[Any], outcome: Any) -> None:
    if done.done():  # whoever asked has gone
        return
    if isinstance(outcome, Exception):
        done.set_exception(outcome)
    else:
        done.set_result(outcome)
