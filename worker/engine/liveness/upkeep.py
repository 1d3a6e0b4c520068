"""Loops of maintenance that every engine runs while it is open, each safe to run in several processes concurrently."""

import asyncio
from collections.abc import Awaitable, Callable

from worker.words.errors import ModuleException
from worker.words.notices import PlatformTrouble, announce


async def repeat(look: Callable[[], Awaitable[object]], seconds: float, doing: str) -> None:
    """Call a function at intervals until cancelled; a ModuleException is announced and does not end the loop.

    Args:
        look: The function.
        seconds: The pause between the end of one call and the next.
        doing: What the function does, for the notices of its errors.
    """
    while True:
        try:
            await look()
        except ModuleException as error:
            announce(PlatformTrouble(doing=doing, error=error, again_in=seconds))
        await asyncio.sleep(seconds)
