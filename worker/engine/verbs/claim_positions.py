"""The position that claims have reached in each agent's queue, at which the next claim begins.

While a long snapshot is held, as by a backup, the index keeps an entry of every task claimed since, and a claim that
begins at the front passes all of them. A new task in a queue is due later than the existing ones, unless its
transaction was slow to commit. So claims from the front, of all agents, are still made: always if they are quick, and
otherwise so rarely that they take a tenth of the time.
"""

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from worker.engine.timings import EngineTimings

SHARE = 10  # slow claims from the front take at most one part in ten of the time

FRONT = "-infinity"


@dataclass(frozen=True, slots=True)
class ClaimScan:
    """One claim.

    Args:
        is_whole: Whether it begins at the front of every queue.
        begun: Its start, by ``time.monotonic()``.
    """

    is_full: bool
    begun: float


class ClaimPositions:
    """The positions of one process's claims, for one organization."""

    def __init__(self, timings: EngineTimings) -> None:
        self._quick = timings.quick_claim
        self._least, self._longest = timings.front_claims
        self._late = timedelta(seconds=timings.late_commit)
        self._marks: dict[str, datetime] = {}
        self._whole_at = 0.0

    def scan(self) -> ClaimScan:
        """Begin a claim."""
        begun = time.monotonic()
        return ClaimScan(is_full=begun >= self._whole_at, begun=begun)

    def since(self, scan: ClaimScan, agents: Iterable[str]) -> list[str]:
        """Return the times from which on due tasks of these agents are searched."""
        marks = {} if scan.is_full else self._marks
        return [str(marks[agent] - self._late) if agent in marks else FRONT for agent in agents]

    def recent_agents(self, but: Iterable[str]) -> list[str]:
        """Return the agents with tasks claimed since the last claim from the front, except for the given ones."""
        return sorted(self._marks.keys() - set(but))

    def record(self, scan: ClaimScan, rows: Iterable[Mapping[str, Any]]) -> None:
        """Update the positions by the result of a claim."""
        if scan.is_full:
            seconds = time.monotonic() - scan.begun
            wait = 0.0 if seconds <= self._quick else min(max(seconds * SHARE, self._least), self._longest)
            self._whole_at = time.monotonic() + wait
            self._marks.clear()
        for row in rows:
            agent, due = row["agent_id"], row["available_at"]
            self._marks[agent] = max(due, self._marks.get(agent, due))
