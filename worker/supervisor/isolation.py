"""Isolation of suspects: a task during which workers died several times runs alone, in a child process.

The worker keeps the lease and monitors the child. The child runs the pipeline under the same attempt and writes the
outcome itself. The child's death is charged to the task as a crash; the worker's own death is a suspicion, as usual.
"""

import asyncio
import os
import time
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Self

from worker.contracts import Platform
from worker.contracts.waiting import until_answered
from worker.registry import Handler
from worker.settings import Settings
from worker.supervisor.child import NOT_CHARGED, TaskChild, describe_exit
from worker.supervisor.child_protocol import DRAIN, END, PLATFORM_UNAVAILABLE, Order, opened
from worker.supervisor.executor import Execution
from worker.words.error_codes import ErrorCode
from worker.words.errors import LeaseLost, ModuleException, TimeLimit
from worker.words.notices import (
    ChildEnded,
    PlatformTrouble,
    RunSuperseded,
    TaskCrashed,
    TaskEnded,
    TaskHandedBack,
    TaskIsolated,
    announce,
)
from worker.words.outcomes import HandBack, Outcome
from worker.words.retry import CRASHES, SUSPICIONS
from worker.words.statuses import AgentExecutionStatus
from worker.words.tasks import TaskRecord
from worker.words.work import Assignment

BEGIN_SECONDS = 60.0  # limit for imports, boot hooks and connecting; a child that takes longer is stuck
GRACE_SECONDS = 3.0  # from asking a child to end until it is killed; a draining worker waits four (supervisor.py)
AGAIN_SECONDS = 5.0  # before another try if the child could not begin for a reason other than the task
SIGNALLED_SECONDS = 1.0  # a dyno's SIGTERM may reach the child before the worker
POLL_SECONDS = 0.05


