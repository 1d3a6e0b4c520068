"""The buffer between a run and its task's log: events are stored in order, in batches, without delaying the model."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any

from worker.current import STORE_SECONDS
from worker.words.events import NewEvent
from worker.words.statuses import TaskUpdateEventType
from worker.words.work import JournalEntry

Emit = Callable[..., Awaitable[None]]
"""Appends events to the task's log and, from an optional second argument, rows to its journal, in one transaction.
Raises LeaseLost if the attempt no longer owns the task."""

Written = tuple[Sequence[NewEvent], Sequence[JournalEntry]]
"""Events and the journal rows that belong to them."""

Late = Callable[[], Written]
"""Creates deferred events and rows if they turn out to be needed."""

PIECE_SECONDS = 0.05  # text that streams within 50 ms becomes one event: readers notice nothing, the log stays small
WAITING_EVENTS = 1_000  # unstored events at which the run is paused, so that a slow log cannot exhaust memory
SOON_SECONDS = 0.02  # a quick tool's request and result become one write; readers of the log notice nothing


class EventBuffer:
    """A buffer that emits everything added during the previous emit as one batch.

    No task or timer exists while there is nothing to emit. If an emit fails, the task that created the buffer is
    cancelled, and ``failure`` returns the error to raise instead of the cancellation.

    Args:
        emit: Appends events and rows to the task's log.
        store_within: Seconds in which the rows of a cancelled run may still be stored.
    """

    def __init__(self, emit: Emit, store_within: float = STORE_SECONDS) -> None:
        self._emit = emit
        self._store_within = store_within
        self._owner = asyncio.current_task()
        self._cancelled_before = self._owner.cancelling() if self._owner else 0
        self._waiting: list[NewEvent] = []
        self._rows: list[JournalEntry] = []
        self._text_rows: list[JournalEntry] = []
        self._waiters_of_next: list[asyncio.Future[None]] = []  # resolved once the events waiting now are stored
        self._waiters_of_this: list[asyncio.Future[None]] = []  # resolved once the current batch is stored
        self._storing = False  # the current batch contains rows
        self._closed = False
        self._pump: asyncio.Task[None] | None = None
        self._text: list[str] = []
        self._timer: asyncio.TimerHandle | None = None
        self._soon: asyncio.TimerHandle | None = None
        self._late: Late | None = None
        self._turn: asyncio.Handle | None = None  # emits the deferred events on the loop's next turn
        self._error: Exception | None = None
        self._cancelled_owner = False

    async def pause(self) -> None:
        """Wait while too many events are pending."""
        if len(self._waiting) >= WAITING_EVENTS and self._pump is not None:
            await asyncio.wait([self._pump])

    def add(self, events: Sequence[NewEvent], rows: Sequence[JournalEntry] = ()) -> None:
        """Add events and the rows that belong to them, without waiting."""
        self._cut()
        self._take(events, rows)

    def add_soon(self, events: Sequence[NewEvent], rows: Sequence[JournalEntry] = ()) -> None:
        """Add events and rows that may wait a moment to share a write with the next ones."""
        self._cut()
        if self._closed or self._error is not None:
            return
        self._join(events, rows)
        if self._pump is None and self._soon is None:
            self._soon = asyncio.get_running_loop().call_later(SOON_SECONDS, self._take, (), ())

    def hold(self, late: Late) -> None:
        """Defer events and rows until the run continues: they are created if the loop turns or anything is added."""
        if self._pump is not None or self._waiting or self._rows or self._text:
            self.add(())  # rows are numbered as they are created
            self.add(*late())
        elif self._late is None:
            self._late = late
            self._turn = asyncio.get_running_loop().call_soon(self._take, ())
        else:
            self._late = partial(_both, self._late, late)

    def drop(self) -> bool:
        """Discard the deferred events and rows and return whether there were any."""
        held, self._late = self._late, None
        if self._turn is not None:
            self._turn.cancel()
            self._turn = None  # the handle's context refers back to the run
        return held is not None

    async def all_stored(self) -> None:
        """Wait until everything added so far is stored.

        Raises:
            asyncio.CancelledError: It never will be: the run has ended.
        """
        self._take(())
        if self._closed or self._error is not None:
            raise asyncio.CancelledError("the run has ended")
        if self._pump is None:
            return
        stored = asyncio.get_running_loop().create_future()
        (self._waiters_of_next if self._waiting or self._rows else self._waiters_of_this).append(stored)
        await stored

    async def put_text(self, text: str, rows: Sequence[JournalEntry] = ()) -> None:
        """Add a chunk of text and the rows that belong to it; chunks within 50 ms become one event."""
        self._text.append(text)
        self._text_rows += rows
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(PIECE_SECONDS, self._cut)
        await self.pause()

    async def settle(self, *, holding: bool = False) -> bool:
        """Wait until everything is stored, and raise any error that an emit raised.

        Args:
            holding: Whether to leave deferred rows deferred.

        Returns:
            Whether any rows are still deferred.
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
        """Discard unstored events after the run was cancelled. Rows of the journal are stored first."""
        self._owner = None
        if self._rows or self._text_rows or self._late is not None:
            self._cut()
            self._take(())
        if self._timer is not None:
            self._timer.cancel()
        if self._pump is not None and (self._rows or self._storing):
            await asyncio.wait([self._pump], timeout=self._store_within)
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
        """Return the emit error behind the ``CancelledError`` being handled; None if anyone else cancelled too."""
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
        """Append events and rows after everything added before, including deferred ones."""
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
                self._waiters_of_this, self._waiters_of_next = self._waiters_of_next, []
                await (self._emit(batch, rows) if rows else self._emit(batch))
                for each in self._waiters_of_this:
                    if not each.done():
                        each.set_result(None)
        except Exception as error:  # noqa: BLE001 - raised later in the run, by settle or instead of the cancellation
            self._error = error
            self._waiting.clear()
            self._rows.clear()
            if self._owner is not None:
                self._cancelled_owner = True
                self._owner.cancel()
        finally:
            self._pump = None
            for each in (*self._waiters_of_this, *self._waiters_of_next):
                each.cancel()  # no effect on futures that are done


def _both(first: Late, second: Late) -> Written:
    """Create two deferred batches in order and join them."""
    events, rows = first()
    more_events, more_rows = second()
    return [*events, *more_events], [*rows, *more_rows]


def plain(value: Any) -> Any:
    """Convert a value to plain JSON; parts that JSON cannot express become text."""
    from pydantic_core import to_jsonable_python

    if value is None or isinstance(value, str | bool | int):
        return value
    try:
        return to_jsonable_python(value, inf_nan_mode="null", fallback=str)
    except Exception:  # noqa: BLE001 - a tool may return an object with any behavior
        return str(value)
