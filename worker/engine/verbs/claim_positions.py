"""How far into each agent's queue claims have come, so that the next one begins there.

While somebody holds a long snapshot, as a backup does, the index keeps an entry of every task that was claimed since,
and a claim that begins at the front passes all of them. What comes into a queue is due later than what is there, but
for a transaction that was slow to commit. So claims from the front, of all agents, are still made: each time as long as
they are quick, and otherwise so seldom that they take a tenth of the time.
"""

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

QUICK_SECONDS = 0.005  # that a claim from the front may take to be made each time
SHARE = 10  # of the time, one part at the most goes into claims from the front that are not quick
AGAIN_SECONDS = 5.0  # before the next of those, however slow the last one was
LATE = timedelta(seconds=1)  # that a transaction takes from its time to its commit, as a rule

FRONT = "-infinity"


@dataclass(frozen=True, slots=True)
class Look:
    """One claim.

    Args:
        is_whole: Whether it begins at the front of every queue.
        begun: When, by ``time.monotonic()``.
    """

    is_whole: bool
    begun: float


class ClaimPositions:
    """Of one process, for one organization."""

    def __init__(self) -> None:
        self._marks: dict[str, datetime] = {}
        self._whole_at = 0.0

    def look(self) -> Look:
        """Begin a claim."""
        begun = time.monotonic()
        return Look(is_whole=begun >= self._whole_at, begun=begun)

    def since(self, look: Look, agents: Iterable[str]) -> list[str]:
        """From where on tasks of these agents are looked for."""
        marks = {} if look.is_whole else self._marks
        return [str(marks[agent] - LATE) if agent in marks else FRONT for agent in agents]

    def known(self, but: Iterable[str]) -> list[str]:
        """Agents of whom something was claimed since the last claim that was whole, but for these."""
        return sorted(self._marks.keys() - set(but))

    def took(self, look: Look, rows: Iterable[Mapping[str, Any]]) -> None:
        """Take in what a claim has found."""
        if look.is_whole:
            seconds = time.monotonic() - look.begun
            wait = 0.0 if seconds <= QUICK_SECONDS else min(seconds * SHARE, AGAIN_SECONDS)
            self._whole_at = time.monotonic() + wait
            self._marks.clear()
        for row in rows:
            agent, due = row["agent_id"], row["available_at"]
            self._marks[agent] = max(due, self._marks.get(agent, due))
