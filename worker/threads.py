"""Threads for code that blocks: counted, replaced where they hang, and apart from the look-up of names.

A thread that nobody waits for any more cannot be ended. It holds no place: the pool may start another one for it.
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

T = TypeVar("T")

LOOKUPS = ThreadPoolExecutor(16, "look-up")  # a name server that is slow on purpose holds one for half a minute
"""For names alone: else whoever blocks all other threads would make every connection time out."""

_LOOKUP_NAMES = frozenset({"getaddrinfo", "_getaddrinfo_debug", "getnameinfo"})
"""What an event loop has its default executor do for a connection."""

MOST_MODEL_CALLS = 1_000  # one for each thread of plain code that waits for a model

LEAST_THREADS = 32  # started when they are needed, like all of them
THREADS_PER_TASK = 4  # a task may call several tools at once, and a tool may call an agent with tools

HUNG_SECONDS = 5.0
"""How long a thread goes on, once nobody waits for it, before it counts as hung: most end soon."""


@dataclass(eq=False, slots=True)
class ThreadCall:
    """What a thread does.

    Args:
        function: What is called.
        since: ``time.monotonic()`` since nobody waits for it; None means somebody does.
    """

    function: Callable[[], Any]
    process: int = field(default_factory=os.getpid)
    thread: int | None = None
    since: float | None = None

    def __call__(self) -> Any:
        """Call it; what cannot travel from a thread to a coroutine is put into what can."""
        self.thread = threading.get_ident()
        try:
            return self.function()
        except StopIteration as error:  # a future takes any error but this one, and would never be done
            raise RuntimeError("the code raised StopIteration, as next() does at the end") from error
        finally:
            end_forked(self.process)


class Threads(ThreadPoolExecutor):
    """A pool of threads, and of others in place of those that hang.

    Args:
        size: Threads at most, those not counted that nobody waits for any more.
        name: What they are called.
    """

    def __init__(self, size: int, name: str) -> None:
        super().__init__(max_workers=size, thread_name_prefix=name)
        self._abandoned: set[ThreadCall] = set()
        self._changing = threading.Lock()

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Have a thread call a function; to cancel it while it runs is to leave its thread to itself."""
        if getattr(fn, "__name__", "") in _LOOKUP_NAMES:
            return LOOKUPS.submit(fn, *args, **kwargs)
        call = fn if isinstance(fn, ThreadCall) else ThreadCall(partial(fn, *args, **kwargs))
        future = super().submit(call)
        vars(future)["cancel"] = partial(self._cancel, future, call)
        return future

    def hung(self) -> list[ThreadCall]:
        """The calls that go on though nobody has waited for them for five seconds."""
        now = time.monotonic()
        return [each for each in tuple(self._abandoned) if now - (each.since or now) >= HUNG_SECONDS]

    def _cancel(self, future: Future[Any], call: ThreadCall) -> bool:
        is_cancelled = Future.cancel(future)
        if not is_cancelled and not future.done():
            self._abandon(future, call)
        return is_cancelled

    def _abandon(self, future: Future[Any], call: ThreadCall) -> None:
        """Give others a thread in place of this one."""
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


MODEL_CALLS = Threads(MOST_MODEL_CALLS, "model")
"""For models that plain code asks: whoever waits for one holds a thread of its own, which these must not need."""


def serve(loop: asyncio.AbstractEventLoop, concurrency: int) -> Threads:
    """Have the loop's blocking calls made in threads enough for so many tasks; the threads.

    Args:
        loop: Whose default executor it will be: Agno's sync tools, steps, ``asyncio.to_thread``.
        concurrency: How many tasks are done at once.
    """
    threads = Threads(LEAST_THREADS + THREADS_PER_TASK * concurrency, "blocking")
    loop.set_default_executor(threads)
    return threads


def end_forked(process: int) -> None:
    """End this process if it is a child that code forked off and forgot to end: what comes next is its parent's.

    Nothing is flushed: what the buffers hold is the parent's, too, and a lock of theirs may be held for ever.

    Args:
        process: The number of the process in which the code was called.
    """
    if os.getpid() != process:
        os._exit(0)


@contextmanager
def own_process() -> Generator[None]:
    """Call the user's code where it stands, within a block: a child that it forks off does not go on behind it."""
    process = os.getpid()
    try:
        yield
    finally:
        end_forked(process)


def waited(future: "Future[T]") -> T:
    """Wait in a thread for what another one does, or a loop.

    Raises:
        asyncio.CancelledError: It was cancelled. The error that futures of threads have for that is an ``Exception``,
            which code would pass over.
    """
    try:
        return future.result()
    except FutureCancelled as error:
        raise asyncio.CancelledError(*error.args) from error


async def in_thread(function: Callable[..., T], *arguments: Any) -> T:
    """Call a function in a thread of the loop's, with this task's context variables.

    Who is cancelled does not wait for its end. What it raises is raised, StopIteration as a RuntimeError.
    """
    context = contextvars.copy_context()
    call = ThreadCall(partial(context.run, function, *arguments))
    return await asyncio.get_running_loop().run_in_executor(None, call)
