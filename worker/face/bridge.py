"""Access to a platform from user code on any event loop or thread, with or without a running loop.

A process does its platform I/O on one loop: in a worker the supervisor's own, set by ``adopt``; elsewhere that of a
daemon thread, started on first use. Async callers on other loops await the result, sync callers block. A sync caller
on the platform's own loop would wait for itself, so it gets a spare loop with its own platform.
"""

import asyncio
import atexit
import os
import threading
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator
from concurrent.futures import CancelledError, Future
from contextvars import ContextVar
from functools import wraps
from importlib import import_module
from typing import Any, ParamSpec, TypeVar

from worker.contracts import Platform
from worker.current import running_loop
from worker.face.configuration import Configuration
from worker.face.platform_loops import Call, Closer, PlatformLoop, ThreadLoop
from worker.face.pump import Source, drain, drain_async, pass_on
from worker.words.errors import Unavailable

P = ParamSpec("P")
T = TypeVar("T")
Loop = asyncio.AbstractEventLoop

_waiting: ContextVar[tuple[Loop, ...]] = ContextVar("loops_waiting", default=())
"""The loops whose threads wait for the current call: no code within the call may wait for one of them."""

_blocking: ContextVar[bool] = ContextVar("calls_block", default=False)
"""Whether ``across`` blocks, because a sync version made by ``blocking`` is running."""


class Bridge:
    """The event loops of a process that platforms live on."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._adopted: PlatformLoop | None = None
        self._private: list[ThreadLoop] = []  # the first is used if no loop was adopted, the others are spare

    def adopt(self, loop: Loop, platform: Platform) -> None:
        """Use a worker's loop and, for the default configuration, its open platform."""
        self._adopted = PlatformLoop(loop, platform)

    async def release(self) -> None:
        """Stop using the adopted loop. Other platforms opened on it are closed, the adopted platform is not."""
        adopted, self._adopted = self._adopted, None
        if adopted is not None:
            await adopted.close()

    def close(self) -> None:
        """Close all private loops and their platforms. The next call starts a new loop."""
        with self._lock:
            leaving, self._private = self._private, []
        for platform_loop in reversed(leaving):
            platform_loop.leave()

    def at_home(self) -> PlatformLoop | None:
        """Return the platform loop that is running in this thread, if any."""
        running = running_loop()
        return next((each for each in self._platform_loops() if each.loop is running), None) if running else None

    def free(self, waiting: tuple[Loop, ...]) -> PlatformLoop:
        """Return a platform loop that is not waiting, preferably the adopted one. If all wait, start a spare one."""
        with self._lock:
            found = next((each for each in self._platform_loops() if each.loop not in waiting), None)
            if found is None:
                found = ThreadLoop()
                self._private.append(found)
        return found

    def adopted_waits(self, waiting: tuple[Loop, ...]) -> bool:
        """Return whether the adopted loop is one of the waiting loops."""
        return self._adopted is not None and self._adopted.loop in waiting

    def _platform_loops(self) -> list[PlatformLoop]:
        adopted = self._adopted
        return [*([] if adopted is None or adopted.loop.is_closed() else [adopted]), *self._private]


_bridge = Bridge()
_before_fork: list[Bridge] = []  # referenced so that garbage collection does not close the parent's connections


def adopt(loop: Loop, platform: Platform) -> None:
    """Do platform I/O on a worker's own loop, with the worker's platform for the default configuration.

    Args:
        loop: The worker's loop.
        platform: The worker's open platform; the worker closes it, after ``await release()``.
    """
    _bridge.adopt(loop, platform)


async def release() -> None:
    """Undo ``adopt``, on the same loop. Other platforms opened there are closed."""
    await _bridge.release()


def close() -> None:
    """Close all private loops and their platforms, as is also done at exit. The next call starts a new loop."""
    _bridge.close()


def before_closing(closer: Closer) -> None:
    """Within a call, register a closer to run before its platform is closed. Registering it again has no effect."""
    platform_loop = _bridge.at_home()
    if platform_loop is not None:
        platform_loop.before_closing(closer)


def is_spare() -> bool:
    """Return whether a worker's own loop waits for the current code, which therefore must not call into that loop."""
    return _bridge.adopted_waits(_waiting.get())


