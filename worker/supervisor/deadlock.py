"""Detection of a deadlock: every place is held by a task that waits for other tasks, which may need a place here."""

import time
from collections.abc import Iterable

from worker.current import Run
from worker.words.notices import WorkerDeadlocked, announce

LOOKED_SECONDS = 10.0  # a run counts as waiting for this long after it last read another task's status


class DeadlockDetector:
    """Announces each deadlock once.

    Args:
        worker_id: The worker.
        seconds: How long all places must be held by waiting tasks, since most child tasks end sooner.
    """

    def __init__(self, worker_id: str, seconds: float) -> None:
        self._seconds = seconds
        self._worker_id = worker_id
        self._since: float | None = None
        self._is_announced = False

    def check(self, runs: Iterable[Run], *, is_full: bool) -> None:
        """Check the current runs.

        Args:
            runs: All current runs.
            is_full: Whether no further task can start.
        """
        now, runs = time.monotonic(), list(runs)
        awaited = [_awaited(run, now) for run in runs]
        if not is_full or not awaited or not all(awaited):
            self._since, self._is_announced = None, False
            return
        if self._since is None:
            self._since = now
        if not self._is_announced and now - self._since >= self._seconds:
            self._is_announced = True
            tasks = dict.fromkeys(each for found in awaited for each in found)
            announce(WorkerDeadlocked(self._worker_id, tuple(run.task_id for run in runs), tuple(tasks)))


def _awaited(run: Run, now: float) -> list[str]:
    return [task_id for task_id, looked in list(run.awaits.items()) if now - looked < LOOKED_SECONDS]
