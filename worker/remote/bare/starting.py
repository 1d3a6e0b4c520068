"""Starting tasks on a bare platform: each task is read first, and then set to ``executing``."""

import asyncio
import time
from collections.abc import Sequence

from worker.contracts.waiting import Backoff
from worker.remote.bare.claimed_tasks import ClaimedTasks, RunningTask, WaitingTask
from worker.remote.bare.local_deliveries import LocalDeliveries
from worker.remote.clients.tasks import RemoteTasks
from worker.remote.http.batches import Batches
from worker.remote.http.refusals import BUSY
from worker.wire.records import UnreadableRecord
from worker.words.errors import ModuleException, TaskNotFound
from worker.words.events import NewEvent
from worker.words.notices import PlatformTrouble, announce
from worker.words.statuses import AgentExecutionStatus
from worker.words.tasks import TaskRecord
from worker.words.work import Assignment

Status = AgentExecutionStatus

AGAIN = Backoff(1.0, 1.0)  # before another try to start a task whose start the platform did not confirm


class Starting:
    """Starts assigned tasks.

    Args:
        tasks: The tasks of the platform.
        claimed: The waiting and the running tasks.
        deliveries: Follows the events of started tasks, for bound handlers.
    """

    def __init__(self, tasks: RemoteTasks, claimed: ClaimedTasks, deliveries: LocalDeliveries) -> None:
        self._tasks = tasks
        self._claimed = claimed
        self._deliveries = deliveries

    async def start(self, picked: Sequence[WaitingTask]) -> list[Assignment]:
        """Start tasks concurrently, and return those that were started."""
        started = await asyncio.gather(*(self._start_one(each) for each in picked))
        return [each for each in started if each is not None]

    async def _start_one(self, waiting: WaitingTask) -> Assignment | None:
        """Start a task unless it has ended or runs elsewhere; retry later if the platform does not confirm it."""
        try:
            return await self._begin(waiting)
        except TaskNotFound:
            return None
        except UnreadableRecord as error:
            await self._fail(waiting.task_id, error)
            return None
        except ModuleException as error:
            running = self._claimed.running.pop(waiting.task_id, None)
            if error.status_code < 500 and error.status_code not in BUSY:  # noqa: PLR2004 - HTTP: a server error
                announce(PlatformTrouble(doing=f"starting task {waiting.task_id}", error=error))
                return None
            waiting.begun = waiting.begun or running is not None
            seconds = AGAIN.pauses().next()
            waiting.due = time.monotonic() + seconds
            self._claimed.waiting.setdefault(waiting.task_id, waiting)
            announce(PlatformTrouble(doing=f"starting task {waiting.task_id}", error=error, again_in=seconds))
            return None

    async def _fail(self, task_id: str, error: ModuleException) -> None:
        """Fail a task that cannot be given to a handler."""
        announce(PlatformTrouble(doing=f"starting task {task_id}", error=error))
        self._claimed.running.pop(task_id, None)
        try:
            await self._tasks.update(task_id, {"status": Status.Failed, "result": error.description})
        except ModuleException:
            return  # the response is unreadable too, or the next assignment of the task tries again

    async def _begin(self, waiting: WaitingTask) -> Assignment | None:
        task = await self._tasks.get(waiting.task_id)
        ours = waiting.assigned is not None and waiting.assigned == task.execution_attempts
        if task.status is not Status.Pending and not (task.status is Status.Executing and (waiting.begun or ours)):
            return None
        running = self._hold(task, waiting)
        if task.status is Status.Pending or not waiting.begun or ours:
            task = await self._tasks.update(task.id, {"status": Status.Executing})
            if task.status is not Status.Executing:
                self._claimed.running.pop(task.id, None)
                return None
        self._deliveries.watch(task)
        return Assignment(task.model_copy(update={"errors": waiting.errors}), running.attempt)

    def _hold(self, task: TaskRecord, waiting: WaitingTask) -> RunningTask:
        async def push(batch: Sequence[list[NewEvent]]) -> list[None]:
            await self._tasks.push(task.id, [event for events in batch for event in events])
            return [None] * len(batch)

        attempt = self._claimed.next_attempt(task.id, task.execution_attempts)
        running = RunningTask(task.id, task.agent_id, attempt, waiting.errors, Batches(push))
        self._claimed.running[task.id] = running
        return running
