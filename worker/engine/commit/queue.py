"""What waits to be written: in order, within bounds, and with what is known of an earlier try.

A write of a live attempt waits as long as the database is away, since nobody else can make it good; everybody else is
told after a while, and may ask again. Whoever comes when there is no more room is held until there is.
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

GROUP_ITEMS = 256  # beyond it a commit takes longer than its fsync, and everybody waits
GROUP_BYTES = 1024 * 1024
ROOM_ITEMS = 20_000  # of a process; a worker's runs hold up their models long before
ROOM_BYTES = 64 * 1024 * 1024
MOST_LOSSES = 30  # connections that broke under one item: it may be what breaks them, and must not go on for ever


@dataclass(slots=True, eq=False)
class QueuedWrite:
    """An item, who waits for it, and what became of it so far."""

    item: Item
    order: int
    size: int
    done: asyncio.Future[datetime]
    away: float  # seconds after which whoever is not patient is told that there is no database
    since: float = field(default_factory=time.monotonic)
    again: bool = False  # it collided with another transaction once, and may try once more
    losses: int = 0
    locked: int = 0  # how often it met a lock that somebody holds for long
    is_given_up: bool = False
    owner: str | None = None  # whose run writes it, where that is known
    in_doubt: InDoubt | None = None  # where the connection broke: how to know whether it was committed

    @property
    def is_patient(self) -> bool:
        """Whether it waits as long as it takes: it is a live attempt's."""
        return not isinstance(self.item, NewRow) and getattr(self.item, "attempt", None) is not None

    def may_wait(self) -> bool:
        """Whether it is tried again."""
        if self.losses >= MOST_LOSSES:
            return False
        return not self.is_given_up and (self.is_patient or self.left > 0)

    @property
    def left(self) -> float:
        """Seconds for which whoever is not patient still waits."""
        return self.away - (time.monotonic() - self.since)

    def give_up(self, error: Exception) -> None:
        """Tell whoever asked that it has taken too long, and try no more."""
        self.is_given_up = True
        self.settle(error)

    def settle(self, outcome: datetime | Exception) -> None:
        """Tell whoever asked; if nobody is left, the change stands all the same."""
        if self.done.done():
            return
        if isinstance(outcome, Exception):
            self.done.set_exception(outcome)
        else:
            self.done.set_result(outcome)

    def refuse(self, error: Exception) -> None:
        """Tell whoever asked that it was not written, as far as that is known."""
        if self.in_doubt is not None and isinstance(error, Unavailable):
            error = Unavailable(f"{error.description}; whether this was stored is not known", retry_after=5)
        self.settle(error)


class Queue:
    """Items in the order in which they came."""

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
        """Take an item in, once there is room for it. Raises: Unavailable (closed)."""
        while not self._is_closed and not waiting.done.done() and not self._has_room(waiting.size):
            self._room.clear()
            await self._room.wait()
        if self._is_closed:
            raise Unavailable("the platform is closed")
        self.put_back([waiting])

    def number(self, item: Item) -> QueuedWrite:
        """Give an item its place in the order of all."""
        done = asyncio.get_running_loop().create_future()
        return QueuedWrite(item, next(self._orders), item.size, done, self._away)

    def put_back(self, group: Iterable[QueuedWrite]) -> None:
        """Take items in, each at its place in the order."""
        for waiting in group:
            if waiting.is_given_up:
                continue
            insort(self._items, waiting, key=lambda each: each.order)
            self._bytes += waiting.size
        self._filled.set()

    def drop(self, waiting: QueuedWrite) -> bool:
        """Take an item out that is not to be written; false: it is not here, but under way or in doubt."""
        if waiting not in self._items:
            return False
        self._items.remove(waiting)
        self._left([waiting])
        return waiting.in_doubt is None

    async def filled(self) -> bool:
        """Wait for an item; false: it is closed and empty."""
        while not self._items and not self._is_closed:
            self._filled.clear()
            await self._filled.wait()
        return bool(self._items)

    def take(self) -> list[QueuedWrite]:
        """Take out the next group."""
        size = amount = 0
        for waiting in self._items[:GROUP_ITEMS]:
            size += waiting.size
            if amount and size > GROUP_BYTES:
                break
            amount += 1
        group, self._items = self._items[:amount], self._items[amount:]
        self._left(group)
        return group

    def tell_impatient(self, error: Exception) -> None:
        """Refuse whoever has waited long enough; when it is closed, everybody."""
        refused = [each for each in self._items if self._is_closed or not each.may_wait()]
        for waiting in refused:
            waiting.refuse(error)
        gone = set(refused)
        self._items = [each for each in self._items if each not in gone]
        self._left(refused)

    def close(self) -> None:
        """Take nothing more in; what waits can still be taken out."""
        self._is_closed = True
        self._filled.set()
        self._room.set()

    def _has_room(self, size: int) -> bool:
        return not self._items or (len(self._items) < ROOM_ITEMS and self._bytes + size <= ROOM_BYTES)

    def _left(self, group: list[QueuedWrite]) -> None:
        self._bytes -= sum(each.size for each in group)
        self._room.set()


def later(turns: int, tell: Callable[[datetime | Exception], None], outcome: datetime | Exception) -> None:
    """Tell an outcome so many turns of the loop later."""
    if turns:
        asyncio.get_running_loop().call_soon(later, turns - 1, tell, outcome)
    else:
        tell(outcome)
