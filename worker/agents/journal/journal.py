"""The journal of an attempt: the entries of earlier attempts and the rows that this attempt adds."""

import asyncio
from collections.abc import Sequence
from typing import Any

from worker.agents.journal import rows
from worker.agents.journal.order import LAST
from worker.agents.journal.replaced import is_replaced, was_skipped
from worker.agents.journal.rows import Entry, Kind, Number
from worker.agents.journal.scopes import Identity, Scope
from worker.agents.journal.stored import StoredJournal, run_of
from worker.contracts import Work
from worker.words.digests import mark
from worker.words.events import NewEvent
from worker.words.requests import InputAnswer
from worker.words.work import JournalEntry


class Journal(StoredJournal):
    """The journal as one attempt uses it; shared by all runs of its handler."""

    async def load(self, work: Work) -> None:
        """Read the rows and events of earlier attempts. Further calls do nothing."""
        if self._loaded:
            return
        stored, emitted = await asyncio.gather(
            work.journal(self.task_id), work.earlier_events(self.task_id, self._attempt)
        )
        if not self._loaded:  # a concurrent run of the same handler may have loaded it meanwhile
            self._loaded = True
            self._read(stored)
            self._emitted.update(emitted)
            for entry in self._entries:
                if entry.kind == "run":  # it is answered as a whole, or the handler skips it
                    self.reached(entry.value.get("told", ()))
            self.order.expect(self._entries)

    def close(self) -> None:
        """Break reference cycles once the attempt has ended and writes nothing more.

        Cycles wait for Python's cyclic garbage collector, which stops the whole worker while it runs.
        """
        for scope in self._scopes.values():
            scope.close()
        self._entries.clear()
        self.repair_scope = None
        self._unrecorded.clear()
        self.deferred.drop()

    @property
    def is_retry(self) -> bool:
        """Whether earlier attempts were made."""
        return self._attempt > 1

    @property
    def is_replayed(self) -> bool:
        """Whether earlier attempts left entries that still have to be replayed."""
        return self.order.is_needed

    def open(self, parent: Scope, identity: Identity, label: str) -> Scope:
        """Open the scope that an identity matches, or create a new one.

        Args:
            parent: The scope that opens it.
            identity: Distinguishes the scope from others below the parent.
            label: Name of a new scope within its key, for people who read the journal.
        """
        scope = parent.match(identity) if parent.available else None
        if scope is None:
            scope = self._new(parent, label)
            self._unrecorded.setdefault(run_of(scope), []).append(scope)
        else:
            parent.available.remove(scope)
            if scope.identity is not None:
                self.restart(scope)
        scope.identity = identity
        scope.is_open, scope.has_failed = True, False
        self.order.moved(scope)
        return scope

    def end(self, scope: Scope, *, failed: bool) -> None:
        """Mark a scope as ended. A failed scope may be opened again and then resumes where it stopped."""
        scope.is_open = False
        scope.has_failed = failed
        if failed and scope.parent is not None and scope.identity is not None and scope not in scope.parent.available:
            scope.record = self._record(scope)
            scope.parent.available.append(scope)
        self.order.moved(scope)

    def take(self, scope: Scope, kind: Kind, at: str, match: str = "") -> Entry | None:
        """Return the next entry for a call and mark it as used; None if the call was not completed."""
        entry = scope.take(kind, at, match) if scope.entries else None
        if entry is not None and kind == "model":
            self._lately.clear()
        return entry

    def find(self, scope: Scope, kind: Kind, at: str) -> Entry | None:
        """Return the last entry at a place without using it up; None if there is none."""
        found = [each for each in scope.entries.get((kind, at, ""), ()) if not each.is_dropped]
        return found[-1] if found else None

    def row(
        self,
        scope: Scope,
        kind: Kind,
        at: str,
        value: Any = None,
        *,
        match: str = "",
        closes: bool = False,
        again: Sequence[str] = (),
        number: Number | None = None,
    ) -> JournalEntry | None:
        """Create the row of a completed call.

        Args:
            scope: The scope that made the call.
            kind: The kind of row.
            at: The place of the call within the scope.
            value: The outcome as a JSON value.
            match: Digest of the request.
            closes: Whether the row completes an answer whose text was streamed.
            again: Marks of events that are already in the log and have to be emitted once more.
            number: The row's number, if the call was completed before the row is created.

        Returns:
            The row; None if it would be too large, or if the platform stores no journals.
        """
        if not self.is_kept:
            return None
        place = number or self.next_number()
        entry = Entry(place, scope, kind, at, match, value, closes, is_used=True, is_counted=True)
        opened = self._unrecorded.pop(run_of(scope), [])
        made = rows.encode(entry, opens=[self._stored(each) for each in opened], closes=closes, again=again)
        if made is None:
            self._unrecorded[run_of(scope)] = opened
            return None
        if kind not in ("drop", "spent"):
            self._remember(entry)
        if kind == "model":
            self._lately.clear()
        return made

    def is_shown(self, entry: Entry) -> bool:
        """Return whether the text of a streamed answer is in the task's log."""
        return entry.closes or self.find(entry.scope, "shown", _name(entry.number)) is not None

    def shown(self, scope: Scope, number: Number) -> JournalEntry | None:
        """Create the row that marks the text of a complete answer as emitted."""
        return self.row(scope, "shown", _name(number))

    @property
    def has_answers(self) -> bool:
        """Whether the journal holds any answer from a person."""
        return bool(self._answers)

    def answer(self, request_id: str) -> InputAnswer | None:
        """Return a person's answer to a request; None if there is none yet."""
        return self._answers.get(request_id)

    def read_messages(self) -> set[int]:
        """Return the numbers of the messages that the task's agents have read."""
        read = (entry.value for entry in self._entries if entry.kind == "said" and not entry.is_dropped)
        return {each["number"] for value in read for each in value}

    def next_number(self) -> Number:
        """Return the number of a call that completes, or a scope that begins, now."""
        return self._attempt, next(self._numbers)

    def outdated(self, scope: Scope) -> JournalEntry | None:
        """Drop the unused entries from a scope's first unused model answer on: its model is asked something new.

        Returns:
            The row that records the drop; None if no model answer is unused.
        """
        waiting = [entry.number for entry in scope.all_entries() if _waits(entry) and entry.kind == "model"]
        return self._drop_from(min(waiting), scope) if waiting else None

    def replaced(self, scope: Scope) -> JournalEntry | None:
        """Drop the work of earlier attempts that a new scope replaces.

        Returns:
            The row that records the drop; None if there is nothing to drop.
        """
        resembling = _replaced_by(scope) if self.is_retry and not scope.is_known else []
        if not resembling:
            return None
        site = scope.identity.site if scope.identity is not None else None
        if site is not None and site().place is None:
            return None  # concurrent runs may still open the earlier scopes, see ``has_unclaimed_answers``
        return self._drop_from(min(each.began for each in resembling), resembling[0])

    def has_unclaimed_answers(self) -> bool:
        """Return whether runs or steps of earlier attempts were not opened again, but others in their place.

        To be asked once the handler has returned: until then, they may still be opened.
        """
        return self.is_retry and any(is_replaced(each) for each in self._scopes.values())

    def without_last_answer(self, *, is_forgotten: bool = False) -> JournalEntry | None:
        """Drop the last model answer and everything after it, so that a retry does not repeat the same failure.

        A failed attempt to repair an answer's format is dropped together with that answer.

        Args:
            is_forgotten: Whether the last answer was never stored.
        """
        if is_forgotten and self.repair_scope is None:
            return None
        answers = (each for each in self._entries if each.kind == "model" and not self._mends(each))
        last = max((each.number for each in answers), default=None)
        if last is None:
            return None
        again = [mark(event) for event in self._lately]
        return self._drop([each for each in self._entries if each.number >= last], "last answer", again)

    def _mends(self, entry: Entry) -> bool:
        return self.repair_scope is not None and entry.scope.is_within(self.repair_scope)

    def unemitted(self, events: Sequence[NewEvent], *, is_new: bool = False) -> Sequence[NewEvent]:
        """Return the events that no earlier attempt has emitted, according to the task's log.

        Args:
            events: The events to filter.
            is_new: Whether the events belong to work that no earlier attempt has done.
        """
        self._lately += events
        if is_new or not self._emitted:
            return events
        fresh: list[NewEvent] = []
        for event in events:
            known = mark(event)
            if self._emitted[known] > 0:
                self._emitted[known] -= 1
            else:
                fresh.append(event)
        return fresh

    def reached(self, told: Sequence[str]) -> None:
        """Count events that earlier attempts have emitted as reached, so that equal events of other calls are not.

        Args:
            told: The events' marks.
        """
        for each in told:
            if self._emitted[each] > 0:
                self._emitted[each] -= 1

    def is_unfinished(self, scope: Scope) -> bool:
        """Return whether an earlier attempt streamed text of an answer that was never completed."""
        return self._unfinished[scope.key] > 0

    def step(self, name: str) -> str:
        """Return the place of a step of the handler; a repeated name denotes another step."""
        self._steps[name] += 1
        return f"{name}.{self._steps[name] - 1}"

    def _new(self, parent: Scope, label: str) -> Scope:
        while True:
            number = parent.labels.get(label, 0) + 1
            parent.labels[label] = number
            key = f"{parent.key}/{label}" if number == 1 else f"{parent.key}/{label}.{number}"
            if key not in self._scopes:
                break
        scope = Scope(key, parent, self.next_number())
        self._scopes[key] = scope
        parent.children.append(scope)
        return scope

    def restart(self, scope: Scope) -> None:
        """Restart a scope within this attempt: its completed calls are answered from the journal, not repeated.

        If the scope failed outside a model call, its last model answer caused the failure and is requested again.
        """
        entries = [entry for inner in scope.below() for entry in inner.all_entries() if not entry.is_dropped]
        if scope.has_failed and not scope.failed_in_model:
            last = max((each.number for each in entries if each.kind == "model"), default=LAST)
            for entry in entries:
                entry.is_dropped = entry.number >= last
        for inner in scope.below():
            inner.available, inner.has_failed = list(inner.children), False
            for child in inner.children:
                child.record = child.record or self._record(child)
        for entry in entries:
            entry.is_used = False

    def _drop_from(self, first: Number, scope: Scope) -> JournalEntry | None:
        """Drop all unused entries from a number on, except those of branches concurrent with the scope."""
        gone = [each for each in self._entries if each.number >= first and _waits(each) and not _beside(each, scope)]
        again = list(self._emitted.elements())
        self._emitted.clear()
        return self._drop(gone, "outdated", again)

    def _drop(self, entries: Sequence[Entry], why: str, again: Sequence[str]) -> JournalEntry | None:
        for entry in entries:
            if not entry.is_counted:
                self._add_spent(entry)
            entry.is_dropped = True
        self.order.forget(entries)
        self._entries = [each for each in self._entries if not each.is_dropped]
        return self.row(self.root, "drop", why, sorted(each.number for each in entries), again=again)


def _name(number: Number) -> str:
    return "{}.{}".format(*number)


def _waits(entry: Entry) -> bool:
    return not (entry.is_used or entry.is_dropped)


def _beside(entry: Entry, scope: Scope) -> bool:
    """Return whether an entry belongs to another branch of the same run: neither above the scope nor below it."""
    branch, other = list(scope.path()), list(entry.scope.path())
    return (
        run_of(entry.scope) is run_of(scope)
        and scope not in other
        and entry.scope not in branch
        and entry.kind != "run"
    )


def _replaced_by(new: Scope) -> list[Scope]:
    """Return the runs of earlier attempts that a new run appears to replace: unopened, alike, and not skipped."""
    if new.parent is None or new.identity is None:
        return []
    return [each for each in new.parent.resembles(new.identity) if not was_skipped(each, new)]
