"""The events that a run emits, and the rows that it adds to the journal."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from worker.agents.event_buffer import Written
from worker.agents.journal import Entry, Scope, discard_text, not_reused, too_large
from worker.agents.journal.replaced import is_replaced
from worker.agents.journal.rows import Kind, Number, marks_of
from worker.agents.runs.state import RunState
from worker.words.events import NewEvent
from worker.words.work import JournalEntry


@dataclass(slots=True, eq=False)
class RunEvents(RunState):
    """A run that emits events and stores rows."""

    def emit(
        self,
        events: Sequence[NewEvent],
        scope: Scope | None = None,
        *,
        at_once: bool = False,
        call: Scope | None = None,
    ) -> None:
        """Emit events, except those that an earlier attempt has already emitted.

        Args:
            events: The events.
            scope: The scope of the events. If no earlier attempt has opened the scope, all its events are new.
            at_once: Whether to store the events immediately, rather than with the next ones.
            call: The scope of the call that the events belong to, if it is another one.
        """
        if self.journal.is_kept:
            (call or scope or self.scope).told += marks_of(events)
        fresh = self.journal.unemitted(events, is_new=scope is not None and not scope.is_known)
        if fresh:
            (self.buffer.add if at_once else self.buffer.add_soon)(fresh)

    def note(
        self,
        scope: Scope,
        kind: Kind,
        at: str,
        value: Any,
        *,
        match: str,
        what: str,
        events: Sequence[NewEvent] = (),
        closes: bool = False,
        number: Number | None = None,
    ) -> None:
        """Store the row of a completed call in one transaction with its events."""
        if self.journal.is_kept:
            made = self.written(
                scope, kind, at, value, match=match, what=what, events=events, closes=closes, number=number
            )
            self.buffer.add(*made)
        elif events:
            self.buffer.add_soon(events)

    def written(
        self,
        scope: Scope,
        kind: Kind,
        at: str,
        value: Any,
        *,
        match: str,
        what: str,
        events: Sequence[NewEvent] = (),
        closes: bool = False,
        number: Number | None = None,
    ) -> Written:
        """Create the events and the row to store for a completed call."""
        for each in scope.path():
            each.failed_in_model = False
        if not self.journal.is_kept:
            return events, ()
        row = self.journal.row(scope, kind, at, value, match=match, closes=closes, number=number)
        return ([*events, *([] if row else [too_large(what)])], [row] if row else ())

    def emit_once(self, what: str, event: NewEvent, scope: Scope | None = None) -> None:
        """Emit an event unless this attempt or an earlier one has already done so.

        Args:
            what: The key of the event within the attempt.
            event: The event.
            scope: The scope of the event.
        """
        if what not in self._emitted_once:
            self._emitted_once.add(what)
            self.emit([event], scope)

    async def turn(self, scope: Scope, entry: Entry | None = None) -> None:
        """Wait until an answer's turn comes; sync code that blocks the loop does not wait."""
        if not self.blocks_the_loop:
            await self.journal.order.turn(scope, entry)
        elif entry is not None:
            self.journal.order.forget([entry])

    async def turn_to_stream(self, scope: Scope) -> None:
        """Wait until a new answer may begin to stream; sync code that blocks the loop does not wait."""
        if not self.blocks_the_loop:
            await self.journal.order.stream(scope)

    def reached(self, scope: Scope, told: Sequence[str]) -> None:
        """Count events as reached that were emitted within a call which is answered as a whole.

        Args:
            scope: The scope that made the call.
            told: The events' marks.
        """
        scope.told += told
        self.journal.reached(told)

    def pass_over(self, scope: Scope, count: Callable[[Entry], None] | None = None) -> None:
        """Skip everything below a call that is answered as a whole, so that it is not repeated.

        Args:
            scope: The call's scope.
            count: Counts the usage of an entry, if the call's own answer does not include it.
        """
        found: list[Entry] = []
        for inner in scope.below():
            self.journal.run_ids.add(self.id_of(inner))
            found += [each for each in inner.all_entries() if not each.is_dropped]
        for entry in sorted(found, key=lambda each: each.number):  # tools count in the order of their use
            if not entry.is_used:
                entry.is_used = True
                self.journal.order.forget([entry])
            if not entry.is_counted and count is not None:
                count(entry)
            entry.is_counted = True

    def count_unneeded(self) -> None:
        """Count what earlier attempts have paid for although the run, which has ended, did not need it."""
        if any(is_replaced(each) for each in self.scope.below()):
            self.emit([not_reused()])
        self.pass_over(self.scope, self.count)

    def count(self, entry: Entry) -> None:
        """Count the usage of an entry."""
        if entry.kind == "model" and not entry.is_failure:
            self.usage.add(entry.value["usage"])
        elif entry.kind == "tool" and entry.value.get("tool"):
            self.usage.tools[entry.value["tool"]] = None

    def spend(self, scope: Scope, usage: Sequence[int]) -> None:
        """Count the cost of a failed call."""
        if not self.journal.is_kept:
            self.usage.add(usage)
            return
        self.journal.spend(usage)
        row = self.journal.row(scope, "spent", "", list(usage))
        self.buffer.add((), [row] if row else [])

    def drop_outdated(self, scope: Scope) -> None:
        """Drop the unused answers of a model that is asked something new."""
        row = self.journal.outdated(scope)
        if row is not None:
            self.buffer.add([not_reused()], [row])

    def drop_replaced(self, scope: Scope) -> None:
        """Drop the work of earlier attempts that a new scope replaces."""
        row = self.journal.replaced(scope)
        if row is not None:
            self.buffer.add([not_reused()], [row])

    def opens(self, run_id: str) -> list[JournalEntry]:
        """Return the row that marks the first text of an answer that is not complete yet."""
        if self._streams.get(run_id) is not False:
            return []
        self._streams[run_id] = True
        row = self.journal.row(self.scope, "open", "")
        return [row] if row else []

    def defer_text(self, run_id: str, scope: Scope, number: Number, answer: Sequence[dict[str, Any]]) -> None:
        """Note a complete answer of which no text is in the log yet.

        Args:
            run_id: Agno's id of the run that gave the answer.
            scope: The scope of the answer's row.
            number: The number of the answer's row.
            answer: The answer, as it is journaled.
        """
        if self.shows_text and any(isinstance(each.get("content"), str) for each in answer):
            self._unshown.setdefault(run_id, []).append((scope, number))

    def shows(self, run_id: str) -> list[JournalEntry]:
        """Return the rows that mark text of a run as emitted, to be stored with it."""
        run_ids = [run_id, *(member for member, leader in self.shown_by.items() if leader == run_id)]
        rows = [self.journal.shown(*each) for one in run_ids for each in self._unshown.pop(one, ())]
        return [*(row for one in run_ids for row in self.opens(one)), *(each for each in rows if each is not None)]

    def was_shown(self, run_id: str, text: str) -> None:
        """Record that an earlier attempt has emitted the text of a run's answer that was not streamed."""
        self._shown.add((self.shown_by.get(run_id, run_id), text))

    def is_in_log(self, run_id: str, text: str) -> bool:
        """Return whether the text of an answer that was not streamed is in the log already."""
        return (self.shown_by.get(run_id, run_id), text) in self._shown

    def discard_unfinished_text(self) -> None:
        """Discard emitted text whose answer was never completed, if there is any."""
        if self._broken_off:
            self._broken_off = False
            row = self.journal.row(self.scope, "discard", "")
            self.buffer.add([discard_text()], [row] if row else [])

    def begin_stream(self, run_id: str) -> None:
        """Record that an answer is about to be streamed."""
        self._streams[run_id] = False

    def end_stream(self, run_id: str, *, complete: bool) -> bool:
        """Record that a streamed answer has ended, and return whether any of its text was emitted."""
        emitted = self._streams.pop(run_id, False)
        self._broken_off |= emitted and not complete
        self.has_streamed |= emitted and complete
        return emitted
