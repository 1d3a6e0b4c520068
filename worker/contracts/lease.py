"""A worker's lease by its own clock. A worker that is cut off ends its runs before others may claim their tasks."""

import math
import time

REMOTE_SECONDS = 6.0
"""The longest lease of a remote worker, which is dead once its stream is closed and it has missed three heartbeats."""

_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
"""CLOCK_BOOTTIME keeps running while a machine sleeps, but not every system has it."""


def now() -> float:
    """Return seconds on a clock that cannot be set, counted from an arbitrary moment."""
    return time.clock_gettime(_CLOCK)


class OwnLease:
    """Until when a worker certainly owns what it has claimed. May be read on any thread.

    The lease never expires before its first renewal.
    """

    def __init__(self) -> None:
        self._until = math.inf
        self._lapsed = -math.inf  # when the lease was last found expired

    def renewed(self, asked: float, seconds: float) -> None:
        """Extend the lease.

        Args:
            asked: ``now()`` just before the renewal request was sent; the lease is valid from that moment at least.
            seconds: Length of the lease.
        """
        self._look(asked)
        self._until = asked + seconds

    def end(self) -> None:
        """End the lease: the worker holds nothing that could be lost."""
        self._until = math.inf

    def holds(self, since: float) -> bool:
        """Return whether the lease has been valid ever since a claim at ``since``, as returned by ``now()``."""
        self._look(now())
        return since > self._lapsed

    def _look(self, at: float) -> None:
        if at > self._until:
            self._lapsed = max(self._lapsed, at)
