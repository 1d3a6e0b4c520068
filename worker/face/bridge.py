"""The way to a platform from wherever user code runs: any loop, any thread, with or without a running loop.

Platform I/O lives on one loop a process: in a worker the supervisor's own, which it gives by ``adopt``, elsewhere that
of a daemon thread, started when it is first needed. Async callers on another loop await across, sync callers block.
A sync caller on the platform's own loop would wait for itself; it gets a spare loop with a platform of its own.
"""

import asyncio
import atexit
import os
import threading
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator
from concurrent.futures import CancelledError, Future
from contextvars import ContextVar
from importlib import import_module
from typing import Any, TypeVar

from worker.contracts import Platform
from worker.face.configuration import Configuration
from worker.face.platform_loops import Call, Closer, PlatformLoop, ThreadLoop
from worker.face.pump import Source, drain, drain_async, pass_on
from worker.words.errors import Unavailable

T = TypeVar("T")
Loop = asyncio.AbstractEventLoop

_waiting: ContextVar[tuple[Loop, ...]] = ContextVar("loops_waiting", default=())
"""The loops whose threads wait for this call to end: nothing below it may wait for one of them."""


class Bridge:
    """The loops of a process that platforms live on."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._adopted: PlatformLoop | None = None
        self._private: list[ThreadLoop] = []  # the first serves where nothing was adopted, the others are spare

    def adopt(self, loop: Loop, platform: Platform) -> None:
        """Use a worker's loop, and its open platform where no other is asked for, from now on."""
        self._adopted = PlatformLoop(loop, platform)

    async def release(self) -> None:
        """Let go of the adopted loop, on it; what else was opened there is closed, the adopted platform is not."""
        adopted, self._adopted = self._adopted, None
        if adopted is not None:
            await adopted.close()

    def close(self) -> None:
        """Close every private loop with its platforms; the next call starts anew."""
        with self._lock:
            leaving, self._private = self._private, []
        for platform_loop in reversed(leaving):
            platform_loop.leave()

    def at_home(self) -> PlatformLoop | None:
        """The platform loop that runs here, if there is one."""
        running = running_loop()
        return next((each for each in self._platform_loops() if each.loop is running), None) if running else None

    def free(self, waiting: tuple[Loop, ...]) -> PlatformLoop:
        """A platform loop on which nobody waits; the adopted one first, a new spare one last."""
        with self._lock:
            found = next((each for each in self._platform_loops() if each.loop not in waiting), None)
            if found is None:
                found = ThreadLoop()
                self._private.append(found)
        return found

    def adopted_waits(self, waiting: tuple[Loop, ...]) -> bool:
        """Whether the adopted loop is among those that wait."""
        return self._adopted is not None and self._adopted.loop in waiting

    def _platform_loops(self) -> list[PlatformLoop]:
        adopted = self._adopted
        return [*([] if adopted is None or adopted.loop.is_closed() else [adopted]), *self._private]


_bridge = Bridge()
_before_fork: list[Bridge] = []  # kept, so that no collector touches the parent's connections


def adopt(loop: Loop, platform: Platform) -> None:
    """Have platform I/O happen on a worker's own loop, with its platform where no other is asked for.

    Args:
        loop: The loop that the worker runs on.
        platform: Open already; whoever opened it closes it, after ``await release()``.
    """
    _bridge.adopt(loop, platform)


async def release() -> None:
    """Undo ``adopt``, on the same loop; what else was opened there is closed."""
    await _bridge.release()


def close() -> None:
    """Close every private loop with its platforms; done at exit. The next call starts anew."""
    _bridge.close()


def before_closing(closer: Closer) -> None:
    """Within a call: have something that stands on its platform closed before it; once, however often it is said."""
    platform_loop = _bridge.at_home()
    if platform_loop is not None:
        platform_loop.before_closing(closer)


def is_spare() -> bool:
    """Whether a worker's own loop waits for what runs here, so that nothing may be asked of it."""
    return _bridge.adopted_waits(_waiting.get())


async def across(call: Call[T], configuration: Configuration | None = None) -> T:
    """Make a call where its platform lives, and await its end here.

    Args:
        call: Gets the platform; it runs on the platform's loop, with the caller's context variables.
        configuration: Which platform; None means the default one.

    Raises:
        Unavailable: The platform cannot be opened; the next call tries again.
    """
    home = _bridge.at_home()
    if home is not None:
        return await home.run(call, configuration)
    return await asyncio.wrap_future(_bridge.free(_waiting.get()).submit(call, configuration))


def block(call: Call[T], configuration: Configuration | None = None) -> T:
    """Make a call where its platform lives, and block this thread until its end; an interrupt cancels it.

    Args:
        call: Gets the platform; it runs on the platform's loop, with the caller's context variables.
        configuration: Which platform; None means the default one.

    Raises:
        Unavailable: The platform cannot be opened, or was closed meanwhile.
    """
    return wait(submit(call, configuration))


def submit(call: Call[T], configuration: Configuration | None = None) -> Future[T]:
    """Start a call where its platform lives, for a thread that will ``wait`` for it."""
    return _submit(lambda platform_loop: platform_loop.run(call, configuration))


def wait(future: Future[T]) -> T:
    """Block this thread until a submitted call ends; an interrupt cancels it."""
    try:
        return future.result()
    except CancelledError:
        raise Unavailable("The platform was closed before it answered.") from None
    except BaseException:
        future.cancel()
        raise


async def aiterate(source: Source[T], configuration: Configuration | None = None) -> AsyncGenerator[T, None]:
    """Iterate here over what comes from a platform, as it comes; leaving early ends the source.

    Args:
        source: Gets the platform, answers an asynchronous iterator.
        configuration: Which platform; None means the default one.
    """
    home = _bridge.at_home()
    if home is not None:
        items = pass_on(source, await home.platform(configuration))
    else:
        platform_loop = _bridge.free(_waiting.get())
        items = drain_async(platform_loop, source, configuration)
    try:
        async for item in items:
            yield item
    finally:
        await items.aclose()


def iterate(source: Source[T], configuration: Configuration | None = None) -> Generator[T, None, None]:
    """Iterate in this thread over what comes from a platform, as it comes; leaving early ends the source."""
    yield from drain(_submit, source, configuration)


def running_loop() -> Loop | None:
    """The loop that runs in this thread, if one does."""
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def _submit(work: Callable[[PlatformLoop], Coroutine[Any, Any, T]]) -> Future[T]:
    """Start work on a platform loop that waits for nobody above; from there on this thread's loop counts as waiting."""
    running = running_loop()
    waiting = (*_waiting.get(), running) if running else _waiting.get()
    token = _waiting.set(waiting)
    try:
        platform_loop = _bridge.free(waiting)
        return asyncio.run_coroutine_threadsafe(work(platform_loop), platform_loop.loop)
    finally:
        _waiting.reset(token)


def _begin_anew() -> None:
    """After a fork: the child has neither the threads nor the right to the connections of its parent."""
    global _bridge  # noqa: PLW0603 - one bridge a process
    _before_fork.append(_bridge)
    _bridge = Bridge()
    _waiting.set(())


os.register_at_fork(after_in_child=_begin_anew)
# Before the interpreter stops its thread pools, which closing a platform needs (it waits there for the embedded server
# to stop); atexit alone comes too late. Who registered last is called first, so the pools' own module comes before us.
import_module("concurrent.futures.thread")
getattr(threading, "_register_atexit", atexit.register)(close)
atexit.register(close)
