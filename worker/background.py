"""asyncio tasks that run beside their caller, until they end or their owner closes."""

import asyncio
from collections.abc import Coroutine
from contextvars import Context
from typing import Any


def in_background(work: Coroutine[Any, Any, None], tasks: set[asyncio.Task[None]], name: str) -> asyncio.Task[None]:
    """Start a task on the running loop, which itself keeps only weak references to tasks.

    The task has an empty context, so that it neither belongs to a run nor keeps one in memory.

    Args:
        work: What the task does.
        tasks: Holds the task until it has ended, so that its owner can wait for it or cancel it.
        name: The task's name, for debugging.
    """
    task = asyncio.get_running_loop().create_task(work, name=name, context=Context())
    tasks.add(task)
    task.add_done_callback(tasks.discard)
    return task
