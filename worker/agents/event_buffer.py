"""The way of a run's events to the task's log: in order, several at once, without holding up the model."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any

from worker.words.events import NewEvent
from worker.words.statuses import TaskUpdateEventType
from worker.words.work import JournalEntry

Emit = Callable[..., Awaitable[None]]
"""Appends events to the task's log, and rows of its journal where a second argument holds some, in one transaction;
raises LeaseLost where the attempt no longer owns the task."""

Written = tuple[Sequence[NewEvent], Sequence[JournalEntry]]
"""Events and rows of the journal that belong together."""

Late = Callable[[], Written]
"""Makes what is held back, when it is wanted after all."""

PIECE_SECONDS = 0.05  # text that streams within 50 ms is one event: readers see no difference, the log does
WAITING_EVENTS = 1_000  # that many not yet stored hold up the run, so that a slow log cannot fill the memory
SOON_SECONDS = 0.02  # a quick tool's request and result are one write; a reader of the log sees no difference
LAST_SECONDS = 2.0  # what a cancelled run's rows get to be stored; a worker that leaves has 4 s to hand back


class EventBuffer:
    """Takes events as they come and emits, in one go, what came while the last emit was under way.

    There is no task and no timer while there is nothing to emit. If an emit fails, the task that made the buffer is
    cancelled, and ``failure`` says what to raise in its place.
    """

    def __init__(self, emit: Emit) -> None:
        self._emit = emit
        self._owner = asyncio.current_task()
        self._cancelled_before = self._owner.cancelling() if self._owner else 0
        self._waiting: list[NewEvent] = []
        self._rows: list[JournalEntry] = []
        self._text_rows: list[JournalEntry] = []
        self._told_after_next: list[asyncio.Future[None]] = []  # who waits until what waits now is stored
        self._told_after_this: list[asyncio.Future[None]] = []  # and what is on its way
        self._storing = False  # rows are on their way
        self._closed = False
        self._pump: asyncio.Task[None] | None = None
        self._text: list[str] = []
        self._timer: asyncio.TimerHandle | None = None
        self._soon: asyncio.TimerHandle | None = None
        self._late: Late | None = None
        self._turn: asyncio.Handle | None = None  # what is held back goes out with it
        self._error: Exception | None = None
        self._cancelled_owner = False

    async def pause(self) -> None:
        """Wait while too many are on their way."""
        if len(self._waiting) >= WAITING_EVENTS and self._pump is not None:
            await asyncio.wait([self._pump])

    def add(self, events: Sequence[NewEvent], rows: Sequence[JournalEntry] = ()) -> None:
        """Take events and rows that belong together, without waiting."""
        self._cut()
        self._take(events, rows)

    def add_soon(self, events: Sequence[NewEvent], rows: Sequence[JournalEntry] = ()) -> None:
        """Take events and rows that may wait a moment for what comes next."""
        self._cut()
        if self._closed or self._error is not None:
            return
        self._join(events, rows)
        if self._pump is None and self._soon is None:
            self._soon = asyncio.get_running_loop().call_later(SOON_SECONDS, self._take, (), ())

    def hold(self, late: Late) -> None:
        """Take something that is made only if the run goes on: if the loop turns, or anything else is taken."""
        if self._pump is not None or self._waiting or self._rows or self._text:
            self.add(())  # rows are numbered as they are made
            self.add(*late())
        elif self._late is None:
            self._late = late
            self._turn = asyncio.get_running_loop().call_soon(self._take, ())
        else:
            self._late = partial(_both, self._late, late)

    def drop(self) -> bool:
        """Forget what is held back; whether there was anything."""
        held, self._late = self._late, None
        if self._turn is not None:
            self._turn.cancel()
            self._turn = None  # its context knows the run in turn
        return held is not None

    async def all_stored(self) -> None:
        """Wait until all that was taken is stored; cancelled where it never will be."""
        self._take(())
        if self._closed or self._error is not None:
            raise asyncio.CancelledError("the run has ended")
        if self._pump is None:
            return
        stored = asyncio.get_running_loop().create_future()
        (self._told_after_next if self._waiting or self._rows else self._told_after_this).append(stored)
        await stored

    async def put_text(self, text: str, rows: Sequence[JournalEntry] = ()) -> None:
        """Take a piece of text, with rows that belong to it; pieces of 50 ms become one event."""
        self._text.append(text)
        self._text_rows += rows
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(PIECE_SECONDS, self._cut)
        await self.pause()

    async def settle(self, *, holding: bool = False) -> bool:
        """Wait until all is stored. Raises what an emit raised.

        Args:
            holding: But for what is held back.

        Returns:
            Whether something is.
        """
        self._cut()
        self._owner = None
        if holding and self._late is not None:
            return True
        self._take(())
        if self._pump is not None:
            await asyncio.wait([self._pump])
        if self._error is not None:
            self.failure()
            raise self._error
        return False

    async def abandon(self) -> None:
        """Let go of what is not stored: the run was cancelled. What the journal should know is stored first."""
        self._owner = None
        if self._rows or self._text_rows or self._late is not None:
            self._cut()
            self._take(())
        if self._timer is not None:
            self._timer.cancel()
        if self._pump is not None and (self._rows or self._storing):
            await asyncio.wait([self._pump], timeout=LAST_SECONDS)
        self._closed = True
        if self._soon is not None:
            self._soon.cancel()
        self._waiting.clear()
        self._rows.clear()
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
        rows, self._text_rows = self._text_rows, []
        self._take([NewEvent(type=TaskUpdateEventType.Chunk, data=text)], rows)

    def _take(self, events: Sequence[NewEvent], rows: Sequence[JournalEntry] = ()) -> None:
        if self._closed or self._error is not None:
            return
        if self._soon is not None:
            self._soon.cancel()
            self._soon = None
        self._join(events, rows)
        if self._pump is None and (self._waiting or self._rows):
            self._pump = asyncio.get_running_loop().create_task(self._drain())

    def _join(self, events: Sequence[NewEvent], rows: Sequence[JournalEntry]) -> None:
        """Put events and rows behind all that was taken before, what is held back included."""
        late = self._late
        if late is not None:
            self.drop()
            held_events, held_rows = late()
            self._waiting.extend(held_events)
            self._rows.extend(held_rows)
        self._waiting.extend(events)
        self._rows.extend(rows)

    async def _drain(self) -> None:
        try:
            while self._waiting or self._rows:
                batch, self._waiting = self._waiting, []
                rows, self._rows = self._rows, []
                self._storing = bool(rows)
                self._told_after_this, self._told_after_next = self._told_after_next, []
                await (self._emit(batch, rows) if rows else self._emit(batch))
                for each in self._told_after_this:
                    if not each.done():
                        each.set_result(None)
        except Exception as error:  # noqa: BLE001 - raised in the run itself, by settle or in place of its cancellation
            self._error = error
            self._waiting.clear()
            self._rows.clear()
            if self._owner is not None:
                self._cancelled_owner = True
                self._owner.cancel()
        finally:
            self._pump = None
            for each in (*self._told_after_this, *self._told_after_next):
                each.cancel()  # one that is done stays so


def _both(first: Late, second: Late) -> Written:
    """What two have deferred, in their order."""
    events, rows = first()
    more_events, more_rows = second()
    return [*events, *more_events], [*rows, *more_rows]


def plain(value: Any) -> Any:
    """A value as JSON knows it; what JSON cannot say becomes text."""
    from pydantic_core import to_jsonable_python

    if value is None or isinstance(value, str | bool | int):
        return value
    try:
        return to_jsonable_python(value, inf_nan_mode="null", fallback=str)
    except Exception:  # noqa: BLE001 - a tool may return anything, with any behaviour
        return str(value)
