"""Monitoring of a worker's wear: it is reported to the platform, and a worn-out worker is stopped."""

import asyncio
import contextlib
import time

from worker.contracts import Platform
from worker.contracts.waiting import within
from worker.supervisor import shared_process, signals
from worker.supervisor.deadlock import DeadlockDetector
from worker.supervisor.runs import Runs
from worker.supervisor.timings import WorkerTimings
from worker.supervisor.wear import Wear
from worker.words.errors import ModuleException
from worker.words.notices import WorkerRetiring, announce


class WearWatch:
    """Monitors the wear of one worker.

    Args:
        platform: Shows the reports.
        worker_id: The worker.
        wear: The wear of the worker.
        runs: The current runs.
        timings: The intervals of checks and reports.
    """

    def __init__(self, platform: Platform, worker_id: str, wear: Wear, runs: Runs, timings: WorkerTimings) -> None:
        self._platform = platform
        self._worker_id = worker_id
        self._wear = wear
        self._runs = runs
        self._timings = timings
        self._report_at = 0.0  # when the next report is due, as a value of time.monotonic()
        self._hung = 0  # the number of hung threads in the last report
        self.is_worn_out = False
        """Whether the worker leaves because of a fault, such as hung threads."""

    async def run(self, stop: asyncio.Event) -> None:
        """Check regularly until the worker stops; set ``stop`` once it is worn out, so that it can be replaced."""
        deadlock = DeadlockDetector(self._worker_id, self._timings.deadlock)
        while (reason := self._wear.reason() or self._runs.reason_to_leave()) is None:
            await within(stop, self._timings.wear)
            deadlock.check([each.run for each in self._runs.of_user()], is_full=self._runs.places() <= 0)
            signals.restore_reception()
            shared_process.restore()
            await self._report()
            if stop.is_set():
                return
        self.is_worn_out = self._wear.is_worn_out
        announce(WorkerRetiring(self._worker_id, reason, self.is_worn_out))
        stop.set()

    async def _report(self) -> None:
        """Report the wear: immediately if the number of hung threads has changed, otherwise every ten seconds."""
        wear, now = self._wear.wear(), time.monotonic()
        if now < self._report_at and wear.hung_threads == self._hung:
            return
        self._report_at, self._hung = now + self._timings.report, wear.hung_threads
        with contextlib.suppress(ModuleException):  # a later report will arrive
            await self._platform.work.report(self._worker_id, wear)
