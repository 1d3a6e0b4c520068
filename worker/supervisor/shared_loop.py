"""Protection of the event loop that a worker shares with its runs, whose code sees only its own tasks.

Many programs cancel all tasks of their loop when they end, and shut down its executor.
"""

import asyncio
from contextlib import suppress
from contextvars import Context
from typing import Any
from weakref import WeakKeyDictionary, WeakSet

from worker.current import Run, run_in_hand

_all_tasks = asyncio.all_tasks
TELLS_CONTEXT = hasattr(asyncio.Task, "get_context")  # since Python 3.12
_runs: WeakKeyDictionary[asyncio.Task[Any], Run] = WeakKeyDictionary()  # used before Python 3.12
_loops: WeakSet[asyncio.AbstractEventLoop] = WeakSet()


def share(loop: asyncio.AbstractEventLoop) -> None:
    """Let the code of a run see only its own tasks on this loop, and prevent it from shutting down the executor.

    Args:
        loop: The loop that the worker shares with its runs; other loops are not affected.
    """
    shutdown = loop.shutdown_default_executor

    async def shutdown_default_executor(*arguments: Any) -> None:
        if run_in_hand.get() is None:
            await shutdown(*arguments)

    with suppress(AttributeError):  # attributes of a loop written in C cannot be replaced
        loop.shutdown_default_executor = shutdown_default_executor
    if not TELLS_CONTEXT:
        loop.set_task_factory(_made)
    _loops.add(loop)
    asyncio.all_tasks = asyncio.tasks.all_tasks = _seen


def _made(loop: asyncio.AbstractEventLoop, coroutine: Any, context: Context | None = None) -> asyncio.Task[Any]:
    task = asyncio.Task(coroutine, loop=loop, context=context)
    run = run_in_hand.get() if context is None else context.get(run_in_hand)
    if run is not None:
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
