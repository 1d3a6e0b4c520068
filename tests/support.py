"""What tests of all rooms share."""

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable

POLL_SECONDS = 0.02


async def wait_until(
    predicate: Callable[[], object | Awaitable[object]],
    description: str,
    timeout: float = 10.0,  # noqa: ASYNC109 - a limit that names what never happened
) -> None:
    """Wait until the predicate (plain or async) is true; after `timeout` seconds say what never happened."""
    deadline = time.monotonic() + timeout
    while True:
        answer = predicate()
        if inspect.isawaitable(answer):
            answer = await answer
        if answer:
            return
        if time.monotonic() > deadline:
            raise AssertionError(f"after {timeout:g} s still not: {description}")
        await asyncio.sleep(POLL_SECONDS)
