"""Protection of the event loop that a worker shares with its runs, whose code sees only its own tasks.

Many programs cancel all tasks of their loop when they end, and shut down its executor.
"""

import asyncio
import time
from contextlib import suppress
from contextvars import Context, ContextVar
from functools import partial
from typing import Any
from weakref import WeakKeyDictionary, WeakSet

from worker.current import Run, run_in_hand

_all_tasks = asyncio.all_tasks
TELLS_CONTEXT = hasattr(asyncio.Task, "get_context")  # since Python 3.12
_Task = asyncio.Task
_factory: ContextVar[Any] = ContextVar("task_factory", default=None)  # of the code that has set it
_factories: WeakKeyDictionary[asyncio.AbstractEventLoop, Any] = WeakKeyDictionary()
_runs: WeakKeyDictionary[asyncio.Task[Any], Run] = WeakKeyDictionary()  # used before Python 3.12
_loops: WeakSet[asyncio.AbstractEventLoop] = WeakSet()


steady = partial(time.clock_gettime, time.CLOCK_MONOTONIC)
"""``time.monotonic()``, which libraries that freeze the time cannot replace."""


def share(loop: asyncio.AbstractEventLoop) -> None:
    """Let the code of a run see only its own tasks on this loop, and prevent it from replacing or shutting down parts.

    Args:
        loop: The loop that the worker shares with its runs; other loops are not affected.
    """
    if loop in _loops:
        return  # several workers of one loop, one after another, as in tests
    shut_down, set_executor = loop.shutdown_default_executor, loop.set_default_executor
    set_factory = loop.set_task_factory

    async def shutdown_default_executor(*arguments: Any) -> None:
        if run_in_hand.get() is None:
            await shut_down(*arguments)

    def set_default_executor(executor: Any) -> None:
        if run_in_hand.get() is None:
            set_executor(executor)

    def set_task_factory(factory: Any) -> None:
        _factory.set(factory)
        if run_in_hand.get() is None:
            _factories[loop] = factory
        set_factory(_make_task)

    with suppress(AttributeError):  # attributes of a loop written in C cannot be replaced
        loop.shutdown_default_executor = shutdown_default_executor
        loop.set_default_executor = set_default_executor
        loop.set_task_factory = set_task_factory
        loop.time = steady
    if not TELLS_CONTEXT:
        set_factory(_make_task)
    _loops.add(loop)
    asyncio.all_tasks = asyncio.tasks.all_tasks = _seen


def _make_task(loop: asyncio.AbstractEventLoop, coroutine: Any, **options: Any) -> Any:
    """Make a task. A factory that user code has set makes only tasks of runs: its own, or all if a hook has set it."""
    context: Context | None = options.get("context")
    run = run_in_hand.get() if context is None else context.get(run_in_hand)
    factory = None if run is None else _factory.get() or _factories.get(loop)
    task = _Task(coroutine, loop=loop, **options) if factory is None else factory(loop, coroutine, **options)
    if run is not None and not TELLS_CONTEXT:
        _runs[task] = run
    return task


def _run_of(task: Any) -> Run | None:
    return task.get_context().get(run_in_hand) if TELLS_CONTEXT else _runs.get(task)


def _seen(loop: asyncio.AbstractEventLoop | None = None) -> set[asyncio.Task[Any]]:
    """Replaces ``asyncio.all_tasks``."""
    tasks, run = _all_tasks(loop), run_in_hand.get()
    if run is None or (loop or asyncio.get_running_loop()) not in _loops:
        return tasks
    try:
        current = asyncio.current_task()  # included because a run's outermost task was created outside its context
    except RuntimeError:
        current = None
    return {each for each in tasks if each is current or _run_of(each) is run}
