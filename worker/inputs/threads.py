"""Threads of this room: for short examinations, for look-ups of names, and for hostile content that may never end.

None of it runs in the event loop's default executor: that one belongs to whoever blocks in it, such as synchronous
handlers, and those may themselves be waiting for a file.
"""

import asyncio
import contextlib
import ctypes
import sys
import threading
import time
import weakref
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

Result = TypeVar("Result")

AT_ONCE = 2  # such threads in an event loop: they compete with it for the interpreter
GRACE_SECONDS = 1.0  # for a thread to notice by itself that its time is up
_FORCED_TRIES = 100
_FORCED_SECONDS = 0.05  # after each of them

_turns: "weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Semaphore]" = weakref.WeakKeyDictionary()


_EXAMINERS = ThreadPoolExecutor(2, "examine")  # as AT_ONCE: more would only take turns
_LOOKUPS = ThreadPoolExecutor(16, "look-up")  # a name server that is slow on purpose holds one for half a minute


class TimeIsUpError(SystemExit):
    """Raised inside a thread whose time is up; `except Exception` lets it pass, and a thread ends by it in silence."""


class Deadline:
    """When work must be over; the work looks at it wherever it can."""

    def __init__(self, seconds: float) -> None:
        """Be over in `seconds`."""
        self._at = time.monotonic() + seconds

    def check(self, *_ignored: object) -> None:
        """Raise TimeIsUpError if the time is up; takes and ignores any arguments, so that it serves as a callback."""
        if time.monotonic() > self._at:
            raise TimeIsUpError

    def end_now(self) -> None:
        """Let the time be up."""
        self._at = 0.0


async def examine(work: Callable[[], Result]) -> Result:
    """Run work that takes milliseconds, and surely ends, beside the event loop."""
    return await asyncio.get_running_loop().run_in_executor(_EXAMINERS, work)


async def look_up(work: Callable[[], Result]) -> Result:
    """Run a look-up that may hang for a while; who stops waiting for it leaves it to end by itself."""
    return await asyncio.get_running_loop().run_in_executor(_LOOKUPS, work)


async def bounded(work: Callable[[Deadline], Result], seconds: float, package: str) -> Result:
    """Run `work` in a thread named after `package` for at most `seconds` from its start; at most two run at once.

    The work is given its deadline and looks at it. If it has not ended a second after the time was up or the caller was
    cancelled, an exception is raised inside the thread while it executes code of `package`, until it ends; only an
    endless call into C could outlive that, and is then left behind. Raises TimeoutError, or whatever `work` raises.
    """
    async with _turns.setdefault(asyncio.get_running_loop(), asyncio.Semaphore(AT_ONCE)):
        outcome: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        deadline = Deadline(seconds)
        thread = threading.Thread(target=_run, args=(work, deadline, outcome), name=package, daemon=True)
        thread.start()
        try:
            async with asyncio.timeout(seconds):
                return await outcome
        finally:
            if outcome.cancelled():
                # The turn is free again only once the thread has ended, and the loop goes on meanwhile.
                await examine(lambda: _end(thread, deadline, package))


def _run(work: Callable[[Deadline], Result], deadline: Deadline, outcome: "asyncio.Future[Result]") -> None:
    try:
        result = work(deadline)
    except TimeIsUpError:
        _hand_over(outcome, outcome.set_exception, TimeoutError())
    except Exception as error:  # noqa: BLE001 - it is not swallowed: the caller gets it
        _hand_over(outcome, outcome.set_exception, error)
    else:
        _hand_over(outcome, outcome.set_result, result)


def _hand_over(outcome: "asyncio.Future[Any]", setter: Callable[[Any], None], value: Any) -> None:
    def settle() -> None:
        if not outcome.done():
            setter(value)

    with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits for it any more
        outcome.get_loop().call_soon_threadsafe(settle)


def _end(thread: threading.Thread, deadline: Deadline, package: str) -> None:
    deadline.end_now()
    thread.join(GRACE_SECONDS)
    for _ in range(_FORCED_TRIES):
        if not thread.is_alive() or thread.ident is None:
            return
        if _executes(thread.ident, package):
            ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident), ctypes.py_object(TimeIsUpError))
        # More than once: where it lands in a finalizer or a callback of the garbage collector, Python swallows it.
        thread.join(_FORCED_SECONDS)


def _executes(ident: int, package: str) -> bool:
    """Tell whether a thread is in code of a package now, and not in a lock that others share, such as logging's."""
    frame = sys._current_frames().get(ident)  # noqa: SLF001 - documented in spite of its name
    return frame is not None and str(frame.f_globals.get("__name__")).partition(".")[0] == package
