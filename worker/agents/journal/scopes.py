"""The tree of scopes below a task's handler, in which a later attempt recognizes its own calls.

A scope is a run of an agent, team or workflow, a workflow's step, a tool call, or a conversation with a model. Each row
of the journal belongs to one. An attempt that opens a scope receives an earlier attempt's scope if they agree in one of
these ways:

1. The same name, configuration (instructions, tools, output form) and input. Several matches are assigned in order.
2. Where Agno itself makes the run at a fixed place (a team's member for one delegation, the executor of a step): the
   same name and input, if only one configuration was seen there. Such a place identifies the run on its own.
3. Where the user's code makes the run: the same user-given name and input, at the same call site. This is how a named
   agent resumes after a deploy that changed its prompt.

Otherwise the scope is new, and its calls are made again: a repeated call costs money, a wrong answer is a defect.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from worker.agents.journal.call_sites import is_new_code, is_same_place
from worker.agents.journal.rows import Entry, Kind, Number

Digest = Callable[[], str]
"""Computes a digest on demand, since most runs never need one."""


@dataclass(frozen=True, slots=True)
class CallSite:
    """Where and when the user's code makes a run.

    Args:
        place: The place in the code, see ``call_sites``. None if it may make several runs: in a loop, or concurrently.
        code: The functions that lead there, each with a digest of its code.
        state: Digest of the state that the handler had saved on its task by that time, by which a handler skips
            finished work.
    """

    place: str | None
    code: str
    state: str

    def is_same_place(self, earlier: "CallSite") -> bool:
        """Return whether a run here stands where the earlier attempt made one, in the same state of the task."""
        if self.place is None or earlier.place is None or self.state != earlier.state:
            return False
        return is_same_place(self.place, earlier.place)

    def continues(self, earlier: "CallSite", *, names_tell_apart: bool) -> bool:
        """Return whether a run here continues the earlier run of the same name although its configuration has changed.

        Args:
            earlier: Where the earlier attempt made the run.
            names_tell_apart: Whether several runs were seen there, each with a different name. Where one place makes
                several runs, distinct names are enough only if the code has changed: then a deploy explains the new
                configuration.
        """
        if self.state == earlier.state and (self.place is None or earlier.place is None):
            return names_tell_apart and is_new_code(self.code, earlier.code)
        return self.is_same_place(earlier)


@dataclass(slots=True)
class Identity:
    """The properties that distinguish a scope from others below the same parent.

    Args:
        kind: ``agent``, ``team``, ``workflow``, ``step``, ``tool`` or ``conversation``.
        name: The name that the user gave, or the position; None if the scope has no name.
        config: Digest of instructions, tools, output form.
        input: Digest of the input.
        model: The model that the agent names; empty if it names none.
        is_pinned: Whether Agno itself opens the scope, at a place that identifies it.
        site: Where the user's code opens the scope; None for all others.
    """

    kind: str
    name: str | None
    config: Digest
    input: Digest
    model: str = ""
    is_pinned: bool = False
    site: Callable[[], CallSite] | None = None

    def is_equal(self, record: "Record") -> bool:
        """Return whether a scope of an earlier attempt had the same input and configuration, under whatever name."""
        return record.input == self.input() and record.config == self.config()


@dataclass(slots=True)
class Record:
    """A scope as stored in the journal."""

    kind: str
    name: str | None
    config: str
    input: str
    model: str = ""
    site: CallSite | None = None
    opening: Any = None  # of a conversation: its first messages


@dataclass(slots=True, eq=False, repr=False)
class Scope:
    """One node of the tree.

    Args:
        key: Unique among all scopes of the task.
        parent: The scope that opened this one; None for the handler itself.
        began: When the scope was first opened.
        identity: The identity under which the current attempt opened the scope; None until it does.
        record: The scope as an earlier attempt opened it, or as it is to be stored.
    """

    key: str
    parent: "Scope | None"
    began: Number
    identity: Identity | None = None
    record: Record | None = None
    is_known: bool = False  # an earlier attempt opened it
    is_open: bool = False  # this attempt has opened it, and it has not ended
    has_failed: bool = False
    failed_in_model: bool = False  # the last call in it was a model call that failed
    opening: Any = None
    available: list["Scope"] = field(default_factory=list["Scope"])  # children that may be opened again
    children: list["Scope"] = field(default_factory=list["Scope"])
    entries: dict[tuple[Kind, str, str], list[Entry]] = field(default_factory=dict[tuple[Kind, str, str], list[Entry]])
    told: list[str] = field(default_factory=list[str])  # marks of the events emitted within it, see ``marks_of``
    labels: dict[str, int] = field(default_factory=dict[str, int])  # how often each label was used for children

    def __repr__(self) -> str:
        return f"Scope({self.key!r})"

    @property
    def is_unchanged(self) -> bool:
        """Whether an earlier attempt opened the scope with the same configuration."""
        return self.record is not None and self.identity is not None and self.record.config == self.identity.config()

    def close(self) -> None:
        """Release all references to scopes and entries, which refer back to this scope."""
        self.parent = None
        self.available.clear()
        self.children.clear()
        self.entries.clear()

    def path(self) -> Iterator["Scope"]:
        """Yield the scope itself, its parent, and so on up to the handler."""
        scope: Scope | None = self
        while scope is not None:
            yield scope
            scope = scope.parent

    def is_within(self, other: "Scope") -> bool:
        """Return whether this scope is the other scope or lies below it."""
        return any(each is other for each in self.path())

    def below(self) -> Iterator["Scope"]:
        """Yield the scope itself and all scopes below it."""
        yield self
        for child in self.children:
            yield from child.below()

    def all_told(self) -> list[str]:
        """Return the marks of the events that were emitted in this scope and below."""
        return [each for scope in self.below() for each in scope.told]

    def all_entries(self) -> Iterator[Entry]:
        """Yield the entries of this scope, but not of scopes below it."""
        for entries in self.entries.values():
            yield from entries

    def add(self, entry: Entry) -> None:
        """Add the entry of a completed call."""
        place = (entry.kind, entry.at, entry.match)
        found = self.entries.get(place)
        if found is None:
            self.entries[place] = [entry]
        else:
            found.append(entry)

    def take(self, kind: Kind, at: str, match: str) -> Entry | None:
        """Return the next unused entry at a place and mark it as used. A failure that an answer followed is skipped."""
        waiting = [each for each in self.entries.get((kind, at, match), ()) if not (each.is_used or each.is_dropped)]
        found = next((each for each in waiting if not each.is_failure), waiting[0] if waiting else None)
        if found is not None:
            found.is_used = True
        return found

    def has_answers(self) -> bool:
        """Return whether this scope or any scope below it has entries that an attempt may still be answered from."""
        return any(not entry.is_dropped for scope in self.below() for entry in scope.all_entries())

    def match(self, identity: Identity) -> "Scope | None":
        """Return the child scope that an identity opens again; None if it opens a new one."""
        named = [each for each in self.available if _looks(each) == (identity.kind, identity.name)]
        if not named:
            return None
        config, given = identity.config(), identity.input()
        asked = [(each, each.record) for each in named if each.record is not None and each.record.input == given]
        same = [each for each, record in asked if record.config == config and _may_be(record.model, identity.model)]
        if same:
            return _of_equals(same, identity)
        if identity.is_pinned:
            return asked[0][0] if len({record.config for _, record in asked}) == 1 else None
        return self._continued([each for each, _ in asked], identity) if identity.name is not None else None

    def _continued(self, asked: list["Scope"], identity: Identity) -> "Scope | None":
        """Return the only run of this name, whose configuration has changed, if the call site identifies it."""
        if len(asked) != 1 or identity.site is None:
            return None
        (found,) = asked
        if found.record is None or found.record.site is None or self._has_other_of(identity.name, found):
            return None
        names = [each.record.name for each in self.children if each.record is not None and each.is_known]
        tell_apart = len(names) > 1 and None not in names and len(set(names)) == len(names)
        is_continued = identity.site().continues(found.record.site, names_tell_apart=tell_apart)
        return found if is_continued else None

    def _has_other_of(self, name: str | None, found: "Scope") -> bool:
        """Return whether another child run has this name, so that the name alone does not identify the run."""
        return any(each is not found and _looks(each)[1] == name for each in self.children)

    def resembles(self, identity: Identity) -> list["Scope"]:
        """Return the unopened child scopes of an earlier attempt that have the same kind and name, and hold answers."""
        looks = (identity.kind, identity.name)
        waiting = [each for each in self.available if each.is_known and not each.is_open and _looks(each) == looks]
        return [each for each in waiting if each.has_answers()]


def _may_be(one: str, other: str) -> bool:
    """Return whether two model names may mean the same model: Agno sets a default on agents that name none."""
    return one == other or not (one and other)


def _looks(scope: Scope) -> tuple[str, str | None]:
    known = scope.record or scope.identity
    return (known.kind, known.name) if known is not None else ("", None)


def _of_equals(same: list[Scope], identity: Identity) -> Scope:
    """Choose an equal scope: one that failed in this attempt, else one that began in the same state, else the first."""
    failed = next((each for each in same if each.has_failed), None)
    if failed is not None:
        return failed
    if len(same) > 1 and identity.site is not None:
        state = identity.site().state
        for each in same:
            if each.record is not None and each.record.site is not None and each.record.site.state == state:
                return each
    return same[0]
