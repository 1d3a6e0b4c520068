"""The order in which concurrent branches are answered: one at a time, and in each attempt as in the one before.

Concurrent branches (a workflow's parallel steps, members of a team, runs that a handler gathers) join in the order in
which they finish, and later requests depend on that order. In every attempt, a branch that was just answered may
therefore proceed before another branch is answered, so that the numbers of the journal's rows record the order in which
the branches joined. Answered immediately from the journal, they would join in the order in which they ask. So an answer
waits for answers that were completed before it in other branches, and for the scopes that those branches had opened
before it; an answer that is not in the journal comes after all of these.

No wait is endless, since a branch that an attempt leaves out never asks: after ``GRACE`` seconds without progress, the
branch of the earliest answer is no longer waited for.
"""

import asyncio
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial

from worker.agents.journal.rows import Entry, Number
from worker.agents.journal.scopes import Scope

GRACE = 1.0  # seconds; replayed branches ask within milliseconds, unless user code is slow in between
SETTLE = 0.05  # seconds that an answered branch has to proceed before another branch is answered
TURNS = 5  # of the event loop, after a branch has moved: a run's end passes through a few tasks and queues


@dataclass(slots=True)
class Beginning:
    """A scope that this attempt has not opened yet.

    Args:
        scope: The scope.
        count: Number of answers still expected in the scope.
        last: Number of the last expected answer.
    """

    scope: Scope
    count: int = 0
    last: Number = (0, 0)


LAST: Number = (2**63, 0)
"""The number of an answer that no earlier attempt had: it comes after all others."""


