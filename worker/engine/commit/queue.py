"""The queue of pending writes: ordered, bounded, and with the history of earlier tries.

A write of a live attempt waits as long as the database is unavailable, since no other process can repeat it; other
callers get an error after a while and may try again. When the queue is full, new writes wait for room.
"""

import asyncio
import time
from bisect import insort
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from itertools import count

from worker.engine.commit.batch import Item, NewRow
from worker.engine.commit.in_doubt import InDoubt
from worker.words.errors import Unavailable

GROUP_ITEMS = 256  # the statements of a larger group take longer than its fsync, which delays every writer
GROUP_BYTES = 1024 * 1024
ROOM_ITEMS = 20_000  # per process; a worker's runs slow their models down long before that
ROOM_BYTES = 64 * 1024 * 1024
MAX_LOSSES = 30  # connections lost under one item, which may itself be the cause and must not be tried forever


@dataclass(slots=True, eq=False)
class QueuedWrite:
    """An item, the future of its caller, and the history of its tries."""

    item: Item
    order: int
    size: int
    done: asyncio.Future[datetime]
    away: float  # seconds after which an impatient caller gets an error if the database is unavailable
    since: float = field(default_factory=time.monotonic)
    again: bool = False  # whether it was already retried after a collision or a commit in doubt
    losses: int = 0
    locked: int = 0  # how often it met a lock that is held for long
    is_given_up: bool = False
    owner: str | None = None  # the worker whose run writes it, if known
    in_doubt: InDoubt | None = None  # how to find out whether it was committed, after a connection broke

    @property
    def is_patient(self) -> bool:
        """Whether the write waits without limit because it belongs to a live attempt."""
        return not isinstance(self.item, NewRow) and getattr(self.item, "attempt", None) is not None

    def may_wait(self) -> bool:
        """Return whether the write may be tried again."""
        if self.losses >= MAX_LOSSES:
            return False
        return not self.is_given_up and (self.is_patient or self.left > 0)

    @property
    def left(self) -> float:
        """Seconds for which an impatient write still waits."""
        return self.away - (time.monotonic() - self.since)

    def give_up(self, error: Exception) -> None:
        """Report that the write took too long, and stop trying."""
        self.is_given_up = True
        self.settle(error)

    def settle(self, outcome: datetime | Exception) -> None:
        """Report the outcome to the caller; a committed change remains even if the caller is gone."""
        if self.done.done():
            return
        if isinstance(outcome, Exception):
            self.done.set_exception(outcome)
        else:
            self.done.set_result(outcome)

    def refuse(self, error: Exception) -> None:
        """Report to the caller that the item was not written, or that this is not known."""
        if self.in_doubt is not None and isinstance(error, Unavailable):
            error = Unavailable(f"{error.description}; the outcome of the write is unknown", retry_after=5)
        self.settle(error)


class Queue:
    """Pending items in order of arrival."""

    def __init__(self, away: float) -> None:
        self._away = away
        self._items: list[QueuedWrite] = []
        self._bytes = 0
        self._orders = count()
        self._filled = asyncio.Event()
        self._room = asyncio.Event()
        self._is_closed = False

    def __bool__(self) -> bool:
        return bool(self._items)

    async def put(self, waiting: QueuedWrite) -> None:
        """Enqueue an item once there is room for it.

        Raises:
            Unavailable: The queue is closed.
        """
        while not self._is_closed and not waiting.done.done() and not self._has_room(waiting.size):
            self._room.clear()
            await self._room.wait()
        if self._is_closed:
            raise Unavailable("the platform is closed")
        self.put_back([waiting])

    def number(self, item: Item) -> QueuedWrite:
        """Wrap an item with its place in the overall order."""
        done = asyncio.get_running_loop().create_future()
        return QueuedWrite(item, next(self._orders), item.size, done, self._away)

    def put_back(self, group: Iterable[QueuedWrite]) -> None:
        """Insert items, each at its place in the order."""
        for waiting in group:
            if waiting.is_given_up:
                continue
            insort(self._items, waiting, key=lambda each: each.order)
            self._bytes += waiting.size
        self._filled.set()

    def drop(self, waiting: QueuedWrite) -> bool:
        """Remove an item that is no longer wanted; return False if it is being written or its commit is in doubt."""
        if waiting not in self._items:
            return False
        self._items.remove(waiting)
        self._left([waiting])
        return waiting.in_doubt is None

    async def filled(self) -> bool:
        """Wait for an item; return False once the queue is closed and empty."""
        while not self._items and not self._is_closed:
            self._filled.clear()
            await self._filled.wait()
        return bool(self._items)

    def take(self) -> list[QueuedWrite]:
        """Dequeue the next group."""
        size = amount = 0
        for waiting in self._items[:GROUP_ITEMS]:
            size += waiting.size
            if amount and size > GROUP_BYTES:
                break
            amount += 1
        group, self._items = self._items[:amount], self._items[amount:]
        self._left(group)
        return group

    def fail_expired(self, error: Exception) -> None:
        """Fail the writes that have waited too long, or all of them if the queue is closed."""
        refused = [each for each in self._items if self._is_closed or not each.may_wait()]
        for waiting in refused:
            waiting.refuse(error)
        gone = set(refused)
        self._items = [each for each in self._items if each not in gone]
        self._left(refused)

    def close(self) -> None:
        """Accept no more items; pending ones can still be dequeued."""
        self._is_closed = True
        self._filled.set()
        self._room.set()

    def _has_room(self, size: int) -> bool:
        return not self._items or (len(self._items) < ROOM_ITEMS and self._bytes + size <= ROOM_BYTES)

    def _left(self, group: list[QueuedWrite]) -> None:
        self._bytes -= sum(each.size for each in group)
        self._room.set()


def later(turns: int, report: Callable[[datetime | Exception], None], outcome: datetime | Exception) -> None:
    """Report an outcome after the given number of turns of the event loop."""
    if turns:
        asyncio.get_running_loop().call_soon(later, turns - 1, report, outcome)
    else:
        report(outcome)
