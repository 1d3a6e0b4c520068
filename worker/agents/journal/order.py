"""The order in which branches are answered: one after another, and in each attempt as in the one before.

Branches that run side by side (a workflow's parallel steps, members of a team, runs that a handler gathers) meet in the
order in which they finish, and what is asked after they have met depends on it. So a branch that was answered is left
to go on before another is answered, in every attempt: then the numbers of the journal's rows are the order in which the
branches met. Answered at once from the journal, they would meet in the order in which they ask. So an answer waits for
those that were completed before it in other branches, and until what those had begun before it is begun again; an
answer that is not in the journal comes after those.

Nothing waits for ever: a branch that an attempt leaves out never asks. After ``GRACE`` seconds in which nothing moved,
the branch of the earliest answer is no longer waited for.
"""

import asyncio
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial

from worker.agents.journal.rows import Entry, Number
from worker.agents.journal.scopes import Scope

GRACE = 1.0  # seconds; replayed branches ask within milliseconds, unless the user's code takes its time between
SETTLE = 0.05  # seconds that a branch which was answered has to go on before another is answered
TURNS = 5  # of the event loop, after a branch has moved: a run's end is passed on through a few tasks and queues


@dataclass(slots=True)
class Beginning:
    """A scope that this attempt has not opened yet.

    Args:
        scope: It.
        count: Of the answers that are still to come in it.
        last: The last of these.
    """

    scope: Scope
    count: int = 0
    last: Number = (0, 0)


LAST: Number = (2**63, 0)
"""The place of an answer that no earlier attempt had: behind all others."""


class ReplayOrder:
    """Which answers of earlier attempts are still to come, and who waits for them.

    Args:
        grace: Seconds without a move after which a branch is no longer waited for.
    """

    def __init__(self, grace: float = GRACE) -> None:
        self._grace = grace
        self.in_flight = 0  # model calls that wait for their answers
        self._coming: dict[Number, Entry] = {}  # in order
        self._beginnings: dict[Scope, Beginning] = {}  # in order, too
        self._waiting: list[tuple[Number, Scope]] = []
        self._moved = asyncio.Event()
        self._last_move = 0.0
        self._ahead: Scope | None = None  # the branch that was answered last, until it has gone on
        self._ahead_until = 0.0
        self._moves = 0

    @property
    def is_needed(self) -> bool:
        """Whether anything is still to come."""
        return bool(self._coming)

    def expect(self, entries: Iterable[Entry]) -> None:
        """Take in what earlier attempts completed, in order."""
        listed = [each for each in entries if each.kind in ("model", "tool", "run")]
        finished = {each.scope for each in listed if each.kind == "run"}  # answered as a whole, by this one row
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
        """Entries are not to be waited for."""
        if self._coming:
            for each in list(entries):
                if self._coming.pop(each.number, None) is not None:
                    self._will_not_come(each)
            self._moved.set()

    def moved(self, scope: Scope) -> None:
        """A scope was opened, has ended, or asks for something."""
        if self._ahead is not None and _are_one_branch(scope, self._ahead):
            self._moves += 1
            _after_turns(TURNS, partial(self._settled, self._moves))
        if self._coming:
            for each in scope.path() if self._beginnings else ():
                self._beginnings.pop(each, None)
            self._last_move = asyncio.get_running_loop().time()
            self._moved.set()

    async def turn(self, scope: Scope, entry: Entry | None = None) -> None:
        """Wait until it is an answer's turn.

        Args:
            scope: Who is answered.
            entry: What answers; None for an answer that no earlier attempt had.
        """
        number = LAST if entry is None else entry.number
        self.moved(scope)
        while (awaited := self._before(scope, number)) is not None:
            self._waiting.append((number, scope))
            try:
                await self._wait(scope, awaited)
            except asyncio.CancelledError:
                self._moved.set()  # whom it held up is not held up any more
                raise
            finally:
                self._waiting.remove((number, scope))
        self._coming.pop(number, None)
        if self._coming or self.in_flight:  # others may be answered next
            loop = asyncio.get_running_loop()
            self._ahead, self._ahead_until = scope, loop.time() + SETTLE
            self._last_move = loop.time()
        self._moved.set()

    def _before(self, scope: Scope, number: Number) -> "Entry | Beginning | Scope | None":
        """What comes before it: an entry of another branch, its beginning, or the branch that was answered last."""
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
        if number == LAST:  # a model takes its time to answer
            return
        for scope, beginning in self._beginnings.items():
            if scope.began >= number:
                return
            yield beginning

    def _will_begin(self, beginning: Beginning, scope: Scope) -> bool:
        """Whether a scope belongs to a branch beside another, which overlapped with it, and may yet be opened."""
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
        """Whether an earlier entry belongs to a branch beside the scope that overlapped with it, and may yet ask."""
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
        """Whether the branch of an entry waits itself, for something earlier than the entry: its time comes."""
        return any(number <= awaited.number for number, _ in self._waiting_beside(scope, awaited))

    def _give_up(self, scope: Scope, awaited: Entry) -> None:
        """Do not wait for what a branch has left out: all up to the answer that it waits for."""
        _, branch = _branches(scope, awaited.scope)
        next_one = min((number for number, _ in self._waiting_beside(scope, awaited)), default=LAST)
        self._last_move = asyncio.get_running_loop().time()  # whom others wait for may ask now
        within = [each for each in self._coming.values() if branch is None or each.scope.is_within(branch)]
        self.forget([each for each in within if each.number < next_one])

    def _waiting_beside(self, scope: Scope, awaited: Entry) -> list[tuple[Number, Scope]]:
        _, branch = _branches(scope, awaited.scope)
        return [each for each in self._waiting if branch is not None and each[1].is_within(branch)]

    def _settled(self, moves: int) -> None:
        """The branch that is ahead has gone on as far as it can by itself, unless it has moved since."""
        if moves == self._moves:
            self._let_others()

    def _let_others(self) -> None:
        self._ahead = None
        self._moved.set()


def _branches(scope: Scope, other: Scope) -> tuple[Scope | None, Scope | None]:
    """The scopes at which two paths part, each on its own side; None where one path contains the other."""
    mine, theirs = [*scope.path()][::-1], [*other.path()][::-1]
    for one, another in zip(mine, theirs, strict=False):
        if one is not another:
            return one, another
    return None, None


def _are_one_branch(scope: Scope, other: Scope) -> bool:
    return _branches(scope, other) == (None, None)


def _after_turns(turns: int, then: Callable[[], None]) -> None:
    """Call something when the loop has turned so often."""
    loop = asyncio.get_running_loop()
    loop.call_soon(_after_turns, turns - 1, then) if turns else then()
