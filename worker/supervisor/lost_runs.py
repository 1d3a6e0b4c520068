"""Ends runs whose attempt owns its task no longer."""

import asyncio
from collections.abc import Collection

from worker.contracts import Platform
from worker.contracts.waiting import within
from worker.current import REASON_CUT_OFF
from worker.supervisor.runs import Runs
from worker.supervisor.timings import WorkerTimings
from worker.supervisor.verdict import REASON_LOST
from worker.words.errors import ModuleException
from worker.words.notices import TaskTaken, WorkerCutOff, announce


class LostRuns:
    """Looks for them.

    Args:
        platform: Which says what was taken.
        runs: What the worker has in hand.
        timings: How often it looks.
    """

    def __init__(self, platform: Platform, runs: Runs, timings: WorkerTimings) -> None:
        self._timings = timings
        self._platform = platform
        self._runs = runs
        self._look = asyncio.Event()

    async def end_taken(self) -> None:
        """End runs that were stopped, taken by another worker, or whose task is gone."""
        end_listening = self._platform.work.on_change(self._changed)
        try:
            while True:
                self._look.clear()
                await self._end_taken()
                await within(self._look, self._timings.lost)
        finally:
            end_listening()

    async def end_cut_off(self, worker_id: str) -> None:
        """End runs that were held when the lease ran out by this process's own clock; the platform need not be asked.

        Each hands itself back once the platform answers again, which is refused where it was taken.
        """
        while True:
            held = self._runs.held()
            cut = [self._runs.of(task_id, held[task_id]) for task_id in self._platform.work.cut_off(held)]
            runs = [each for each in cut if each is not None and not each.writing and not each.run.stopping]
            if runs:
                announce(WorkerCutOff(worker_id, len(runs)))
            for execution in runs:
                execution.cancel(REASON_CUT_OFF)
            await asyncio.sleep(self._timings.cut_off)

    def _changed(self, task_ids: Collection[str]) -> None:
        changed = [each for each in self._runs.all() if each.task.id in task_ids]
        for execution in changed:
            execution.run.inbox.waits = True  # somebody may have said something to it
        if changed:
            self._look.set()

    async def _end_taken(self) -> None:
        held = self._runs.held()
        try:
            lost = await self._platform.work.lost(held)
        except ModuleException:
            return  # asked again in time; a write of the run would be refused anyway
        for task_id, status in lost.items():
            execution = self._runs.of(task_id, held[task_id])
            if execution is not None and not execution.writing:
                if not execution.is_apart:  # a child says so itself, unless it was its own last word that ended it
                    announce(TaskTaken(task_id, execution.task.agent_id, execution.attempt, str(status)))
                execution.cancel(REASON_LOST)