class Isolation:
    """The child processes of a worker.

    Args:
        platform: The platform of the worker.
        settings: The settings of the worker, which connect the child to the same platform.
        worker: The name of the worker.
        draining: Returns whether the worker is draining.
        handled: Called when a child has ended, which frees its handler's place while the outcome may still be written.
    """

    def __init__(
        self,
        platform: Platform,
        settings: Settings,
        worker: str,
        draining: Callable[[], bool],
        handled: Callable[[Handler], None],
    ) -> None:
        self._platform = platform
        self._settings = opened(settings)
        self._limit = settings.children
        self._worker = worker
        self._draining = draining
        self._handled = handled
        self._children: dict[Execution, TaskChild | None] = {}

    @staticmethod
    def wants(assignment: Assignment) -> bool:
        """Return whether a task must run in a child process."""
        return assignment.task.suspicions >= SUSPICIONS

    @property
    def free(self) -> int:
        """The number of further children that may start."""
        return max(0, self._limit - len(self._children))

    def start(self, execution: Execution, folder: Path) -> asyncio.Task[None]:
        """Carry out an attempt in a child process, which discovers its handlers in ``folder``."""
        execution.is_isolated = True
        self._children[execution] = None
        return asyncio.create_task(self._execute(execution, folder), name=f"task {execution.task.id} apart")

    def drain(self) -> None:
        """Notify all children that the worker is draining."""
        for child in self._children.values():
            if child is not None:
                child.send(DRAIN)

    async def _execute(self, execution: Execution, folder: Path) -> None:
        task, handler = execution.task, execution.handler
        announce(TaskIsolated(task.id, task.agent_id, execution.attempt, handler.name, task.suspicions))
        try:
            last_word = await self._run(execution, folder)
        finally:
            del self._children[execution]
            execution.writing = True
            self._handled(handler)
            self._platform.work.nudge()  # another suspect may be claimed, which a running wait does not know
        try:
            await until_answered(partial(self._settle, execution, last_word), "saving the outcome of a child process")
        except LeaseLost:
            announce(RunSuperseded(task.id, task.agent_id, execution.attempt, "lost"))
        except ModuleException as error:
            announce(PlatformTrouble(doing="saving the outcome of a child process", error=error))

    async def _run(self, execution: Execution, folder: Path) -> "HandBack | Outcome | str":
        """Run the child until it exits; return the outcome to write if the child has not (a crash as a description)."""
        secrets = execution.task.model_dump(include=set(TaskRecord.SECRET))
        order = Order(
            task_id=execution.task.id,
            attempt=execution.attempt,
            folder=str(folder),
            worker=self._worker,
            parent=os.getpid(),
            settings=self._settings,
            secrets=secrets,
            session=self._platform.work.session,
        )
        try:
            child = await TaskChild.start(order)
        except OSError as error:
            announce(PlatformTrouble(doing="starting a child process", error=error, again_in=AGAIN_SECONDS))
            return HandBack(AGAIN_SECONDS)
        self._children[execution] = child
        if self._draining():
            child.send(DRAIN)
        with _Limits(execution, child) as limits:
            code = await child.ended()
        return await self._judge(execution, child, code, limits)

    async def _judge(
        self, execution: Execution, child: TaskChild, code: int, limits: "_Limits"
    ) -> "HandBack | Outcome | str":
        if limits.overdue is not None:
            return Outcome(AgentExecutionStatus.Failed, {"result": str(limits.overdue), "error_code": ErrorCode.Limit})
        if await self._was_asked_to_end(execution, code):
            return HandBack()
        if code == PLATFORM_UNAVAILABLE and not child.begun.is_set():
            return HandBack(AGAIN_SECONDS)
        return limits.stuck or describe_exit(code, child.unfit)

    async def _was_asked_to_end(self, execution: Execution, code: int) -> bool:
        """Return whether the child ended because it, or the whole worker, was asked to: the task is not at fault."""
        patience = SIGNALLED_SECONDS if -code in NOT_CHARGED else 0.0
        while not (execution.run.stopping or self._draining()):
            if patience <= 0:
                return False
            patience -= POLL_SECONDS
            await asyncio.sleep(POLL_SECONDS)
        return True

    async def _settle(self, execution: Execution, last_word: "HandBack | Outcome | str") -> None:
        """Write the outcome, unless the child has written one or the attempt no longer owns the task."""
        task, attempt = execution.task, execution.attempt
        lost = await self._platform.work.lost({task.id: attempt})
        if lost:
            seconds = time.monotonic() - execution.started
            announce(ChildEnded(task.id, task.agent_id, attempt, str(lost[task.id]), seconds))
            return
        match last_word:
            case HandBack():
                await self._platform.work.hand_back(task.id, attempt, last_word)
                announce(TaskHandedBack(task.id, task.agent_id, attempt))
            case Outcome():
                await self._platform.work.finish(task.id, attempt, last_word)
                announce(self._failed(execution))
            case str():
                await self._crashed(execution, last_word)

    async def _crashed(self, execution: Execution, reason: str) -> None:
        task, attempt = execution.task, execution.attempt
        crashes = task.crashes + 1
        await self._platform.work.crashed(task.id, attempt, reason, execution.handler.retries.delay(crashes))
        ended = crashes >= CRASHES
        announce(TaskCrashed(task.id, task.agent_id, attempt, crashes, reason, ended))
        if ended:
            announce(self._failed(execution))

    def _failed(self, execution: Execution) -> TaskEnded:
        seconds = time.monotonic() - execution.started
        task = execution.task
        return TaskEnded(task.id, task.agent_id, execution.attempt, str(AgentExecutionStatus.Failed), seconds)


class _Limits:
    """The limits of a child: time to begin, the handler's time limit, and a grace period after it was asked to end.

    The child normally enforces the time limit and ends on request; these limits are for a child whose loop is blocked.
    """

    def __init__(self, execution: Execution, child: TaskChild) -> None:
        self.overdue: TimeLimit | None = None
        self.stuck: str | None = None
        self._loop = asyncio.get_running_loop()
        self._execution = execution
        self._child = child
        self._ends = ExitStack()

    def __enter__(self) -> Self:
        self._after(BEGIN_SECONDS, self._look_whether_begun)
        begun = asyncio.create_task(self._when_begun())
        self._ends.callback(begun.cancel)
        self._ends.callback(self._execution.run.stopping.call(self._stopping))
        return self

    def __exit__(self, *_: object) -> None:
        self._ends.close()

    def _after(self, seconds: float, do: Callable[[], None]) -> None:
        self._ends.callback(self._loop.call_later(seconds, do).cancel)

    async def _when_begun(self) -> None:
        await self._child.begun.wait()
        seconds = self._execution.handler.timeout
        if seconds is not None:
            self._after(seconds + GRACE_SECONDS, lambda: self._end_overdue(seconds))

    def _look_whether_begun(self) -> None:
        if not self._child.begun.is_set():
            self.stuck = f"did not start within {BEGIN_SECONDS:g} s"
            self._child.kill()

    def _end_overdue(self, seconds: float) -> None:
        self.overdue = TimeLimit(seconds)
        self._child.kill()

    def _stopping(self) -> None:
        self._loop.call_soon_threadsafe(self._end)

    def _end(self) -> None:
        self._child.send(END, self._execution.run.stopping.reason)
        self._after(GRACE_SECONDS, self._child.kill)
