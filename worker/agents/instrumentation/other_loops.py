"""Runs and model calls that user code makes on an event loop of its own, as ``asyncio.run()`` in a sync tool does.

They are carried out on the run's loop, to which its journal and its events belong, while the other loop waits.
"""

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable
from contextlib import aclosing, suppress
from typing import Any

from worker.agents.instrumentation.frames import Frame

_END = object()


def on_run_loop(frame: Frame, result: Any) -> Any:
    """Return the result of a run or model call; in another thread, it is awaited or iterated on the run's loop."""
    if threading.get_ident() == frame.run.thread:
        return result
    if hasattr(result, "__anext__"):
        return _iterated(frame, result)
    return _awaited(frame, result) if hasattr(result, "__await__") else result


async def _awaited(frame: Frame, result: Awaitable[Any]) -> Any:
    async def there() -> Any:
        return await result

    return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(there(), frame.run.loop))


async def _iterated(frame: Frame, items: Any) -> AsyncIterator[Any]:
    here, there = asyncio.get_running_loop(), frame.run.loop
    given, wanted = asyncio.Queue[Any](), asyncio.Queue[None]()

    async def give() -> None:
        try:
            async with aclosing(items):
                await wanted.get()
                async for item in items:
                    here.call_soon_threadsafe(given.put_nowait, item)
                    await wanted.get()  # whoever reads one item may never ask for the next
        finally:
            with suppress(RuntimeError):  # the reader's loop is closed
                here.call_soon_threadsafe(given.put_nowait, _END)

    giving = asyncio.run_coroutine_threadsafe(give(), there)
    try:
        there.call_soon_threadsafe(wanted.put_nowait, None)
        while (item := await given.get()) is not _END:
            yield item
            there.call_soon_threadsafe(wanted.put_nowait, None)
        await asyncio.wrap_future(giving)
    finally:
        giving.cancel()
