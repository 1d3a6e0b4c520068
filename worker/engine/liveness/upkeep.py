"""What every engine does again and again for as long as it is open, each safe to be done by several at once."""

import asyncio
from collections.abc import Awaitable, Callable

from worker.words.errors import ModuleException
from worker.words.notices import PlatformTrouble, announce


async def repeat(look: Callable[[], Awaitable[object]], seconds: float, doing: str) -> None:
    """Do something at intervals, until it is cancelled; trouble is announced, and it is tried again.

    Args:
        look: What is done.
        seconds: Between the end of one and the beginning of the next.
        doing: What for, as notices of trouble say it.
    """
    while True:
        try:
            await look()
        except ModuleException as error:
            announce(PlatformTrouble(doing=doing, error=error, again_in=seconds))
        await asyncio.sleep(seconds)
