"""What is not given up while the platform is away."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from worker.words.errors import ModuleException, Unavailable
from worker.words.notices import PlatformTrouble, announce

T = TypeVar("T")

AGAIN = 0.2, 5.0  # seconds: first and longest wait before it is tried again
FAULTS = 10  # tries where the platform has a fault of its own (500): half a minute, then it is taken for its answer
FAULT = frozenset({500, 502})


async def persist(ask: Callable[[], Awaitable[T]], doing: str) -> T:
    """Ask something of the platform until it answers, however long that takes; a fault of its own is no answer yet.

    Args:
        ask: What is asked; repeating it must do no harm.
        doing: What for, as notices of trouble say it.

    Returns:
        The answer.

    Raises:
        ModuleException: The platform answered, and refused.
    """
    wait, longest = AGAIN
    faults = 0
    while True:
        try:
            return await ask()
        except ModuleException as trouble:
            faults += trouble.status_code in FAULT
            if not isinstance(trouble, Unavailable) and (trouble.status_code not in FAULT or faults >= FAULTS):
                raise
            announce(PlatformTrouble(doing=doing, error=trouble, again_in=wait))
        await asyncio.sleep(wait)
        wait = min(wait * 2, longest)