async def across(call: Call[T], configuration: Configuration | None = None) -> T:
    """Make a call on its platform's loop, and await the result.

    Args:
        call: Takes the platform; runs on the platform's loop with the caller's context variables.
        configuration: The platform's configuration; None means the default one.

    Raises:
        Unavailable: The platform cannot be opened; the next call tries again.
    """
    if _blocking.get():
        token = _blocking.set(False)  # the call itself runs on a loop, with this context
        try:
            return block(call, configuration)
        finally:
            _blocking.reset(token)
    home = _bridge.at_home()
    if home is not None:
        return await home.run(call, configuration)
    return await asyncio.wrap_future(_bridge.free(_waiting.get()).submit(call, configuration))


def block(call: Call[T], configuration: Configuration | None = None) -> T:
    """Make a call on its platform's loop, and block this thread for the result. An interrupt cancels the call.

    Args:
        call: Takes the platform; runs on the platform's loop with the caller's context variables.
        configuration: The platform's configuration; None means the default one.

    Raises:
        Unavailable: The platform cannot be opened, or was closed meanwhile.
    """
    return wait(submit(call, configuration))


def submit(call: Call[T], configuration: Configuration | None = None) -> Future[T]:
    """Start a call on its platform's loop, for a thread that then calls ``wait``."""
    return _submit(lambda platform_loop: platform_loop.run(call, configuration))


def wait(future: Future[T]) -> T:
    """Block this thread until a submitted call has ended. An interrupt cancels the call.

    Raises:
        Unavailable: The platform was closed meanwhile.
    """
    try:
        return future.result()
    except CancelledError:
        raise Unavailable("The platform was closed before it responded.") from None
    except BaseException:
        future.cancel()
        raise


def is_blocking() -> bool:
    """Return whether the current code runs as its sync version (see ``blocking``), so that waits block its thread."""
    return _blocking.get()


def blocking(function: Callable[P, Coroutine[Any, Any, T]]) -> Callable[P, T]:
    """Return the sync version of an async function that awaits only ``across`` and functions like itself.

    The function's own code runs in the caller's thread; each of its calls blocks that thread, as ``block`` does.

    Args:
        function: The async function.
    """

    @wraps(function)
    def sync(*arguments: P.args, **named: P.kwargs) -> T:
        running = function(*arguments, **named)
        token = _blocking.set(True)
        try:
            running.send(None)
        except StopIteration as end:
            return end.value
        finally:
            _blocking.reset(token)
            running.close()
        raise RuntimeError(f"{function.__qualname__} awaits something other than a platform")

    sync.__doc__ = f"Sync version of ``{function.__name__}``."
    return sync


async def aiterate(source: Source[T], configuration: Configuration | None = None) -> AsyncGenerator[T, None]:
    """Iterate over items from a platform as they arrive. Closing the iterator early closes the source.

    Args:
        source: Takes the platform and returns an asynchronous iterator.
        configuration: The platform's configuration; None means the default one.
    """
    home = _bridge.at_home()
    if home is not None:
        items = pass_on(source(await home.platform(configuration)))
    else:
        platform_loop = _bridge.free(_waiting.get())
        items = drain_async(platform_loop, source, configuration)
    try:
        async for item in items:
            yield item
    finally:
        await items.aclose()


def iterate(source: Source[T], configuration: Configuration | None = None) -> Generator[T, None, None]:
    """Sync version of ``aiterate``."""
    yield from drain(_submit, source, configuration)


def _submit(work: Callable[[PlatformLoop], Coroutine[Any, Any, T]]) -> Future[T]:
    """Start work on a platform loop that is not waiting. Within the work, this thread's loop counts as waiting."""
    running = running_loop()
    waiting = (*_waiting.get(), running) if running else _waiting.get()
    token = _waiting.set(waiting)
    try:
        platform_loop = _bridge.free(waiting)
        return asyncio.run_coroutine_threadsafe(work(platform_loop), platform_loop.loop)
    finally:
        _waiting.reset(token)


def _reset_after_fork() -> None:
    """Reset after a fork: the child has neither its parent's threads nor the right to use its connections."""
    global _bridge  # noqa: PLW0603 - one bridge a process
    _before_fork.append(_bridge)
    _bridge = Bridge()
    _waiting.set(())


os.register_at_fork(after_in_child=_reset_after_fork)
# Closing a platform uses thread pools (to wait for the embedded server to stop), so it must happen before the
# interpreter stops them; atexit alone is too late. Callbacks run in reverse order, so the pools' module comes first.
import_module("concurrent.futures.thread")
getattr(threading, "_register_atexit", atexit.register)(close)
atexit.register(close)
