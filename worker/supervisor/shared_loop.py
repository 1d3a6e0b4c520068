"""The loop that a worker shares with its runs: their code finds its own tasks there, and cannot close the threads.

Many programs cancel all tasks of their loop, and shut its executor down, when they end.
"""

import asyncio
from contextlib import suppress
from contextvars import Context
from typing import Any
from weakref import WeakKeyDictionary, WeakSet

from worker.current import Run, run_in_hand

_all_tasks = asyncio.all_tasks
TELLS_CONTEXT = hasattr(asyncio.Task, "get_context")  # since Python 3.12
_runs: WeakKeyDictionary[asyncio.Task[Any], Run] = WeakKeyDictionary()  # where no task tells its context
_loops: WeakSet[asyncio.AbstractEventLoop] = WeakSet()


def share(loop: asyncio.AbstractEventLoop) -> None:
    """Show the code of a run only its own tasks on this loop, and let it close nothing.

    Args:
        loop: Which the worker shares with its runs; of others, code sees and closes what there is.
    """
    shutdown = loop.shutdown_default_executor

    async def shutdown_default_executor(*arguments: Any) -> None:
        if run_in_hand.get() is None:
            await shutdown(*arguments)

    with suppress(AttributeError):  # a loop that is written in C keeps its own
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
    """Stands in place of ``asyncio.all_tasks``."""
    tasks, run = _all_tasks(loop), run_in_hand.get()
    if run is None or (loop or asyncio.get_running_loop()) not in _loops:
        return tasks
    try:
        current = asyncio.current_task()  # the run's outermost task was made for it before it had its context
    except RuntimeError:
        current = None
    return {each for each in tasks if each is current or _run_of(each) is run}
