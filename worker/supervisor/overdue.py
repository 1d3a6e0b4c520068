"""Interruption, by a signal, of code that blocks the event loop beyond its run's time limit.

A time limit is a timer of the loop, which cannot fire while a handler blocks the loop: a loop without an ``await``, a
``time.sleep``, a pattern that backtracks. The kernel's timer can: its signal is handled on the main thread, between two
bytecodes or in a call that checks for signals, and the handler raises there.
"""

import asyncio
import signal
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from types import FrameType

from worker.current import Run, run_in_hand

GRACE_SECONDS = 1.0  # for the loop's own timer, which ends nearly every run that takes too long
POLL_SECONDS = 0.5  # between two checks: a task that runs at both, with no loop iteration in between, blocks the loop


class Overdue:
    """The runs of a process that have a time limit; those that block the loop beyond it are interrupted."""

    def __init__(self) -> None:
        self._runs: dict[int, Run] = {}
        self._seen: tuple[asyncio.Task[object], list[bool]] | None = None

    @contextmanager
    def watching(self, run: Run) -> Generator[None]:
        """Interrupt a run if it blocks the loop beyond its deadline; works only for the main thread's loop."""
        if not self._can_watch():
            yield
            return
        self._runs[id(run)] = run
        self._arm()
        try:
            yield
        finally:
            del self._runs[id(run)]
            self._arm()

    def _can_watch(self) -> bool:
        """Return whether this is the main thread and SIGALRM is not used otherwise."""
        if threading.current_thread() is not threading.main_thread():
            return False
        known = signal.getsignal(signal.SIGALRM)
        if known is signal.SIG_DFL:
            signal.signal(signal.SIGALRM, self._rung)
            known = signal.getsignal(signal.SIGALRM)
        return known == self._rung

    def _arm(self, least: float = 0.001) -> None:
        first = min((run.deadline for run in self._runs.values() if run.deadline is not None), default=None)
        seconds = 0.0 if first is None else max(least, first + GRACE_SECONDS - time.monotonic())
        if signal.getsignal(signal.SIGALRM) == self._rung:
            signal.setitimer(signal.ITIMER_REAL, seconds)

    def _rung(self, number: int, frame: FrameType | None) -> None:
        """Check which task is running. This signal handler runs on the main thread, in the middle of any code."""
        del number, frame
        self._arm(POLL_SECONDS)
        run, task = run_in_hand.get(), _current_task()
        if task is None or run is None or id(run) not in self._runs or not _is_over(run):
            self._seen = None
            return
        if self._seen is not None and self._seen[0] is task and not self._seen[1]:
            raise asyncio.CancelledError(
                f"the time limit was exceeded by {GRACE_SECONDS:g} s while the event loop was blocked"
            )
        turned: list[bool] = []
        self._seen = task, turned
        asyncio.get_running_loop().call_soon(turned.append, True)


def _is_over(run: Run) -> bool:
    return run.deadline is not None and time.monotonic() > run.deadline


def _current_task() -> "asyncio.Task[object] | None":
    with suppress(RuntimeError):
        return asyncio.current_task()
    return None


overdue = Overdue()
"""The runs of this process."""
