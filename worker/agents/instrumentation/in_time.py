"""Calls of tools that may take so long and no longer."""

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from concurrent.futures import wait
from functools import partial
from typing import Any, TypeVar

from worker.threads import in_thread, waited

T = TypeVar("T")


ENDING = object()
"""What follows the last item."""


class TookTooLong(Exception):  # noqa: N818 - what happened
    """A call was ended at its tool's limit."""


async def in_time(seconds: float | None, work: Awaitable[T]) -> T:
    """Await a call.

    Raises:
        TookTooLong: It was cancelled, after so many seconds.
    """
    limit = asyncio.timeout(seconds)
    try:
        async with limit:
            return await work
    except TimeoutError as error:
        if not limit.expired():
            raise
        raise TookTooLong from error


def in_time_sync(seconds: float | None, work: Callable[[], T], loop: asyncio.AbstractEventLoop, thread: int) -> T:
    """Make a call from plain code: in a thread of its own, which is left to itself after so many seconds.

    Args:
        seconds: None: no limit.
        work: The call.
        loop: Whose threads are taken.
        thread: The loop's; code that blocks it cannot wait for one of its threads, and is not bounded.

    Raises:
        TookTooLong: It was left.
    """
    if seconds is None or threading.get_ident() == thread:
        return work()
    future = asyncio.run_coroutine_threadsafe(in_thread(work), loop)
    if not wait([future], seconds).done:
        future.cancel()
        raise TookTooLong
    return waited(future)


async def until(deadline: float, items: AsyncIterator[Any], text: str) -> AsyncIterator[Any]:
    """Pass on what a tool yields until a time of the loop's.

    Raises:
        TimeoutError: With this text, then.
    """
    try:
        while True:
            limit = asyncio.timeout_at(deadline)
            try:
                async with limit:
                    item = await anext(items, ENDING)
            except TimeoutError as error:
                if not limit.expired():
                    raise
                raise TimeoutError(text) from error
            if item is ENDING:
                return
            yield item
    finally:
        close = getattr(items, "aclose", None)
        if close is not None:
            await close()


def until_sync(
    deadline: float, items: Iterator[Any], text: str, loop: asyncio.AbstractEventLoop, thread: int
) -> Iterator[Any]:
    """Do the same for plain code, as ``in_time_sync`` does."""
    step = partial(next, items, ENDING)
    is_within = False  # whether a thread is: what it is left with cannot be closed
    try:
        while True:
            rest = max(0.0, deadline - loop.time())
            is_within = True
            try:
                item = in_time_sync(rest, step, loop, thread)
            except TookTooLong as error:
                raise TimeoutError(text) from error
            is_within = False
            if item is ENDING:
                return
            yield item
    finally:
        close = getattr(items, "close", None)
        if close is not None and not is_within:
            close()
