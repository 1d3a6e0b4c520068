"""Checks whether an event loop still works: code that ran on it may have closed or replaced parts of it."""

import asyncio
import selectors
from asyncio import base_events, sleep
from contextvars import Context
from types import FrameType

from worker.supervisor.shared_loop import steady
from worker.supervisor.shutdown import run_on

BEAT_SECONDS = 0.5
BROKEN_SECONDS = 20.0  # without a beat; even a very busy loop beats more often
BROKEN_LOOKS = 50  # at the loop since the last beat: so the process had time to run

_of_the_loop = {selectors.__file__, base_events.__file__}
_sleep = sleep


class LoopHealth:
    """A task that sleeps and starts other tasks, as everything on the loop does.

    Args:
        loop: The loop.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._beat_at = steady()
        self._turns = self._idle = 0
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Start the task; must be called on the loop."""
        self._task = self._loop.create_task(self._beat(), name="loop health", context=Context())

    def stop(self) -> None:
        """Cancel the task."""
        if self._task is not None:
            self._task.cancel()

    def trouble(self, frame: FrameType | None, *, answered: bool) -> str | None:
        """Return what is wrong with the loop, or None.

        Args:
            frame: The innermost frame of the loop's thread.
            answered: Whether the loop has run the callback that was scheduled on it.
        """
        is_idle = _is_idle(frame)
        self._turns += answered
        self._idle = 0 if answered or not is_idle else self._idle + 1
        if steady() - self._beat_at < BROKEN_SECONDS or not _is_own(frame):
            return None
        if self._idle >= BROKEN_LOOKS:
            return "nothing wakes it"
        return "its timers or tasks do nothing" if self._turns >= BROKEN_LOOKS else None

    async def _beat(self) -> None:
        while True:
            self._beat_at, self._turns = steady(), 0
            await _sleep(BEAT_SECONDS)
            await self._loop.create_task(_nothing())


async def _nothing() -> None:
    pass


def _is_idle(frame: FrameType | None) -> bool:
    """Whether the loop waits, rather than running a callback."""
    while frame is not None and frame.f_code.co_filename in _of_the_loop:
        frame = frame.f_back
    return frame is not None and frame.f_code is run_on.__code__


def _is_own(frame: FrameType | None) -> bool:
    """Whether the thread is that of a process which exists for this loop, so that it may be ended."""
    while frame is not None and frame.f_code is not run_on.__code__:
        frame = frame.f_back
    return frame is not None
