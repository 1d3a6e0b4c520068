"""Calling a handler: its arguments, on the loop or in a thread, under its time limit."""

import asyncio
import contextvars
import inspect
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from worker.current import Run, run_in_hand
from worker.face.context import Context
from worker.face.task import Task
from worker.registry import Handler
from worker.words.errors import TimeLimit
from worker.words.events import TaskUpdateEvent


class Caller:
    """Calls handlers; sync ones in threads of its own, as many as the worker runs tasks."""

    def __init__(self, threads: int) -> None:
        self._executor = ThreadPoolExecutor(max_workers=threads, thread_name_prefix="handler")

    def close(self) -> None:
        """Start no more threads; those that run are left to themselves."""
        self._executor.shutdown(wait=False, cancel_futures=True)

    async def call(self, handler: Handler, run: Run, task: Task, event: TaskUpdateEvent | None) -> Any:
        """Call a handler for a task.

        Args:
            handler: Which.
            run: The attempt in hand, which its code finds by ``run_in_hand``.
            task: The task.
            event: What it is called for; none: the work of the task itself.

        Returns:
            What it returned.

        Raises:
            TimeLimit: Its time is up. A sync handler's thread goes on; nothing it writes is accepted.
        """
        available = {"task": task, "event": event, "context": Context(run, event)}
        arguments = {name: available[what] for name, what in handler.arguments.items()}
        token = run_in_hand.set(run)
        try:
            if handler.timeout is None:
                return await self._start(handler, arguments)
            return await self._limited(handler, run, arguments, handler.timeout)
        finally:
            run_in_hand.reset(token)

    async def hook(self, function: Callable[[], Any]) -> None:
        """Call a boot or shutdown hook, async or not."""
        if inspect.iscoroutinefunction(function):
            await function()
        else:
            await asyncio.get_running_loop().run_in_executor(self._executor, function)

    async def _limited(self, handler: Handler, run: Run, arguments: dict[str, Any], seconds: float) -> Any:
        run.deadline = time.monotonic() + seconds
        limit = asyncio.timeout(seconds)
        try:
            async with limit:
                return await self._start(handler, arguments)
        except TimeoutError:
            if not limit.expired():
                raise  # the handler's own
            run.stopping.set(f"time limit of {seconds:g} s")
            raise TimeLimit(seconds) from None

    async def _start(self, handler: Handler, arguments: dict[str, Any]) -> Any:
        if handler.is_async:
            return await handler.function(**arguments)
        context = contextvars.copy_context()
        return await asyncio.get_running_loop().run_in_executor(
            self._executor, lambda: context.run(handler.function, **arguments)
        )
