"""Threads of this room: for short examinations, and for look-ups of names.

None of it runs in the event loop's default executor: that one belongs to whoever blocks in it, such as synchronous
handlers, and those may themselves be waiting for a file. What may never end is done elsewhere (``worker.bounded``).
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from worker.threads import LOOKUPS

Result = TypeVar("Result")

_EXAMINERS = ThreadPoolExecutor(2, "examine")  # they compete with the event loop for the interpreter


async def examine(work: Callable[[], Result]) -> Result:
    """Run work that takes milliseconds, and surely ends, beside the event loop."""
    return await asyncio.get_running_loop().run_in_executor(_EXAMINERS, work)


async def look_up(work: Callable[[], Result]) -> Result:
    """Run a look-up that may hang for a while; who stops waiting for it leaves it to end by itself."""
    return await asyncio.get_running_loop().run_in_executor(LOOKUPS, work)
