"""The stored form of the journal: read at the beginning of an attempt, and written as scopes open."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import astuple
from itertools import count
from typing import Any

from worker.agents.journal import rows
from worker.agents.journal.deferred import Deferred
from worker.agents.journal.order import ReplayOrder
from worker.agents.journal.rows import Entry, Number
from worker.agents.journal.scopes import CallSite, Record, Scope
from worker.words.events import NewEvent
from worker.words.outside_rows import answer_in
from worker.words.requests import InputAnswer

COMPLETED = ("model", "tool", "step")
"""Kinds of rows that represent a single call."""


class StoredJournal:
    """Base class of the journal, which reads scopes and entries from rows and creates their records.

    Args:
        task_id: The task.
        attempt: The attempt that reads and writes; the first one has nothing to read.
        is_kept: Whether the platform stores journals; if not, no rows are created.
        order: The order in which concurrent branches are answered.
    """

    def __init__(self, task_id: str, attempt: int, *, is_kept: bool = True, order: ReplayOrder | None = None) -> None:
        self.task_id = task_id
        self.is_kept = is_kept
        self.deferred = Deferred()
        self.order = order or ReplayOrder()
        self.root = Scope(task_id, None, (0, 0), is_open=True)
        self.run_ids: set[str] = set()  # ids of Agno's runs that this attempt has made, or answered as a whole
        self.has_old_format_rows = False  # rows of an earlier version of this package, which cannot be read
        self._attempt = attempt
        self._numbers = count(1)
        self._loaded = attempt <= 1 or not is_kept
        self._unrecorded: dict[Scope, list[Scope]] = {}  # by run: rows of others may be stored later, or never
        self._scopes: dict[str, Scope] = {task_id: self.root}
        self._entries: list[Entry] = []
        self._emitted: Counter[str] = Counter()  # events of earlier attempts that this one has not reached yet
        self._lately: list[NewEvent] = []  # events since the last model answer, whichever attempt emitted them
        self._unfinished: Counter[str] = Counter()  # by scope: streamed texts whose answers were not completed
        self._steps: Counter[str] = Counter()
        self.used_signals: set[int] = set()  # numbers of the signals that waits of this attempt have consumed
        self._answers: dict[str, InputAnswer] = {}  # of people, by request id
        self.repair_scope: Scope | None = None  # the repair of an answer that does not have the requested form
        self.spent = [0, 0, 0, 0]  # tokens of calls that cost money but do not count: failed or dropped

    def _read(self, stored: dict[str, str]) -> None:
        decoded = sorted((rows.decode(key, text) for key, text in stored.items()), key=lambda each: each[0])
        for _, body in decoded:
            found = answer_in(body)
            if found is not None:
                self._answers[found[0]] = InputAnswer.model_validate(found[1])
        known = [(number, body) for number, body in decoded if "scope" in body]
        self.has_old_format_rows = any("scope" not in body and body.get("kind") in COMPLETED for _, body in decoded)
        opened = [each for _, body in known for each in body.get("opens", ())]
        for each in sorted(opened, key=lambda each: _number(each["began"])):  # parents before children
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
        self._remember(Entry(number, scope, kind, body["at"], body["match"], value, bool(body.get("closes"))))
        if kind == "open":
            self._unfinished[scope.key] += 1
        elif kind == "discard":
            self._unfinished[scope.key] = 0
        elif body.get("closes"):
            self._unfinished[run_of(scope).key] -= 1

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
            raise RuntimeError("an unopened scope has no record to create")
        site = identity.site() if identity.site is not None else None
        return Record(
            identity.kind, identity.name, identity.config(), identity.input(), identity.model, site, scope.opening
        )

    def _remember(self, entry: Entry) -> None:
        entry.scope.add(entry)
        self._entries.append(entry)

    def spend(self, usage: Sequence[int]) -> None:
        """Add the tokens of a call that does not count: prompt, completion, cache read and cache written."""
        self.spent = [mine + more for mine, more in zip(self.spent, usage, strict=True)]

    def _add_spent(self, entry: Entry) -> None:
        if entry.kind == "model" and not entry.is_failure:
            self.spend(entry.value["usage"])


def _number(stored: Sequence[int]) -> Number:
    attempt, place = stored
    return attempt, place


def run_of(scope: Scope) -> Scope:
    """Return the top-level run that a scope belongs to: the handler's direct child on the scope's path."""
    found = scope
    for each in scope.path():
        if each.parent is None:
            return found
        found = each
    return found
