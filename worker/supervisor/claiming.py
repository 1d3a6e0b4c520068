"""Claiming of tasks, each of which is given to the handler that serves its agent."""

import asyncio
from collections.abc import Callable

from worker.contracts import Platform
from worker.contracts.waiting import SOON, within
from worker.registry import Handler
from worker.settings import Settings
from worker.supervisor.calls import Caller
from worker.supervisor.executor import Execution, Executor
from worker.supervisor.isolation import Isolation
from worker.supervisor.operations import operation_handler
from worker.supervisor.runs import Key, Runs
from worker.supervisor.serving import Serving
from worker.words.errors import ConfigurationError, ModuleException
from worker.words.notices import PlatformTrouble, announce
from worker.words.work import Assignment, Demand

PATIENCE = 5.0  # longest single wait for assignments in seconds; a nudge ends it early


class Intake:
    """Claims tasks and starts their runs.

    Args:
        platform: The source of tasks.
        settings: The settings of the worker.
        serving: The current handlers.
        runs: The current runs.
        caller: Calls handlers.
        draining: Returns whether the worker is draining.
        ended: Called with the task id of each run that has ended.
    """

    def __init__(
        self,
        platform: Platform,
        settings: Settings,
        serving: Serving,
        runs: Runs,
        caller: Caller,
        *,
        draining: Callable[[], bool],
        ended: Callable[[str], None],
    ) -> None:
        self._platform = platform
        self._runs = runs
        self._draining = draining
        self._task_ended = ended
        self.serving = self._serving_at_request = serving
        """The current handlers, which a reload replaces."""
        self.isolation = Isolation(platform, settings, serving.card.name, draining, self._handled)
        self._executor = Executor(platform, caller, draining, self._handled)

    async def run(self, stop: asyncio.Event) -> None:
        """Claim and start tasks until the worker drains."""
        pauses = SOON.pauses()
        while not self._draining():
            if self._runs.places() <= 0:
                self._runs.freed.clear()
                await self._runs.freed.wait()
                continue
            try:
                claimed = await self._platform.work.assignments(self.serving.card.id, self._demand, PATIENCE)
                pauses.reset()
            except ConfigurationError:
                raise  # the platform permanently rejects this worker, which retries would only conceal
            except ModuleException as error:
                await within(stop, pauses.after("claiming tasks", error))
                continue
            for assignment in claimed:
                self._start(assignment)
            await asyncio.sleep(0)  # runs that end immediately free their places for one larger claim

    def _demand(self) -> Demand:
        self._serving_at_request = self.serving
        free = 0 if self._draining() else max(0, self._runs.places())
        return self.serving.demand(free, self._runs.busy, self.isolation.free)

    def _start(self, assignment: Assignment) -> None:
        agent = assignment.task.agent_id  # handlers that were replaced during the claim still run its tasks
        handler = self.serving.handler_for(agent) or self._serving_at_request.handler_for(agent)
        if handler is None:  # cannot happen: the demand names only served agents
            raise RuntimeError(f"no handler serves agent {assignment.task.agent_id!r}")
        execution = self._executor.prepare(assignment, operation_handler(assignment.task, handler))
        key = self._runs.add(execution)
        folder = self.serving.registry.folder
        if folder is not None and self.serving.card.isolates and self.isolation.wants(assignment):
            execution.worker = self.isolation.start(execution, folder)
        else:
            execution.worker = asyncio.create_task(self._executor.execute(execution), name=f"task {assignment.task.id}")
        execution.worker.add_done_callback(lambda done: self._ended(key, execution, done))

    def _handled(self, handler: Handler) -> None:
        self._runs.handled(handler)
        if handler.concurrency is not None:
            self._platform.work.nudge()  # its own limit has room again, which a running wait does not know

    def _ended(self, key: Key, execution: Execution, done: asyncio.Task[None]) -> None:
        error = None if done.cancelled() else done.exception()
        if error is not None:
            announce(PlatformTrouble(doing="running a task", error=error))
        if not execution.is_settled and not execution.is_isolated and not self._draining():
            execution.worker = asyncio.create_task(self._executor.settle(execution, error), name=f"end of {key[0]}")
            execution.worker.add_done_callback(lambda done: self._ended(key, execution, done))
            return
        self._runs.drop(key)
        self._task_ended(key[0])
