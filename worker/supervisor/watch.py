"""Monitoring of the event loop: a handler that blocks the loop is detected and named."""

import asyncio
import os
import sys
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterable
from contextvars import Context
from dataclasses import dataclass
from itertools import islice
from types import FrameType

from worker.current import Run, run_in_hand
from worker.supervisor.calls import Caller
from worker.supervisor.loop_health import LoopHealth
from worker.supervisor.timings import DEFAULT, WorkerTimings
from worker.supervisor.wear import place
from worker.telemetry import output
from worker.words.loop_notices import LoopBlocked, LoopBroken, LoopFreed, LoopHeld
from worker.words.notices import announce

NOTED_SECONDS = 0.25  # without a response, before the block is recorded and counted
SHOWN_SECONDS = 600.0  # how long a block is shown with the worker
MAX_BLOCKS = 5  # most blocks shown with the worker
LINES = 6  # innermost lines of the stack that are recorded


@dataclass(frozen=True, slots=True)
class Culprit:
    """The code that blocks the loop: its run, if known, and the innermost lines of its stack."""

    run: Run | None
    stack: tuple[str, ...]


class LoopWatch:
    """A thread that regularly checks whether the loop responds.

    Args:
        loop: The event loop.
        current_tasks: Returns the ids of the current tasks.
        timings: The interval of its checks, and how long a block may last before it is logged.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        current_tasks: Callable[[], Iterable[str]] = tuple,
        timings: WorkerTimings = DEFAULT,
    ) -> None:
        self._loop = loop
        self._ask = loop.call_soon_threadsafe
        self._current_tasks = current_tasks
        self._timings = timings
        self._health = LoopHealth(loop)
        self._stop = threading.Event()
        self._loops_thread = 0
        self._recent_blocks: deque[tuple[float, str]] = deque(maxlen=MAX_BLOCKS)
        self._thread = threading.Thread(target=self._watch, name="worker watch", daemon=True)
        self.lag = 0.0
        """The seconds that the loop last took to run a callback; grows while the loop is blocked."""

    def recent_blocks(self) -> list[str]:
        """Return a line for each block of the loop within the last ten minutes, latest first."""
        now = time.monotonic()
        recent = (text for at, text in reversed(self._recent_blocks) if now - at < SHOWN_SECONDS)
        return list(dict.fromkeys(text for text in recent if text))

    def start(self) -> None:
        """Start the thread; must be called on the loop."""
        self._loops_thread = threading.get_ident()
        self._health.start()
        self._thread.start()

    def stop(self) -> None:
        """Stop the thread."""
        self._stop.set()
        self._health.stop()

    def _watch(self) -> None:
        while not self._stop.wait(self._timings.loop):
            answered = threading.Event()
            asked = time.monotonic()
            try:
                self._ask(answered.set)
            except RuntimeError:  # the loop is closed
                return
            if not answered.wait(NOTED_SECONDS):
                announce(LoopHeld(*_named(culprit := self._culprit()), culprit.stack))
                self._recent_blocks.append((time.monotonic(), _describe(culprit)))
                if not answered.wait(self._timings.loop_blocked - NOTED_SECONDS):
                    self._report(answered, asked)
            self.lag = time.monotonic() - asked
            self._check(answered)

    def _check(self, answered: threading.Event) -> None:
        """End the process if its loop can do nothing any more: its tasks would wait for as long as it lives."""
        frame = sys._current_frames().get(self._loops_thread)  # noqa: SLF001 - a documented function
        if not self._stop.is_set() and (why := self._health.trouble(frame, answered=answered.is_set())):
            announce(LoopBroken(why, tuple(self._current_tasks())))
            output.settle()
            os._exit(1)

    def _report(self, answered: threading.Event, asked: float) -> None:
        """Announce the block once, and then its end."""
        culprit = self._culprit()
        self._recent_blocks.append((time.monotonic(), _describe(culprit)))
        named = _named(culprit)
        announce(LoopBlocked(*named, time.monotonic() - asked, culprit.stack))
        while not answered.wait(self._timings.loop):
            self.lag = time.monotonic() - asked
            if self._stop.is_set():
                return
            self._check(answered)
        announce(LoopFreed(*named, time.monotonic() - asked))

    def _culprit(self) -> Culprit:
        """Return the code that blocks the loop. Its stack keeps changing, so reading it may fail."""
        try:
            return self._seen()
        except Exception:  # noqa: BLE001 - the next check may succeed
            return Culprit(None, ())

    def _seen(self) -> Culprit:
        frame = sys._current_frames().get(self._loops_thread)  # noqa: SLF001 - a documented function
        if frame is None:
            return Culprit(None, ())
        run = _run_of(asyncio.current_task(self._loop)) or _run_in(frame)
        shown = filter(_is_shown, traceback.walk_stack(frame))
        frames = islice(shown, LINES)  # source lines are not read, as the code keeps running
        stack = tuple(f"{each.f_code.co_filename}:{line} in {each.f_code.co_name}" for each, line in frames)
        return Culprit(run, stack)


def _is_shown(frame: tuple[FrameType, int]) -> bool:
    """Return whether a frame says which code runs: those of imports are many, and all alike."""
    return not frame[0].f_code.co_filename.startswith("<frozen ")


def _named(culprit: Culprit) -> tuple[str | None, str | None, int | None, str | None]:
    run = culprit.run
    return (None, None, None, None) if run is None else (run.task_id, run.agent_id, run.attempt, run.handler)


def _describe(culprit: Culprit) -> str:
    """Return a line about a block, or an empty string if no user code is on the stack."""
    for each in culprit.stack:
        where, _, name = each.rpartition(" in ")
        filename, _, line = where.rpartition(":")
        shown = place(filename, int(line), name) if line.isdecimal() else ""
        if shown:
            of_task = f" (task {culprit.run.task_id})" if culprit.run is not None else ""
            return f"{shown} blocked the event loop{of_task}"
    return ""


def _run_of(task: asyncio.Task[object] | None) -> Run | None:
    """Return the run to which an asyncio task belongs; before Python 3.12 this is unknown."""
    context: Context | None = getattr(task, "get_context", lambda: None)()
    return context.get(run_in_hand) if context is not None else None


def _run_in(frame: FrameType | None) -> Run | None:
    """Return the run of the handler call on a stack, or None."""
    while frame is not None:
        if frame.f_code is Caller.call.__code__:
            return frame.f_locals.get("run")
        frame = frame.f_back
    return None
