"""Time limits for tool calls."""

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from concurrent.futures import wait
from functools import partial
from typing import Any, TypeVar

from worker.threads import in_thread, waited

T = TypeVar("T")


ENDING = object()
"""Marks the end of an iterator."""


class TookTooLong(Exception):  # noqa: N818 - named after the event
    """A call was ended at its tool's time limit."""


async def in_time(seconds: float | None, work: Awaitable[T]) -> T:
    """Await a call within a time limit.

    Raises:
        TookTooLong: The call was cancelled at the limit.
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
    """Make a call from sync code: in a separate thread, which is abandoned at the time limit.

    Args:
        seconds: The limit; None for no limit.
        work: The call.
        loop: The loop that provides the thread.
        thread: The loop's own thread; code that blocks it cannot wait for another thread, and has no time limit.

    Raises:
        TookTooLong: The call was abandoned at the limit.
    """
    if seconds is None or threading.get_ident() == thread:
        return work()
    future = asyncio.run_coroutine_threadsafe(in_thread(work), loop)
    if not wait([future], seconds).done:
        future.cancel()
        raise TookTooLong
    return waited(future)


async def until(deadline: float, items: AsyncIterator[Any], text: str) -> AsyncIterator[Any]:
    """Pass on a tool's items until a time by the loop's clock.

    Raises:
        TimeoutError: The time has passed; the message is the given text.
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
    """Sync version of ``until``, with the threads of ``in_time_sync``."""
    step = partial(next, items, ENDING)
    is_within = False  # whether a thread is inside the iterator, which then cannot be closed
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
