"""The journal as its rows have it: read at the beginning of an attempt, and written as scopes open."""

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
"""Kinds of rows that stand for one call."""


class StoredJournal:
    """A base of the journal: scopes and entries as rows have them.

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
            raise RuntimeError("a scope that was never opened has no record to make")
        site = identity.site() if identity.site is not None else None
        return Record(
            identity.kind, identity.name, identity.config(), identity.input(), identity.model, site, scope.opening
        )

    def _remember(self, entry: Entry) -> None:
        entry.scope.add(entry)
        self._entries.append(entry)

    def spend(self, usage: Sequence[int]) -> None:
        """Count tokens of a call that does not count: of prompt, completion, cache read and cache written."""
        self.spent = [mine + more for mine, more in zip(self.spent, usage, strict=True)]

    def _add_spent(self, entry: Entry) -> None:
        if entry.kind == "model" and not entry.is_failure:
            self.spend(entry.value["usage"])


def _number(stored: Sequence[int]) -> Number:
    attempt, place = stored
    return attempt, place


def run_of(scope: Scope) -> Scope:
    """The run of ours that a scope belongs to: the child of the handler on its path."""
    found = scope
    for each in scope.path():
        if each.parent is None:
            return found
        found = each
    return found
