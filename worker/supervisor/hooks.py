"""What handlers' modules want done once around a worker, and around each of its child processes."""

import asyncio
import inspect
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from worker.words.notices import PlatformTrouble, announce

Hook = Callable[[], Any]


async def boot(hooks: Sequence[Hook]) -> None:
    """Call each, in the order in which they were registered; what one raises ends the start."""
    for hook in hooks:
        await _call(hook)


async def shut_down(hooks: Sequence[Hook], seconds: float) -> None:
    """Call each, whatever the others do: a hook that raises or hangs must not keep tasks from other workers.

    Args:
        hooks: In the order in which they were registered.
        seconds: What they get in all, each its share of what is left; then one on the loop is cancelled, and one in a
            thread left to itself.
    """
    deadline = time.monotonic() + seconds
    for waiting, hook in zip(range(len(hooks), 0, -1), hooks, strict=True):
        try:
            async with asyncio.timeout((deadline - time.monotonic()) / waiting):
                await _call(hook)
        except (Exception, asyncio.CancelledError, SystemExit) as error:  # noqa: BLE001 - each hook gets its turn
            announce(PlatformTrouble(doing="running a shutdown hook", error=error, again_in=0.0))


async def _call(hook: Hook) -> None:
    """Call a hook; a sync one in a thread of its own, since handlers that do not end may hold all the others."""
    if inspect.iscoroutinefunction(hook):
        await hook()
        return
    thread = ThreadPoolExecutor(1, thread_name_prefix="hook")
    try:
        await asyncio.get_running_loop().run_in_executor(thread, hook)
    finally:
        thread.shutdown(wait=False)
