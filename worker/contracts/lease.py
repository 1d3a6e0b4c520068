"""A worker's lease by its own clock: whoever is cut off ends what it holds when others may take it, and asks nobody."""

import math
import time

REMOTE_SECONDS = 6.0
"""A remote worker's lease at the longest: it is dead when its stream is gone and three heartbeats are missed."""

_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
"""The first goes on while a machine sleeps; not every system has it."""


def now() -> float:
    """Seconds by a clock that nobody sets, from some moment on."""
    return time.clock_gettime(_CLOCK)


class OwnLease:
    """Until when a worker surely owns what it has claimed. Asked on any thread; without a renewal it never ends."""

    def __init__(self) -> None:
        self._until = math.inf
        self._lapsed = -math.inf  # when it was last known to have run out

    def renewed(self, asked: float, seconds: float) -> None:
        """Hold on to it.

        Args:
            asked: ``now()`` before the renewal was sent that has been answered: it held from then on at the least.
            seconds: For how long.
        """
        self._look(asked)
        self._until = asked + seconds

    def end(self) -> None:
        """Hold nothing any more that could be lost."""
        self._until = math.inf

    def holds(self, since: float) -> bool:
        """Whether what was claimed at a moment, by ``now()``, has been held ever since."""
        self._look(now())
        return since > self._lapsed

    def _look(self, at: float) -> None:
        if at > self._until:
            self._lapsed = max(self._lapsed, at)
