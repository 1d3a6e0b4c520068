"""Handler calls: arguments, execution on the loop or in a thread, time limits."""

import asyncio
import contextvars
import os
import time
from collections.abc import Callable
from functools import partial
from types import NoneType
from typing import Any

from worker.bounded import on_behalf_of
from worker.current import REASON_CUT_OFF, REASON_DRAIN, Run, position, run_in_hand
from worker.face.context import Context
from worker.face.task import Task
from worker.registry import Handler
from worker.supervisor import shared_process, signals
from worker.supervisor.answers import resolve_result
from worker.supervisor.overdue import GRACE_SECONDS, overdue
from worker.supervisor.verdict import Verdict, of_value
from worker.threads import Threads, end_forked
from worker.words.errors import Escaped, TimeLimit
from worker.words.events import TaskUpdateEvent


class Caller:
    """Calls handlers; sync handlers run in its own threads.

    Args:
        threads: The most concurrent sync calls.
        name: The prefix of the threads' names.
    """

    def __init__(self, threads: int, name: str = "handler") -> None:
        self.threads = Threads(threads, name)
        self._left: set[asyncio.Future[Any]] = set()  # threads that still run although their run has ended

    def close(self) -> None:
        """Start no more threads; running ones are abandoned."""
        self.threads.shutdown(wait=False, cancel_futures=True)

    async def idle(self, seconds: float) -> None:
        """Wait for threads whose runs have already ended, for at most ``seconds``."""
        if self._left:
            await asyncio.wait(self._left, timeout=seconds)

    async def call(self, handler: Handler, run: Run, task: Task, event: TaskUpdateEvent | None) -> Any:
        """Call a handler for a task.

        Args:
            handler: The handler.
            run: The current attempt, which the handler's code finds through ``run_in_hand``.
            task: The task.
            event: The event to handle; None means that the handler does the work of the task itself.

        Returns:
            The handler's result, fully resolved.

        Raises:
            TimeLimit: The handler exceeded its time limit. A sync handler's thread continues, but its writes are
                refused.
        """
        available = {"task": task, "event": event, "context": Context(run, event)}
        function = partial(handler.filling.call, handler.function, available)
        shared_process.remember()
        token = run_in_hand.set(run)
        on_behalf_of.set(run.agent_id)
        try:
            if handler.timeout is None:
                return await self._start(handler, run, task, function)
            return await self._limited(handler, run, task, function)
        finally:
            run_in_hand.reset(token)

    async def verdict(self, value: Any, task: Task, run: Run) -> Verdict:
        """Classify what a handler returned; in a thread if its conversion may take long."""
        results = [each.result if isinstance(each, Task) else each for each in (value, task)]
        if all(type(each) in (str, NoneType) for each in results):
            return of_value(value, task, run)
        return await asyncio.wrap_future(self.threads.submit(of_value, value, task, run))

    async def _limited(self, handler: Handler, run: Run, task: Task, function: Callable[[], Any]) -> Any:
        """Call a handler under its time limit, which applies even if the handler suppresses its cancellation."""
        seconds = handler.timeout or 0.0
        run.deadline = time.monotonic() + seconds
        limit = asyncio.timeout(seconds)
        try:
            async with limit:
                with overdue.watching(run):
                    value = await self._start(handler, run, task, function)
        except (Exception, asyncio.CancelledError) as error:
            if not limit.expired() and time.monotonic() < run.deadline:
                raise
            raise self._over(run, seconds) from (None if isinstance(error, TimeoutError) else error)
        if limit.expired() or time.monotonic() > run.deadline + GRACE_SECONDS:  # it blocked the loop until it returned
            raise self._over(run, seconds)
        return value

    def _over(self, run: Run, seconds: float) -> TimeLimit:
        limit = TimeLimit(seconds)
        run.stopping.set(str(limit))
        return limit

    async def _start(self, handler: Handler, run: Run, task: Task, function: Callable[[], Any]) -> Any:
        """Call a handler; everything that it raises becomes an ``Exception`` or a cancellation."""
        process = os.getpid()
        try:
            in_thread = partial(self._in_thread, run)
            if handler.is_async:
                run.home = position()
                value = function()
            else:
                value = await in_thread(function)
            return await resolve_result(value, run, task, in_thread)
        except (Exception, asyncio.CancelledError):
            raise
        except BaseException as error:
            if isinstance(error, GeneratorExit) and run.home != position():
                raise  # not raised by the handler: the loop has ended, and this coroutine is being closed
            raise Escaped(error) from error
        finally:
            end_forked(process)
            shared_process.restore()
            signals.restore_reception()  # the handler may have replaced the signal handlers

    async def _in_thread(self, run: Run, function: Callable[[], Any]) -> Any:
        context = contextvars.copy_context()

        def work() -> Any:
            run.home = position()
            return None if run.stopping else context.run(function)

        call = self.threads.submit(work)
        thread = asyncio.wrap_future(call)
        try:
            return await asyncio.shield(thread)
        except asyncio.CancelledError:
            if not thread.done():
                self._left.add(thread)
                thread.add_done_callback(self._ended)
                call.cancel()  # if the call is running already, the pool replaces its thread
            if run.stopping.reason in (REASON_DRAIN, REASON_CUT_OFF):  # the next attempt must not overlap with this one
                await asyncio.wait([thread])
            raise

    def _ended(self, thread: asyncio.Future[Any]) -> None:
        self._left.discard(thread)
        if not thread.cancelled():
            thread.exception()  # retrieved, so that asyncio does not log it; the run has already ended
