"""Thread pools for short examinations of files and for name lookups.

Neither uses the event loop's default executor: synchronous handlers may occupy all of its threads while they wait for
a file. Work that may never end belongs in ``worker.bounded``.
"""

import asyncio
from collections.abc import Callable
from typing import TypeVar

from worker.threads import LOOKUPS, Threads

Result = TypeVar("Result")

_EXAMINERS = Threads(2, "examine")  # few, since they compete with the event loop for the interpreter


async def examine(work: Callable[[], Result]) -> Result:
    """Run short, finite work in a thread."""
    return await asyncio.get_running_loop().run_in_executor(_EXAMINERS, work)


async def look_up(work: Callable[[], Result]) -> Result:
    """Run a name lookup, which may hang; a caller that stops waiting leaves it to finish in the background."""
    return await asyncio.get_running_loop().run_in_executor(LOOKUPS, work)
