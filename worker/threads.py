"""Threads for blocking code: counted, replaced when they hang, and separate from those for name look-ups.

A thread whose caller has stopped waiting cannot be ended. It does not count towards the pool's size: another thread may
take its place.
"""

import asyncio
import contextvars
import os
import threading
import time
from collections.abc import Callable, Generator
from concurrent.futures import CancelledError as FutureCancelled
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

from worker.current import run_in_hand

T = TypeVar("T")

LOOKUPS = ThreadPoolExecutor(16, "look-up")  # a deliberately slow name server holds a thread for half a minute
"""Threads for name look-ups only: blocking code that uses up the other threads must not make connections time out."""

_LOOKUP_NAMES = frozenset({"getaddrinfo", "_getaddrinfo_debug", "getnameinfo"})
"""Functions that an event loop runs in its default executor to open a connection."""

MAX_MODEL_CALLS = 1_000  # one for each thread of sync code that waits for a model

MIN_THREADS = 32  # threads are started only when they are needed
THREADS_PER_TASK = 4  # a task may call several tools at once, and a tool may call an agent with tools


@dataclass(eq=False, slots=True)
class ThreadCall:
    """A call in a thread.

    Args:
        function: The function to call.
        since: ``time.monotonic()`` when its caller stopped waiting; None means that the caller is waiting.
    """

    function: Callable[[], Any]
    process: int = field(default_factory=os.getpid)
    thread: int | None = None
    since: float | None = None

    def __call__(self) -> Any:
        """Call the function. A StopIteration, which futures cannot hold, becomes a RuntimeError."""
        self.thread = threading.get_ident()
        try:
            return self.function()
        except StopIteration as error:  # a future accepts any error but this one, and would never be done
            raise RuntimeError("the code raised StopIteration, as next() does when an iterator is exhausted") from error
        finally:
            end_forked(self.process)


_submit = ThreadPoolExecutor.submit  # as it is before libraries patch it


class Threads(ThreadPoolExecutor):
    """A thread pool that replaces threads that hang.

    Args:
        size: Maximum number of threads, not counting those whose callers have stopped waiting.
        name: Prefix of the threads' names.
    """

    def __init__(self, size: int, name: str) -> None:
        super().__init__(max_workers=size, thread_name_prefix=name)
        self._abandoned: set[ThreadCall] = set()
        self._changing = threading.Lock()

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Call a function in a thread. Cancelling the future of a running call abandons its thread."""
        if getattr(fn, "__name__", "") in _LOOKUP_NAMES:
            return LOOKUPS.submit(fn, *args, **kwargs)
        call = fn if isinstance(fn, ThreadCall) else ThreadCall(partial(fn, *args, **kwargs))
        future = _submit(self, call)
        vars(future)["cancel"] = partial(self._cancel, future, call)
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Start no more threads. The code of a run cannot ask for it, as other runs need them."""
        if run_in_hand.get() is None:
            super().shutdown(wait, cancel_futures=cancel_futures)

    def hung(self, seconds: float) -> list[ThreadCall]:
        """Return the calls that still run so many seconds or more after their callers stopped waiting."""
        now = time.monotonic()
        return [each for each in tuple(self._abandoned) if now - (each.since or now) >= seconds]

    def _cancel(self, future: Future[Any], call: ThreadCall) -> bool:
        is_cancelled = Future.cancel(future)
        if not is_cancelled and not future.done():
            self._abandon(future, call)
        return is_cancelled

    def _abandon(self, future: Future[Any], call: ThreadCall) -> None:
        """Allow another thread in place of this call's."""
        with self._changing:
            if call.since is not None:
                return
            call.since = time.monotonic()
            self._abandoned.add(call)
            self._max_workers += 1
        future.add_done_callback(lambda _: self._ended(call))
        with self._shutdown_lock:
            if self._work_queue.qsize() and not self._shutdown:
                self._adjust_thread_count()

    def _ended(self, call: ThreadCall) -> None:
        with self._changing:
            self._abandoned.discard(call)
            self._max_workers -= 1


MODEL_CALLS = Threads(MAX_MODEL_CALLS, "model")
"""Threads for model calls of sync code. The caller already blocks a thread of another pool, so these are separate."""


def serve(loop: asyncio.AbstractEventLoop, concurrency: int) -> Threads:
    """Make a thread pool the loop's default executor, with enough threads for so many tasks, and return it.

    Args:
        loop: The loop, which uses the pool for Agno's sync tools, for steps and for ``asyncio.to_thread``.
        concurrency: How many tasks run at once.
    """
    threads = Threads(MIN_THREADS + THREADS_PER_TASK * concurrency, "blocking")
    loop.set_default_executor(threads)
    return threads


def end_forked(process: int) -> None:
    """End this process if user code forked it and forgot to end it, so that it does not run its parent's code.

    Nothing is flushed: the buffers' content belongs to the parent, and a lock on them may be held forever.

    Args:
        process: The id of the process in which the code was called.
    """
    if os.getpid() != process:
        os._exit(0)


@contextmanager
def own_process() -> Generator[None]:
    """Run user code within a block that a forked child does not leave."""
    process = os.getpid()
    try:
        yield
    finally:
        end_forked(process)


def waited(future: "Future[T]") -> T:
    """Block this thread until a future is done, and return its result.

    Raises:
        asyncio.CancelledError: The future was cancelled. The error that thread futures raise for that is an
            ``Exception``, which user code might swallow.
    """
    try:
        return future.result()
    except FutureCancelled as error:
        raise asyncio.CancelledError(*error.args) from error


async def in_thread(function: Callable[..., T], *arguments: Any) -> T:
    """Call a function in one of the loop's threads, with the current context variables.

    A cancelled caller does not wait for the function. Exceptions propagate; StopIteration becomes a RuntimeError.
    """
    context = contextvars.copy_context()
    call = ThreadCall(partial(context.run, function, *arguments))
    return await asyncio.get_running_loop().run_in_executor(None, call)
