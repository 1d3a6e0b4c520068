"""What an attempt knows of earlier ones, and the rows that it adds."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import astuple
from itertools import count
from typing import Any

from worker.agents.journal import rows
from worker.agents.journal.deferred import Deferred
from worker.agents.journal.order import LAST, ReplayOrder
from worker.agents.journal.rows import Entry, Kind, Number
from worker.agents.journal.scopes import CallSite, Identity, Record, Scope
from worker.contracts import Work
from worker.words.digests import mark
from worker.words.events import NewEvent
from worker.words.outside_rows import answer_in
from worker.words.requests import InputAnswer
from worker.words.statuses import TaskUpdateEventType
from worker.words.work import JournalEntry

COMPLETED = ("model", "tool", "step")
"""Kinds of rows that stand for one call."""


class Journal:
    """The journal as one attempt uses it; shared by all runs of its handler.

    Args:
        task_id: The task.
        attempt: The attempt that reads and writes; the first one has nothing to read.
        is_kept: Whether the platform keeps journals; if not, rows are not made.
        order: In which branches are answered.
    """

    def __init__(self, task_id: str, attempt: int, *, is_kept: bool = True, order: ReplayOrder | None = None) -> None:
        self.task_id = task_id
        self.is_kept = is_kept
        self.deferred = Deferred()
        self.order = order or ReplayOrder()
        self.root = Scope(task_id, None, (0, 0), is_open=True)
        self.unexplained: list[Scope] = []  # runs made anew, whose earlier answers others may still ask for
        self.run_ids: set[str] = set()  # of Agno's runs that this attempt has made, or answered as a whole
        self.has_foreign_rows = False  # that an earlier version of this package wrote, and cannot be read
        self._attempt = attempt
        self._numbers = count(1)
        self._loaded = attempt <= 1 or not is_kept
        self._unrecorded: dict[Scope, list[Scope]] = {}  # by run of ours: rows of others may be stored later, or never
        self._scopes: dict[str, Scope] = {task_id: self.root}
        self._entries: list[Entry] = []
        self._emitted: Counter[str] = Counter()  # by earlier attempts, and not yet reached by this one
        self._lately: list[NewEvent] = []  # emitted since the last answer of a model, by whichever attempt
        self._unfinished: Counter[str] = Counter()  # by scope: streamed texts whose answers were not completed
        self._steps: Counter[str] = Counter()
        self.used_signals: set[int] = set()  # that a wait of this attempt has taken, by their numbers
        self._answers: dict[str, InputAnswer] = {}  # of people, by what was asked
        self.mending: Scope | None = None  # of a second try at an answer whose form is not the one asked for
        self.spent = [0, 0, 0, 0]  # tokens of calls that were paid for and do not count: failed, or given up

    async def load(self, work: Work) -> None:
        """Read what earlier attempts left, once; a second call does nothing."""
        if self._loaded:
            return
        stored, emitted = await asyncio.gather(work.journal(self.task_id), work.told(self.task_id, self._attempt))
        if not self._loaded:  # another run of the same handler may have been faster
            self._loaded = True
            self._read(stored)
            self._emitted.update(emitted)
            self.order.expect(self._entries)

    def close(self) -> None:
        """The attempt is over, and nothing more is written: cut the references that go round in circles.

        What stands in a circle waits for Python's cyclic collector, which stops the whole worker while it looks.
        """
        for scope in self._scopes.values():
            scope.close()
        self._entries.clear()
        self.mending = None
        self._unrecorded.clear()
        self.unexplained.clear()
        self.deferred.drop()

    @property
    def is_retry(self) -> bool:
        """Whether there were attempts before this one."""
        return self._attempt > 1

    @property
    def is_replayed(self) -> bool:
        """Whether earlier attempts left anything to answer from."""
        return self.order.is_needed

    def open(self, parent: Scope, identity: Identity, label: str) -> Scope:
        """Open a scope: the one that is known by this identity, or a new one.

        Args:
            parent: What opens it.
            identity: What tells it from others there.
            label: What a new one is called in its key, for people who read the journal.
        """
        scope = parent.match(identity) if parent.available else None
        if scope is None:
            scope = self._new(parent, label)
            self._unrecorded.setdefault(_run_of(scope), []).append(scope)
        else:
            parent.available.remove(scope)
            if scope.identity is not None:
                self.restart(scope)
        scope.identity = identity
        scope.is_open, scope.has_failed = True, False
        self.order.moved(scope)
        return scope

    def end(self, scope: Scope, *, failed: bool) -> None:
        """A scope has ended. One that failed may be opened again, and then goes on where it stood."""
        scope.is_open = False
        scope.has_failed = failed
        if failed and scope.parent is not None and scope.identity is not None and scope not in scope.parent.available:
            scope.record = self._record(scope)
            scope.parent.available.append(scope)
        self.order.moved(scope)

    def take(self, scope: Scope, kind: Kind, at: str, match: str = "") -> Entry | None:
        """The next entry for a call, which is then used up; None if the call was not completed."""
        entry = scope.take(kind, at, match) if scope.entries else None
        if entry is not None and kind == "model":
            self._lately.clear()
        return entry

    def find(self, scope: Scope, kind: Kind, at: str) -> Entry | None:
        """The last entry at a place, which may be asked for again and again; None if there is none."""
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
        """Make the row of a completed call.

        Args:
            scope: Who made it.
            kind: What it is.
            at: Where in the scope.
            value: What came of it, as JSON has it.
            match: Digest of what was asked.
            closes: It completes an answer whose text was streamed.
            again: ClaimPositions of events that are in the log and are to be emitted once more.
            number: Its place, if the call was completed before the row is made.

        Returns:
            The row; None if it would be too large, or the platform keeps no journals.
        """
        if not self.is_kept:
            return None
        place = number or self.next_number()
        entry = Entry(place, scope, kind, at, match, value, is_used=True, is_counted=True)
        opened = self._unrecorded.pop(_run_of(scope), [])
        made = rows.encode(entry, opens=[self._stored(each) for each in opened], closes=closes, again=again)
        if made is None:
            self._unrecorded[_run_of(scope)] = opened
            return None
        if kind not in ("drop", "spent"):
            self._remember(entry)
        if kind == "model":
            self._lately.clear()
        return made

    def answer(self, request_id: str) -> InputAnswer | None:
        """What a person has answered; None: nothing yet."""
        return self._answers.get(request_id)

    def said(self) -> set[int]:
        """The numbers of the messages that agents of the task have read."""
        read = (entry.value for entry in self._entries if entry.kind == "said" and not entry.is_dropped)
        return {each["number"] for value in read for each in value}

    def next_number(self) -> Number:
        """The place of what is completed, or begun, now."""
        return self._attempt, next(self._numbers)

    def outdated(self, scope: Scope) -> JournalEntry | None:
        """Give up what no longer fits: a model is asked anew where entries of its earlier answers wait.

        Returns:
            The row that says so; None if everything fits.
        """
        waiting = [entry.number for entry in scope.all_entries() if _waits(entry) and entry.kind == "model"]
        return self._drop_from(min(waiting), scope) if waiting else None

    def replaced(self, scope: Scope) -> JournalEntry | None:
        """Give up what an earlier attempt did in the place of a scope that is new in this one.

        Returns:
            The row that says so; None if nothing was there.
        """
        if scope.parent is None or scope.identity is None or scope.is_known or not scope.parent.available:
            return None
        resembling = [each for each in scope.parent.resembles(scope.identity) if not _was_skipped(each, scope)]
        if not resembling:
            return None
        if scope.identity.site is not None and scope.identity.site().place is None:
            self.unexplained.append(scope)  # others beside it may still ask
            return None
        return self._drop_from(min(each.began for each in resembling), resembling[0])

    def leaves_answers(self) -> bool:
        """Whether runs were made anew that resemble earlier ones which nothing has asked for to the end."""
        return any(
            each.parent is not None and each.identity is not None and each.parent.resembles(each.identity)
            for each in self.unexplained
        )

    def without_last_answer(self, *, is_forgotten: bool = False) -> JournalEntry | None:
        """Give up the last model answer and what came after it: another try must not repeat the same failure.

        What was to mend the form of an answer, and has not, is given up with that answer.

        Args:
            is_forgotten: Whether the last one was never stored.
        """
        if is_forgotten and self.mending is None:
            return None
        answers = (each for each in self._entries if each.kind == "model" and not self._mends(each))
        last = max((each.number for each in answers), default=None)
        if last is None:
            return None
        again = [mark(event) for event in self._lately]
        return self._drop([each for each in self._entries if each.number >= last], "last answer", again)

    def _mends(self, entry: Entry) -> bool:
        return self.mending is not None and entry.scope.is_within(self.mending)

    def unemitted(self, events: Sequence[NewEvent], *, is_new: bool = False) -> Sequence[NewEvent]:
        """Which events no earlier attempt has emitted: the log says which ones have been.

        Args:
            events: The events.
            is_new: Whether they belong to what no earlier attempt has done.
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

    def is_unfinished(self, scope: Scope) -> bool:
        """Whether an earlier attempt streamed text of an answer that it did not complete."""
        return self._unfinished[scope.key] > 0

    def step(self, name: str) -> str:
        """The place of a step of the handler; the same name again is another step."""
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
        """Begin a scope once more within this attempt: what it completed is answered again, not done again.

        Where it failed by anything but a model call, the failure came of its last answer, and that is asked for again.
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

    def _remember(self, entry: Entry) -> None:
        entry.scope.add(entry)
        self._entries.append(entry)

    def _drop_from(self, first: Number, scope: Scope) -> JournalEntry | None:
        """Give up all that followed, but for what went on beside the scope."""
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

    def spend(self, usage: Sequence[int]) -> None:
        """Count tokens of a call that does not count: of prompt, completion, cache read and cache written."""
        self.spent = [mine + more for mine, more in zip(self.spent, usage, strict=True)]

    def _add_spent(self, entry: Entry) -> None:
        if entry.kind == "model" and not entry.is_failure:
            self.spend(entry.value["usage"])

    def _stored(self, scope: Scope) -> dict[str, Any]:
        scope.record = record = self._record(scope)
        stored: dict[str, Any] = {
            "key": scope.key,
            "parent": scope.parent.key if scope.parent is not None else None,
            "began": scope.began,
            "kind": record.kind,
            "config": record.config,
            "input": record.input,
        }
        if record.name is not None:
            stored["name"] = record.name
        if record.model:
            stored["model"] = record.model
        if record.site is not None:
            stored["site"] = list(astuple(record.site))
        if scope.opening is not None:
            stored["opening"] = scope.opening
        return stored

    def _record(self, scope: Scope) -> Record:
        identity = scope.identity
        if identity is None:
            raise RuntimeError("a scope that was never opened has no record to make")
        site = identity.site() if identity.site is not None else None
        return Record(
            identity.kind, identity.name, identity.config(), identity.input(), identity.model, site, scope.opening
        )

    def _read(self, stored: dict[str, str]) -> None:
        decoded = sorted((rows.decode(key, text) for key, text in stored.items()), key=lambda each: each[0])
        for _, body in decoded:
            found = answer_in(body)
            if found is not None:
                self._answers[found[0]] = InputAnswer.model_validate(found[1])
        known = [(number, body) for number, body in decoded if "scope" in body]
        self.has_foreign_rows = any("scope" not in body and body.get("kind") in COMPLETED for _, body in decoded)
        opened = [each for _, body in known for each in body.get("opens", ())]
        for each in sorted(opened, key=lambda each: _number(each["began"])):  # above before below
            self._read_scope(each)
        for number, body in known:
            self._read_entry(number, body)
        self._entries = [each for each in self._entries if not each.is_dropped]

    def _read_scope(self, stored: dict[str, Any]) -> None:
        parent = self._scopes.get(stored["parent"])
        if parent is None or stored["key"] in self._scopes:
            return
        site = CallSite(*stored["site"]) if "site" in stored else None
        record = Record(
            stored["kind"],
            stored.get("name"),
            stored["config"],
            stored["input"],
            stored.get("model", ""),
            site,
            stored.get("opening"),
        )
        scope = Scope(stored["key"], parent, _number(stored["began"]), record=record, is_known=True)
        scope.opening = record.opening
        self._scopes[scope.key] = scope
        parent.children.append(scope)
        parent.available.append(scope)

    def _read_entry(self, number: Number, body: dict[str, Any]) -> None:
        kind, value = body["kind"], body["value"]
        if kind == "drop":
            gone = {_number(each) for each in value}
            for entry in self._entries:
                if entry.number in gone and not entry.is_dropped:
                    entry.is_dropped = True
                    self._add_spent(entry)
            self._emitted.subtract(body.get("again", ()))
            return
        if kind == "spent":
            self.spend(value)
            return
        scope = self._scopes.get(body["scope"])
        if scope is None:
            return
        self._remember(Entry(number, scope, kind, body["at"], body["match"], value))
        if kind == "open":
            self._unfinished[scope.key] += 1
        elif kind == "discard":
            self._unfinished[scope.key] = 0
        elif body.get("closes"):
            self._unfinished[_run_of(scope).key] -= 1


def too_large(what: str) -> NewEvent:
    """The event that says that a call was not journaled."""
    size = rows.VALUE_BYTES // 1024**2
    return _note(
        "journal", f"{what} is larger than {size} MiB and is not journaled: a retry would make the call again."
    )


def not_reused() -> NewEvent:
    """The event that says that completed calls are made again."""
    return _note(
        "journal",
        "Some calls that an earlier attempt completed are made again: the agent, its model, tools, instructions or"
        " input have changed, so the earlier answers no longer fit.",
    )


def discard_text() -> NewEvent:
    """The event that takes back streamed text whose answer was never completed."""
    return _note("discard", "Discard the unfinished text: the answer broke off and is given again from the start.")


def answers_again() -> NewEvent:
    """The event that takes back an answer after which somebody has said more, which the agent answers, too."""
    return _note("discard", "Discard the last answer: somebody has said more, and is answered in its place.")


def _note(kind: str, text: str) -> NewEvent:
    return NewEvent(type=TaskUpdateEventType.Note, data={"text": text, "kind": kind})


def _number(stored: Sequence[int]) -> Number:
    attempt, place = stored
    return attempt, place


def _run_of(scope: Scope) -> Scope:
    """The run of ours that a scope belongs to: the child of the handler on its path."""
    found = scope
    for each in scope.path():
        if each.parent is None:
            return found
        found = each
    return found


def _waits(entry: Entry) -> bool:
    return not (entry.is_used or entry.is_dropped)


def _beside(entry: Entry, scope: Scope) -> bool:
    """Whether a call belongs to another branch of the same run: neither above the scope nor below it."""
    branch, other = list(scope.path()), list(entry.scope.path())
    return (
        _run_of(entry.scope) is _run_of(scope)
        and scope not in other
        and entry.scope not in branch
        and entry.kind != "run"
    )


def _was_skipped(earlier: Scope, new: Scope) -> bool:
    """Whether a handler has likely skipped what is done: the earlier run had ended, and the task was saved since."""
    ended = any(each.kind == "run" for each in earlier.all_entries())
    if not ended or earlier.record is None or earlier.record.site is None or new.identity is None:
        return False
    site = new.identity.site
    return site is not None and site().state != earlier.record.site.state
