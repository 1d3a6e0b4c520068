"""Detection of runs whose attempt no longer owns its task; they are ended."""

import asyncio
from collections.abc import Collection

from worker.contracts import Platform
from worker.contracts.waiting import within
from worker.current import REASON_CUT_OFF
from worker.supervisor.runs import Runs
from worker.supervisor.timings import WorkerTimings
from worker.supervisor.verdict import REASON_LOST
from worker.words.errors import ModuleException
from worker.words.notices import RunSuperseded, WorkerCutOff, announce


class LostRuns:
    """Finds and ends lost runs.

    Args:
        platform: Knows which attempts have lost their lease.
        runs: The current runs of the worker.
        timings: The intervals between checks.
    """

    def __init__(self, platform: Platform, runs: Runs, timings: WorkerTimings) -> None:
        self._timings = timings
        self._platform = platform
        self._runs = runs
        self._look = asyncio.Event()

    async def end_taken(self) -> None:
        """Repeatedly end the runs whose task was stopped, claimed by another worker, or deleted."""
        end_listening = self._platform.work.on_change(self._changed)
        try:
            while True:
                self._look.clear()
                await self._end_taken()
                await within(self._look, self._timings.lost)
        finally:
            end_listening()

    async def end_cut_off(self, worker_id: str) -> None:
        """Repeatedly end the runs whose lease has expired by this process's own clock, without asking the platform.

        Each run hands itself back once the platform answers again; the hand-back is refused if the task was claimed
        elsewhere.
        """
        while True:
            attempts = self._runs.attempts()
            cut = [self._runs.of(task_id, attempts[task_id]) for task_id in self._platform.work.cut_off(attempts)]
            runs = [each for each in cut if each is not None and not each.writing and not each.run.stopping]
            if runs:
                announce(WorkerCutOff(worker_id, len(runs)))
            for execution in runs:
                execution.cancel(REASON_CUT_OFF)
            await asyncio.sleep(self._timings.cut_off)

    def _changed(self, task_ids: Collection[str]) -> None:
        changed = [each for each in self._runs.all() if each.task.id in task_ids]
        for execution in changed:
            execution.run.inbox.waits = True  # the change may be a message to the task
        if changed:
            self._look.set()

    async def _end_taken(self) -> None:
        attempts = self._runs.attempts()
        try:
            lost = await self._platform.work.lost(attempts)
        except ModuleException:
            return  # the next check asks again, and writes of a lost run are refused anyway
        for task_id, status in lost.items():
            execution = self._runs.of(task_id, attempts[task_id])
            if execution is not None and not execution.writing:
                if not execution.is_isolated:  # a child announces this itself, unless it has ended the task
                    announce(RunSuperseded(task_id, execution.task.agent_id, execution.attempt, str(status)))
                execution.cancel(REASON_LOST)