class ReplayOrder:
    """The answers of earlier attempts that are still expected, and the branches that wait for them.

    Args:
        grace: Seconds without progress after which a branch is no longer waited for.
    """

    def __init__(self, grace: float = GRACE) -> None:
        self._grace = grace
        self.in_flight = 0  # model calls whose answers are pending
        self._coming: dict[Number, Entry] = {}  # expected answers, in order
        self._beginnings: dict[Scope, Beginning] = {}  # expected scopes, in order
        self._waiting: list[tuple[Number, Scope]] = []
        self._moved = asyncio.Event()
        self._last_move = 0.0
        self._ahead: Scope | None = None  # the branch that was answered last, until it has proceeded
        self._ahead_until = 0.0
        self._moves = 0

    @property
    def is_needed(self) -> bool:
        """Whether any answer of an earlier attempt is still expected."""
        return bool(self._coming)

    def expect(self, entries: Iterable[Entry]) -> None:
        """Expect the answers that earlier attempts completed, given in order."""
        listed = [each for each in entries if each.kind in ("model", "tool", "run")]
        finished = {each.scope for each in listed if each.kind == "run"}  # this one row answers the whole run
        self._coming = {
            each.number: each for each in listed if each.kind == "run" or finished.isdisjoint(each.scope.path())
        }
        scopes = {scope for each in self._coming.values() for scope in each.scope.path()}
        self._beginnings = {each: Beginning(each) for each in sorted(scopes, key=lambda each: each.began)}
        for number, entry in self._coming.items():
            for scope in entry.scope.path():
                beginning = self._beginnings[scope]
                beginning.count, beginning.last = beginning.count + 1, max(beginning.last, number)

    def forget(self, entries: Iterable[Entry]) -> None:
        """Stop waiting for entries."""
        if self._coming:
            for each in list(entries):
                if self._coming.pop(each.number, None) is not None:
                    self._will_not_come(each)
            self._moved.set()

    def moved(self, scope: Scope) -> None:
        """Record that a scope was opened, has ended, or asks for an answer."""
        if self._ahead is not None and _are_one_branch(scope, self._ahead):
            self._moves += 1
            _after_turns(TURNS, partial(self._settled, self._moves))
        if self._coming:
            for each in scope.path() if self._beginnings else ():
                self._beginnings.pop(each, None)
            self._last_move = asyncio.get_running_loop().time()
            self._moved.set()

    async def turn(self, scope: Scope, entry: Entry | None = None) -> None:
        """Wait until an answer's turn comes.

        Args:
            scope: The scope that is answered.
            entry: The entry that answers it; None for an answer that no earlier attempt had.
        """
        number = LAST if entry is None else entry.number
        await self._reach(scope, number)
        self._coming.pop(number, None)
        if self._coming or self.in_flight:  # others may be answered next
            loop = asyncio.get_running_loop()
            self._ahead, self._ahead_until = scope, loop.time() + SETTLE
            self._last_move = loop.time()
        self._moved.set()

    async def stream(self, scope: Scope) -> None:
        """Wait before an answer begins to stream that no earlier attempt had: its text, too, comes after the others."""
        if self._coming:
            await self._reach(scope, LAST)

    async def _reach(self, scope: Scope, number: Number) -> None:
        self.moved(scope)
        while (awaited := self._before(scope, number)) is not None:
            self._waiting.append((number, scope))
            try:
                await self._wait(scope, awaited)
            except asyncio.CancelledError:
                self._moved.set()  # branches that waited for this one can proceed
                raise
            finally:
                self._waiting.remove((number, scope))

    def _before(self, scope: Scope, number: Number) -> "Entry | Beginning | Scope | None":
        """Return what comes first: another branch's entry, its beginning, or the branch that was answered last."""
        if self._ahead is not None and not _are_one_branch(scope, self._ahead):
            if asyncio.get_running_loop().time() < self._ahead_until:
                return self._ahead
            self._ahead = None
        entry = next((each for each in self._earlier(number) if self._is_expected(each, scope, number)), None)
        return entry or next((each for each in self._begun_before(number) if self._will_begin(each, scope)), None)

    def _earlier(self, number: Number) -> Iterator[Entry]:
        for each, entry in self._coming.items():
            if each >= number:
                return
            yield entry

    def _begun_before(self, number: Number) -> Iterator[Beginning]:
        if number == LAST:  # a model's answer takes long enough for the others to begin
            return
        for scope, beginning in self._beginnings.items():
            if scope.began >= number:
                return
            yield beginning

    def _will_begin(self, beginning: Beginning, scope: Scope) -> bool:
        """Return whether a scope belongs to another, overlapping branch and may still be opened."""
        branch, other = _branches(scope, beginning.scope)
        if branch is None or other is None or beginning.last < branch.began:
            return False
        has_ended = other.identity is not None and not other.is_open
        return not has_ended and not any(each.is_within(other) for _, each in self._waiting)

    def _will_not_come(self, entry: Entry) -> None:
        for scope in entry.scope.path():
            beginning = self._beginnings.get(scope)
            if beginning is not None:
                beginning.count -= 1
                if not beginning.count:
                    del self._beginnings[scope]

    @staticmethod
    def _is_expected(entry: Entry, scope: Scope, number: Number) -> bool:
        """Return whether an earlier entry belongs to another, overlapping branch and may still be requested."""
        branch, other = _branches(scope, entry.scope)
        if branch is None or other is None:
            return False
        if number == LAST:
            return other.is_open
        has_ended = other.identity is not None and not other.is_open
        return entry.number > branch.began and not has_ended

    async def _wait(self, scope: Scope, awaited: "Entry | Beginning | Scope") -> None:
        loop = asyncio.get_running_loop()
        self._moved.clear()
        if isinstance(awaited, Scope):
            until = self._ahead_until
        elif isinstance(awaited, Entry) and self._is_held_up(scope, awaited):
            await self._moved.wait()
            return
        else:
            until = self._last_move + self._grace
        try:
            await asyncio.wait_for(self._moved.wait(), max(0.0, until - loop.time()))
        except TimeoutError:
            if isinstance(awaited, Scope):
                self._let_others()
            elif isinstance(awaited, Beginning):
                if loop.time() >= self._last_move + self._grace:
                    self._beginnings.pop(awaited.scope, None)
            elif loop.time() >= self._last_move + self._grace and not self._is_held_up(scope, awaited):
                self._give_up(scope, awaited)

    def _is_held_up(self, scope: Scope, awaited: Entry) -> bool:
        """Return whether an entry's branch itself waits for an answer no later than the entry: its turn will come."""
        return any(number <= awaited.number for number, _ in self._waiting_beside(scope, awaited))

    def _give_up(self, scope: Scope, awaited: Entry) -> None:
        """Stop waiting for the answers that a branch has left out: all before the answer that the branch waits for."""
        _, branch = _branches(scope, awaited.scope)
        next_one = min((number for number, _ in self._waiting_beside(scope, awaited)), default=LAST)
        self._last_move = asyncio.get_running_loop().time()  # other awaited branches get the full grace period
        within = [each for each in self._coming.values() if branch is None or each.scope.is_within(branch)]
        self.forget([each for each in within if each.number < next_one])

    def _waiting_beside(self, scope: Scope, awaited: Entry) -> list[tuple[Number, Scope]]:
        _, branch = _branches(scope, awaited.scope)
        return [each for each in self._waiting if branch is not None and each[1].is_within(branch)]

    def _settled(self, moves: int) -> None:
        """Let other branches be answered unless the branch ahead has moved again in the meantime."""
        if moves == self._moves:
            self._let_others()

    def _let_others(self) -> None:
        self._ahead = None
        self._moved.set()


def _branches(scope: Scope, other: Scope) -> tuple[Scope | None, Scope | None]:
    """Return the scopes at which two paths diverge, one per path; None for both if one path contains the other."""
    mine, theirs = [*scope.path()][::-1], [*other.path()][::-1]
    for one, another in zip(mine, theirs, strict=False):
        if one is not another:
            return one, another
    return None, None


def _are_one_branch(scope: Scope, other: Scope) -> bool:
    return _branches(scope, other) == (None, None)


def _after_turns(turns: int, then: Callable[[], None]) -> None:
    """Call a function after a number of turns of the event loop."""
    loop = asyncio.get_running_loop()
    loop.call_soon(_after_turns, turns - 1, then) if turns else then()
