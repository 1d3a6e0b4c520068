"""A small pool of warm child processes. A thread waits for each, so that the event loop stays free."""

import asyncio
import json
import os
import threading
import time
from concurrent.futures import Future, wait
from contextlib import suppress
from contextvars import ContextVar
from typing import Any

from worker.bounded.bounds import VALUE, Bounds
from worker.bounded.errors import Busy, Crashed, NotStarted
from worker.bounded.process import Child
from worker.bounded.turns import Turns

IDLE_SECONDS = 60.0  # after which an unused child is stopped
SLOW_SECONDS = 1.0  # after which a job counts as slow, and an extra child may start so that others need not wait
JOBS = 1000  # per child, so that memory leaks of libraries cannot grow forever

on_behalf_of: ContextVar[str] = ContextVar("on_behalf_of", default="")
"""The party on whose behalf work is done, such as an agent or an organization; a pool serves the parties in turn."""


class Job:
    """A call that waits or runs."""

    def __init__(self, function: str, arguments: tuple[Any, ...], bounds: Bounds) -> None:
        self.module, _, self.name = function.partition(":")
        self.arguments = arguments
        self.bounds = bounds
        self.answer: Future[tuple[bytes, bytes]] = Future()
        self.begun = threading.Event()
        self.begun_at = 0.0  # on the monotonic clock
        self._lock = threading.Lock()
        self._child: Child | None = None
        self._is_off = False

    def cancel(self) -> None:
        """Cancel the job: it no longer starts, and a child that runs it is killed."""
        with self._lock:
            self._is_off = True
            if self._child is not None:
                self._child.kill()

    def begin(self, child: Child) -> bool:
        """Record the child that runs the job; return False if the job was canceled."""
        with self._lock:
            self._child = child
            if not self._is_off:
                self.begun_at = time.monotonic()
                self.begun.set()
            return not self._is_off

    def end(self) -> None:
        """Forget the child, which may run another job next."""
        with self._lock:
            self._child = None

    def carry_out(self, child: Child) -> None:
        """Run the job in a child and deliver its outcome."""
        if not self.begin(child):
            return
        try:
            answer = child.run(self.module, self.name, self.arguments, self.bounds)
        except Exception as error:  # noqa: BLE001 - not swallowed: the caller receives it
            self._settle(error)
        else:
            self._settle(answer)
        finally:
            self.end()

    def fail(self, error: Exception) -> None:
        """Deliver an error as the job's outcome."""
        self._settle(error)

    def _settle(self, outcome: tuple[bytes, bytes] | Exception) -> None:
        with suppress(Exception):  # the caller may have canceled the future
            if isinstance(outcome, Exception):
                self.answer.set_exception(outcome)
            else:
                self.answer.set_result(outcome)


class Pool:
    """A pool of children that run jobs concurrently; they are started on demand.

    While children are busy with slow jobs, up to as many extra ones run the other jobs: documents crafted to be slow do
    not hold up the rest.

    Args:
        name: A name for its threads.
        size: The number of children, not counting the extra ones.
        idle: Seconds after which an idle child is stopped.
        slow: Seconds after which a job counts as slow.
    """

    def __init__(self, name: str, *, size: int, idle: float = IDLE_SECONDS, slow: float = SLOW_SECONDS) -> None:
        self._name = name
        self._size = size
        self._idle = idle
        self._slow = slow
        self._forget()
        os.register_at_fork(after_in_child=self._forget)  # a forked process does not inherit threads or children

    def _forget(self) -> None:
        self._turns: Turns[Job] = Turns()
        self._lock = threading.Lock()
        self._threads = 0
        self._busy: list[Job] = []

    async def run(self, function: str, *arguments: Any, bounds: Bounds, patience: float | None = None) -> Any:
        """Call a function in a child.

        Args:
            function: The function as ``module:function``, named by our own code, never by data.
            arguments: Plain values and bytes.
            bounds: The limits. A canceled call is stopped.
            patience: Seconds to wait for a turn; None waits indefinitely.

        Returns:
            The function's answer: bytes, or a JSON value.

        Raises:
            Refused: The function refused the data; the message is for its sender.
            BoundedError: There is no answer: TimeUp, OutOfMemory, AnswerTooLarge, Crashed, NotStarted, Busy.
        """
        job = Job(function, arguments, bounds)
        self._turns.put(on_behalf_of.get(), job)
        self._start_thread_if_needed()
        try:
            answer = asyncio.wrap_future(job.answer)
            if patience is not None:
                await asyncio.wait([answer], timeout=patience)
                if not answer.done() and self._turns.drop(job):
                    raise Busy(f"no process became free within {patience:g} seconds")
            while not job.begun.is_set() and not answer.done():
                await asyncio.wait([answer], timeout=self._slow)
                self._start_thread_if_needed()
            kind, content = await answer
        except asyncio.CancelledError:
            self._turns.drop(job)
            job.cancel()
            raise
        return _value(content) if kind == VALUE else content

    def run_blocking(self, function: str, *arguments: Any, bounds: Bounds) -> Any:
        """Sync version of ``run``, without ``patience``."""
        job = Job(function, arguments, bounds)
        self._turns.put(on_behalf_of.get(), job)
        self._start_thread_if_needed()
        while not job.begun.is_set() and not job.answer.done():
            wait([job.answer], timeout=self._slow)
            self._start_thread_if_needed()
        kind, content = job.answer.result()
        return _value(content) if kind == VALUE else content

    def _start_thread_if_needed(self) -> None:
        """Start another thread if the existing ones are all occupied."""
        with self._lock:
            late = time.monotonic() - self._slow
            slow = sum(each.begun.is_set() and each.begun_at < late for each in self._busy)
            size = self._size + min(slow, self._size)
            if self._threads >= size or self._threads - len(self._busy) >= len(self._turns):
                return
            self._threads += 1
        threading.Thread(target=self._work, name=f"bounded {self._name}", daemon=True).start()

    def _work(self) -> None:
        child: Child | None = None
        jobs = 0
        while (job := self._next()) is not None:
            try:
                child = child or Child()
                jobs += 1
                job.carry_out(child)
            except Exception as error:  # noqa: BLE001 - not swallowed: the caller receives it
                job.fail(error)
            if child is not None and (not child.is_fit or jobs >= JOBS):
                child.close()
                child, jobs = _next_child() if job.bounds.once else None, 0
            self._rest(job)
            del job
        if child is not None:
            child.close()

    def _next(self) -> Job | None:
        while True:
            job = self._turns.take(self._idle)
            with self._lock:
                if job is not None:
                    self._busy.append(job)
                    return job
                if not len(self._turns):  # otherwise a job was just added, and no other thread was started for it
                    self._threads -= 1
                    return None

    def _rest(self, job: Job) -> None:
        with self._lock:
            self._busy.remove(job)


def _value(content: bytes) -> Any:
    try:
        return json.loads(content)
    except (ValueError, RecursionError):  # hostile data has compromised the child
        raise Crashed("its output is not JSON") from None


def _next_child() -> Child | None:
    """Start a child in place of one that has run its only job, so that it is ready by the time of the next job."""
    try:
        return Child()
    except NotStarted:
        return None
