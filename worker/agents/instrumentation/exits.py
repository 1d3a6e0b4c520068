"""Handling of a ``BaseException`` that leaves user code: it ends only the run that it belongs to.

Agno runs several tools, members and steps concurrently, each in an asyncio task of its own, and waits for each of them
to report that it is done. A task that ended by ``sys.exit()``, or by another library's exit exception, never reports.
SystemExit would also stop the run's event loop, since asyncio raises it out of the loop itself.
"""

import asyncio
import inspect
from collections.abc import AsyncIterator, Awaitable, Generator
from contextlib import contextmanager
from typing import Any

from worker.agents.instrumentation.frames import current_frame
from worker.current import REASON_RETRY, Run, run_in_hand
from worker.words.errors import Escaped


@contextmanager
def guarded(*, with_cancelled: bool = False) -> Generator[None]:
    """End the current run if an exception that is not an ``Exception`` leaves the block.

    Args:
        with_cancelled: Whether that includes a CancelledError that code raised without any cancellation.
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


def guarded_result(result: Any, *, with_cancelled: bool = True) -> Any:
    """Apply ``guarded`` to the awaiting of a result, or to each item that it yields."""
    if run_in_hand.get() is None:
        return result
    if inspect.isawaitable(result):
        return _awaited(result, with_cancelled=with_cancelled)
    return _each(result, with_cancelled=with_cancelled) if hasattr(result, "__anext__") else result


def guarded_items(result: Any) -> Any:
    """Apply ``guarded`` to a tool's items, which Agno reads in a separate task that only the tool's code can cancel.

    Agno waits for that task's final message, which a cancelled task never sends.
    """
    run = run_in_hand.get()
    return _each_apart(result, run) if run is not None and hasattr(result, "__anext__") else result


def _is_own(run: Run) -> bool:
    """Return whether neither this task nor the run was cancelled from outside."""
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
    """Cancel a handler that waits for a run of its own; runs of ``run_agent`` notice by themselves that they end."""
    task = run.home[1] if run.home is not None else None
    if current_frame.get() is None and task is not None and task is not asyncio.current_task():
        task.cancel()


def _is_over(run: Run) -> bool:
    frame = current_frame.get()
    return bool(run.stopping) or (frame is not None and frame.run.is_over)


async def _awaited(result: Awaitable[Any], *, with_cancelled: bool) -> Any:
    with guarded(with_cancelled=with_cancelled):
        return await result


async def _each(items: AsyncIterator[Any], *, with_cancelled: bool) -> AsyncIterator[Any]:
    try:
        with guarded(with_cancelled=with_cancelled):
            async for item in items:
                yield item
    finally:
        close = getattr(items, "aclose", None)
        if close is not None:
            await close()
