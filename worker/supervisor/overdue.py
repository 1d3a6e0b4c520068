"""Code that blocks the event loop beyond its run's time limit is interrupted by a signal.

A time limit is a timer of the loop, which cannot fire while a handler blocks it: a loop without an ``await``, a
``time.sleep``, a pattern that backtracks. The kernel's timer can: its signal is handled on the main thread wherever
that stands, between two bytecodes or in a call that looks for signals, and raises there.
"""

import asyncio
import signal
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from types import FrameType

from worker.current import Run, run_in_hand

GRACE_SECONDS = 1.0  # for the loop's own timer, which is how nearly every run ends that takes too long
LOOK_SECONDS = 0.5  # between two looks: whoever is at work at both, without the loop having turned, blocks it


class Overdue:
    """The runs of a process that have a time limit; those that block its loop are interrupted."""

    def __init__(self) -> None:
        self._runs: dict[int, Run] = {}
        self._seen: tuple[asyncio.Task[object], list[bool]] | None = None

    @contextmanager
    def watching(self, run: Run) -> Generator[None]:
        """Have a run interrupted that blocks the loop beyond its deadline; on the main thread's loop alone."""
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
        """Whether this is the main thread, and nobody else wants the signal."""
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
        """Look who is at work; runs on the main thread, in the middle of whatever it does."""
        del number, frame
        self._arm(LOOK_SECONDS)
        run, task = run_in_hand.get(), _current_task()
        if task is None or run is None or id(run) not in self._runs or not _is_over(run):
            self._seen = None
            return
        if self._seen is not None and self._seen[0] is task and not self._seen[1]:
            raise asyncio.CancelledError(f"the time limit passed {GRACE_SECONDS:g} s ago, and the loop was blocked")
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
"""Those of this process."""
