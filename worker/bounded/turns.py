"""Whose turn it is: round and round among those on whose behalf work waits, in order of arrival for each."""

import threading
from collections import OrderedDict, deque
from typing import Generic, TypeVar

Item = TypeVar("Item")


class Turns(Generic[Item]):
    """A queue in which one who sends much does not hold up one who sends little; safe from any thread."""

    def __init__(self) -> None:
        self._queues: OrderedDict[str, deque[Item]] = OrderedDict()
        self._changed = threading.Condition()

    def put(self, behalf: str, item: Item) -> None:
        """Add an item on somebody's behalf."""
        with self._changed:
            self._queues.setdefault(behalf, deque()).append(item)
            self._changed.notify()

    def take(self, seconds: float) -> Item | None:
        """The next item; None means none came in so many seconds."""
        with self._changed:
            if not self._changed.wait_for(lambda: bool(self._queues), seconds):
                return None
            behalf, queue = self._queues.popitem(last=False)
            item = queue.popleft()
            if queue:
                self._queues[behalf] = queue  # behind everybody else
            return item

    def drop(self, item: Item) -> bool:
        """Take an item out again; whether it was still there."""
        with self._changed:
            for behalf, queue in self._queues.items():
                if item in queue:
                    queue.remove(item)
                    if not queue:
                        del self._queues[behalf]
                    return True
            return False

    def __len__(self) -> int:
        with self._changed:
            return sum(map(len, self._queues.values()))
