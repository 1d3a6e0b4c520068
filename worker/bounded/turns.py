"""A fair queue: it serves the parties on whose behalf items wait in turn, each in order of arrival."""

import threading
from collections import OrderedDict, deque
from typing import Generic, TypeVar

Item = TypeVar("Item")


class Turns(Generic[Item]):
    """A thread-safe queue in which a party with many items does not delay a party with few."""

    def __init__(self) -> None:
        self._queues: OrderedDict[str, deque[Item]] = OrderedDict()
        self._changed = threading.Condition()

    def put(self, behalf: str, item: Item) -> None:
        """Add an item on behalf of a party."""
        with self._changed:
            self._queues.setdefault(behalf, deque()).append(item)
            self._changed.notify()

    def take(self, seconds: float) -> Item | None:
        """Remove and return the next item; None if none arrives within the given seconds."""
        with self._changed:
            if not self._changed.wait_for(lambda: bool(self._queues), seconds):
                return None
            behalf, queue = self._queues.popitem(last=False)
            item = queue.popleft()
            if queue:
                self._queues[behalf] = queue  # behind all other parties
            return item

    def drop(self, item: Item) -> bool:
        """Remove an item; return whether it was still queued."""
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
