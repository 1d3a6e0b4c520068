"""What is not given up while the platform is away."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from worker.words.errors import Unavailable
from worker.words.notices import PlatformTrouble, announce

T = TypeVar("T")

AGAIN = 0.2, 5.0  # seconds: first and longest wait before it is tried again


async def persist(ask: Callable[[], Awaitable[T]], doing: str) -> T:
    """Ask something of the platform until it answers, however long that takes.

    Args:
        ask: What is asked; repeating it must do no harm.
        doing: What for, as notices of trouble say it.

    Returns:
        The answer.

    Raises:
        ModuleException: The platform answered, and refused.
    """
    wait, longest = AGAIN
    while True:
        try:
            return await ask()
        except Unavailable as trouble:
            announce(PlatformTrouble(doing=doing, error=trouble, again_in=wait))
        await asyncio.sleep(wait)
        wait = min(wait * 2, longest)
