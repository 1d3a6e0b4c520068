"""The current runs of a worker, and the number of further ones that may start."""

import asyncio
from collections import Counter

from worker.registry import Handler
from worker.supervisor.executor import Execution

Key = tuple[str, int]
"""A task id and an attempt number."""


class Runs:
    """Runs by task and attempt. A handler that has ended frees its place, although its outcome may still be written.

    Args:
        concurrency: The most handlers that may run at once.
        most: The most handlers that may start at all; None for no limit.
    """

    def __init__(self, concurrency: int, most: int | None = None) -> None:
        self._concurrency = concurrency
        self._most = most
        self._begun = 0
        self._by_key: dict[Key, Execution] = {}
        self.busy: Counter[tuple[str, str | None]] = Counter()  # running handlers; excludes runs writing their outcome
        self.freed = asyncio.Event()

    def __len__(self) -> int:
        return len(self._by_key)

    def add(self, execution: Execution) -> Key:
        """Add a run, and return its key."""
        key = execution.task.id, execution.attempt
        self._by_key[key] = execution
        self.busy[execution.handler.key] += 1
        self._begun += 1
        return key

    def handled(self, handler: Handler) -> None:
        """Free the place of a handler that has ended."""
        self.busy[handler.key] -= 1
        self.freed.set()

    def drop(self, key: Key) -> None:
        """Remove a run."""
        self._by_key.pop(key, None)
        self.freed.set()

    def places(self) -> int:
        """Return how many more handlers may start; outcomes being written count once there are as many as places."""
        free = min(self._concurrency - self.busy.total(), 2 * self._concurrency - len(self._by_key))
        return free if self._most is None else min(free, self._most - self._begun)

    def reason_to_leave(self) -> str | None:
        """Return why the worker should leave, or None: no more handlers may start, and most have ended.

        A few long runs must not keep a worker whose other places stay empty; they are handed back.
        """
        if self._most is None or self._begun < self._most:
            return None
        is_idle_enough = 2 * len(self._by_key) < min(self._concurrency, self._most)
        return f"the worker has reached WORKER_MAX_TASKS={self._most}" if is_idle_enough else None

    def attempts(self) -> dict[str, int]:
        """Return the attempt of each current task."""
        return dict(self._by_key.keys())

    def of(self, task_id: str, attempt: int) -> Execution | None:
        """Return a run, or None if it has ended."""
        return self._by_key.get((task_id, attempt))

    def all(self) -> list[Execution]:
        """Return all runs."""
        return list(self._by_key.values())

    def of_user(self) -> list[Execution]:
        """Return the runs whose outcome is not being written yet, so that the user's code may still be running."""
        return [each for each in self._by_key.values() if not each.writing]

    def workers(self) -> list[asyncio.Task[None]]:
        """Return the asyncio tasks that carry out the runs."""
        return [each.worker for each in self._by_key.values() if each.worker is not None]
