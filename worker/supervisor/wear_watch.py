"""Looks at what wears a worker out, shows it with the worker, and has the worker leave in time."""

import asyncio
import contextlib
import time

from worker.contracts import Platform
from worker.contracts.waiting import within
from worker.supervisor import signals
from worker.supervisor.runs import Runs
from worker.supervisor.standstill import Standstill
from worker.supervisor.timings import WorkerTimings
from worker.supervisor.wear import Wear
from worker.words.errors import ModuleException
from worker.words.notices import WorkerWorn, announce


class WearWatch:
    """Of one worker.

    Args:
        platform: Which shows it to people.
        worker_id: The worker.
        wear: What wears it out.
        runs: What it has in hand.
        timings: How often it looks and reports.
    """

    def __init__(self, platform: Platform, worker_id: str, wear: Wear, runs: Runs, timings: WorkerTimings) -> None:
        self._platform = platform
        self._worker_id = worker_id
        self._wear = wear
        self._runs = runs
        self._timings = timings
        self._report_at = 0.0  # time.monotonic()
        self._hung = 0  # threads, as last reported
        self.is_worn_out = False
        """Whether the worker leaves by a fault, not by plan."""

    async def run(self, stop: asyncio.Event) -> None:
        """Look until the worker stops; set ``stop`` once it is worn out. Whoever started it starts another."""
        standstill = Standstill(self._worker_id, self._timings.standstill)
        while (reason := self._wear.reason()) is None:
            await within(stop, self._timings.wear)
            standstill.look([each.run for each in self._runs.of_user()], is_full=self._runs.places() <= 0)
            signals.keep()
            await self._report()
            if stop.is_set():
                return
        self.is_worn_out = self._wear.is_worn_out
        announce(WorkerWorn(self._worker_id, reason, self.is_worn_out))
        stop.set()

    async def _report(self) -> None:
        """Have it shown with the worker: soon where threads hang, else every ten seconds."""
        wear, now = self._wear.wear(), time.monotonic()
        if now < self._report_at and wear.hung_threads == self._hung:
            return
        self._report_at, self._hung = now + self._timings.report, wear.hung_threads
        with contextlib.suppress(ModuleException):  # reported again in time
            await self._platform.work.report(self._worker_id, wear)
