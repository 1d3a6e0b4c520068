"""The runs that a worker has in hand, and how many more it may start."""

import asyncio
from collections import Counter

from worker.registry import Handler
from worker.supervisor.executor import Execution

Key = tuple[str, int]
"""Task and attempt."""


class Runs:
    """Runs by task and attempt. A handler that has ended frees its place, although its result may still be written.

    Args:
        concurrency: How many handlers may be at work.
    """

    def __init__(self, concurrency: int) -> None:
        self._concurrency = concurrency
        self._by_key: dict[Key, Execution] = {}
        self.busy: Counter[tuple[str, str | None]] = Counter()  # handlers at work, which is less than what is in hand
        self.freed = asyncio.Event()

    def __len__(self) -> int:
        return len(self._by_key)

    def add(self, execution: Execution) -> Key:
        """Take a run in hand. Returns: what it is known by."""
        key = execution.task.id, execution.attempt
        self._by_key[key] = execution
        self.busy[execution.handler.key] += 1
        return key

    def handled(self, handler: Handler) -> None:
        """Free the place of a handler that has ended."""
        self.busy[handler.key] -= 1
        self.freed.set()

    def drop(self, key: Key) -> None:
        """Have a run in hand no longer."""
        self._by_key.pop(key, None)
        self.freed.set()

    def places(self) -> int:
        """Return how many more handlers may start; results still to be written count once they are as many again."""
        return min(self._concurrency - self.busy.total(), 2 * self._concurrency - len(self._by_key))

    def held(self) -> dict[str, int]:
        """Return the attempt of each task in hand."""
        return dict(self._by_key.keys())

    def of(self, task_id: str, attempt: int) -> Execution | None:
        """Return a run, if it is in hand."""
        return self._by_key.get((task_id, attempt))

    def all(self) -> list[Execution]:
        """Return all of them."""
        return list(self._by_key.values())

    def of_user(self) -> list[Execution]:
        """Return those whose last word is not being written yet: the user's code may still be at work."""
        return [each for each in self._by_key.values() if not each.writing]

    def workers(self) -> list[asyncio.Task[None]]:
        """Return the asyncio tasks that carry them out."""
        return [each.worker for each in self._by_key.values() if each.worker is not None]
