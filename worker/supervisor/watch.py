"""A watch over the event loop: a handler that blocks it keeps its tasks, and is named."""

import asyncio
import sys
import threading
import time
import traceback
from contextvars import Context
from dataclasses import dataclass
from types import FrameType

from worker.current import Run, run_in_hand
from worker.supervisor.calls import Caller
from worker.words.notices import LoopBlocked, LoopFreed, LoopHeld, announce

LOOK_SECONDS = 0.1
NOTED_SECONDS = 0.25  # of silence, until who blocks is noted and counted
BLOCKED_SECONDS = 2.0  # of silence, until somebody is told; a heavy import takes about one
LINES = 6  # innermost lines of the stack


@dataclass(frozen=True, slots=True)
class Culprit:
    """What blocks: a run, where that is known, and the innermost lines of its stack."""

    run: Run | None
    stack: tuple[str, ...]


class LoopWatch:
    """A thread that asks the loop for a sign of life.

    Args:
        loop: The loop.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._stop = threading.Event()
        self._loops_thread = 0
        self._thread = threading.Thread(target=self._watch, name="worker watch", daemon=True)
        self.lag = 0.0
        """Seconds that the loop took last to do what it was asked; it grows while the loop is blocked."""

    def start(self) -> None:
        """Begin to watch; must be called on the loop."""
        self._loops_thread = threading.get_ident()
        self._thread.start()

    def stop(self) -> None:
        """Watch no more."""
        self._stop.set()

    def _watch(self) -> None:
        while not self._stop.wait(LOOK_SECONDS):
            answered = threading.Event()
            asked = time.monotonic()
            try:
                self._loop.call_soon_threadsafe(answered.set)
            except RuntimeError:  # the loop is closed
                return
            if not answered.wait(NOTED_SECONDS):
                announce(LoopHeld(*_named(culprit := self._culprit()), culprit.stack))
                if not answered.wait(BLOCKED_SECONDS - NOTED_SECONDS):
                    self._tell(answered, asked)
            self.lag = time.monotonic() - asked

    def _tell(self, answered: threading.Event, asked: float) -> None:
        """Say who blocks, once, and that it is over."""
        culprit = self._culprit()
        named = _named(culprit)
        announce(LoopBlocked(*named, time.monotonic() - asked, culprit.stack))
        while not answered.wait(LOOK_SECONDS):
            self.lag = time.monotonic() - asked
            if self._stop.is_set():
                return
        announce(LoopFreed(*named, time.monotonic() - asked))

    def _culprit(self) -> Culprit:
        """Look at a stack that goes on meanwhile: what is read of it may be anything."""
        try:
            return self._seen()
        except Exception:  # noqa: BLE001 - the next look may see more
            return Culprit(None, ())

    def _seen(self) -> Culprit:
        frame = sys._current_frames().get(self._loops_thread)  # noqa: SLF001 - the way that its documentation names
        if frame is None:
            return Culprit(None, ())
        lines = [f"{each.filename}:{each.lineno} in {each.name}" for each in traceback.extract_stack(frame)]
        return Culprit(_run_of(asyncio.current_task(self._loop)) or _run_in(frame), tuple(reversed(lines[-LINES:])))


def _named(culprit: Culprit) -> tuple[str | None, str | None, int | None, str | None]:
    run = culprit.run
    return (None, None, None, None) if run is None else (run.task_id, run.agent_id, run.attempt, run.handler)


def _run_of(task: asyncio.Task[object] | None) -> Run | None:
    """The run that an asyncio task belongs to, however deep it stands; before Python 3.12 that cannot be asked."""
    context: Context | None = getattr(task, "get_context", lambda: None)()
    return context.get(run_in_hand) if context is not None else None


def _run_in(frame: FrameType | None) -> Run | None:
    """The run of the call of a handler on a stack."""
    while frame is not None:
        if frame.f_code is Caller.call.__code__:
            return frame.f_locals.get("run")
        frame = frame.f_back
    return None
