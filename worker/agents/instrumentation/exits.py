"""What leaves user code as no ``Exception`` ends its run, and nothing else.

Agno calls several tools, members and steps at once, each in an asyncio task of its own, and waits for each to say that
it is done, which one that has left by ``sys.exit()`` or another library's kind of exception never does. SystemExit
would stop whatever event loop the run is on, besides: asyncio raises it out of the loop itself.
"""

import asyncio
import inspect
from collections.abc import AsyncIterator, Awaitable, Generator
from contextlib import contextmanager
from typing import Any

from worker.agents.instrumentation.frames import frame_in_hand
from worker.current import REASON_RETRY, Run, run_in_hand
from worker.words.errors import Escaped


@contextmanager
def held(*, with_cancelled: bool = False) -> Generator[None]:
    """End the run in hand for what leaves a block so.

    Args:
        with_cancelled: Also for a CancelledError that nobody asked for: code has raised it.
    """
    try:
        yield
    except (Exception, GeneratorExit):
        raise
    except asyncio.CancelledError as error:
        run = run_in_hand.get()
        if with_cancelled and run is not None and _is_own(run):
            run.stopping.set(REASON_RETRY, error)
        raise
    except BaseException as error:
        run = run_in_hand.get()
        if run is None:
            raise
        run.stopping.set(REASON_RETRY, Escaped(error))
        raise asyncio.CancelledError(REASON_RETRY) from error


def held_in(result: Any, *, with_cancelled: bool = True) -> Any:
    """The same of what is awaited, or of what is yielded one by one."""
    if run_in_hand.get() is None:
        return result
    if inspect.isawaitable(result):
        return _awaited(result, with_cancelled=with_cancelled)
    return _each(result, with_cancelled=with_cancelled) if hasattr(result, "__anext__") else result


def held_apart(result: Any) -> Any:
    """The same of what a tool yields: Agno takes it in a task of its own, which nobody cancels but code within it.

    It waits for that task's last word, which one that was cancelled never says.
    """
    run = run_in_hand.get()
    return _each_apart(result, run) if run is not None and hasattr(result, "__anext__") else result


def _is_own(run: Run) -> bool:
    """Whether nobody has cancelled this task, nor the run."""
    task = asyncio.current_task()
    return not _is_over(run) and task is not None and not task.cancelling()


async def _each_apart(items: AsyncIterator[Any], run: Run) -> AsyncIterator[Any]:
    try:
        async for item in _each(items, with_cancelled=True):
            yield item
    except asyncio.CancelledError as error:
        if not _is_over(run):
            run.stopping.set(REASON_RETRY, error)
            _wake(run)
        raise


def _wake(run: Run) -> None:
    """Cancel a handler that waits for a run of its own; one of ours knows by itself that it should end."""
    task = run.home[1] if run.home is not None else None
    if frame_in_hand.get() is None and task is not None and task is not asyncio.current_task():
        task.cancel()


def _is_over(run: Run) -> bool:
    frame = frame_in_hand.get()
    return bool(run.stopping) or (frame is not None and frame.run.is_over)


async def _awaited(result: Awaitable[Any], *, with_cancelled: bool) -> Any:
    with held(with_cancelled=with_cancelled):
        return await result


async def _each(items: AsyncIterator[Any], *, with_cancelled: bool) -> AsyncIterator[Any]:
    try:
        with held(with_cancelled=with_cancelled):
            async for item in items:
                yield item
    finally:
        close = getattr(items, "aclose", None)
        if close is not None:
            await close()
