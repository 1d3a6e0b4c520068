"""The way of a run's events to the task's log: in order, several at once, without holding up the model."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from worker.words.events import NewEvent
from worker.words.statuses import TaskUpdateEventType

Emit = Callable[[Sequence[NewEvent]], Awaitable[None]]
"""Appends events to the task's log; raises LeaseLost where the attempt no longer owns the task."""

PIECE_SECONDS = 0.05  # text that streams within 50 ms is one event: readers see no difference, the log does
WAITING_EVENTS = 1_000  # that many not yet stored hold up the run, so that a slow log cannot fill the memory


class Outlet:
    """Takes events as they come and emits, in one go, what came while the last emit was under way.

    There is no task and no timer while there is nothing to emit. If an emit fails, the task that made the outlet is
    cancelled, and ``failure`` says what to raise in its place.
    """

    def __init__(self, emit: Emit) -> None:
        self._emit = emit
        self._owner = asyncio.current_task()
        self._cancelled_before = self._owner.cancelling() if self._owner else 0
        self._waiting: list[NewEvent] = []
        self._pump: asyncio.Task[None] | None = None
        self._text: list[str] = []
        self._timer: asyncio.TimerHandle | None = None
        self._error: Exception | None = None
        self._cancelled_owner = False

    async def put(self, events: Sequence[NewEvent]) -> None:
        """Take events; waits only while too many are on their way."""
        self._cut()
        self._take(events)
        if len(self._waiting) >= WAITING_EVENTS and self._pump is not None:
            await asyncio.wait([self._pump])

    async def put_text(self, text: str) -> None:
        """Take a piece of text; pieces of 50 ms become one event."""
        self._text.append(text)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(PIECE_SECONDS, self._cut)
        if len(self._waiting) >= WAITING_EVENTS and self._pump is not None:
            await asyncio.wait([self._pump])

    async def settle(self) -> None:
        """Wait until all is stored. Raises what an emit raised."""
        self._cut()
        self._owner = None
        if self._pump is not None:
            await asyncio.wait([self._pump])
        if self._error is not None:
            self.failure()
            raise self._error

    async def abandon(self) -> None:
        """Let go of what is not stored: the run was cancelled."""
        if self._timer is not None:
            self._timer.cancel()
        self._waiting.clear()
        if self._pump is not None:
            self._pump.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._pump

    def failure(self) -> Exception | None:
        """In the handling of a ``CancelledError``: the emit's error behind it, unless someone else cancelled too."""
        task = asyncio.current_task()
        if not self._cancelled_owner or task is None:
            return None
        self._cancelled_owner = False
        return None if task.uncancel() > self._cancelled_before else self._error

    def _cut(self) -> None:
        if self._timer is None:
            return
        self._timer.cancel()
        self._timer = None
        text, self._text = "".join(self._text), []
        self._take([NewEvent(type=TaskUpdateEventType.Chunk, data=text)])

    def _take(self, events: Sequence[NewEvent]) -> None:
        self._waiting.extend(events)
        if self._pump is None and self._waiting and self._error is None:
            self._pump = asyncio.get_running_loop().create_task(self._drain())

    async def _drain(self) -> None:
        try:
            while self._waiting:
                batch, self._waiting = self._waiting, []
                await self._emit(batch)
        except Exception as error:  # noqa: BLE001 - raised in the run itself, by settle or in place of its cancellation
            self._error = error
            self._waiting.clear()
            if self._owner is not None:
                self._cancelled_owner = True
                self._owner.cancel()
        finally:
            self._pump = None


def plain(value: Any) -> Any:
    """A value as JSON knows it; what JSON cannot say becomes text."""
    from pydantic_core import to_jsonable_python

    if value is None or isinstance(value, str | bool | int):
        return value
    try:
        return to_jsonable_python(value, inf_nan_mode="null", fallback=str)
    except Exception:  # noqa: BLE001 - a tool may return anything, with any behaviour
        return str(value)
