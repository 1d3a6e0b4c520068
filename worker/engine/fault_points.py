"""Fault points: places at which a test makes this process die, as by ``kill -9``. Off, each costs one comparison.

``WORKER_FAULT`` sets one: ``write.logged`` for the first time that the place is reached, ``write.logged:Finish`` for
the first time that such a change is among those written, ``write.logged:Finish:3`` for the third time, and
``write.logged:Finish:3:STOP`` to be frozen there instead of killed.
"""

import os
import signal
from collections.abc import Iterable
from dataclasses import dataclass

VARIABLE = "WORKER_FAULT"

CLAIM = ("claim.asked", "claim.committed")
WRITE = (
    "write.begun",
    "write.locked",
    "write.decided",
    "write.updated",
    "write.journaled",
    "write.logged",
    "write.sent",
    "write.committed",
    "write.announced",
)
KNOWN = ("known.decided", "known.committed")
"""Points of a run's writes to its own task by one statement; if a point of ``WRITE`` is set, they lock rows instead."""

POINTS = CLAIM + KNOWN + WRITE
"""All points, in the order in which a claim and then a write reach them."""


@dataclass(slots=True)
class Fault:
    """The fault point that a test has set.

    Args:
        point: The place.
        kind: The name of a change's class that must be among those written; empty for any.
        left: How often the place must still be reached.
        sends: The signal that the process sends to itself.
    """

    point: str
    kind: str = ""
    left: int = 1
    sends: signal.Signals = signal.SIGKILL

    @classmethod
    def read(cls, text: str) -> "Fault":
        """Parse ``point[:kind[:times[:signal]]]``; raise ValueError for an unknown point."""
        point, kind, times, name = [*text.split(":"), "", "", ""][:4]
        if point not in POINTS:
            raise ValueError(f"{VARIABLE}: unknown fault point {point!r}; the fault points are {', '.join(POINTS)}")
        return cls(point, kind, int(times or 1), signal.Signals[f"SIG{name or 'KILL'}"])

    def reached(self, point: str, kinds: Iterable[object]) -> bool:
        """Return whether the process must die now, after counting this visit if it matches."""
        if point != self.point or (self.kind and self.kind not in {type(each).__name__ for each in kinds}):
            return False
        self.left -= 1
        return self.left == 0


def needs_locked_write() -> bool:
    """Return whether a point is set that only writes which read their rows first can reach."""
    return _requested is not None and _requested.point in WRITE


_requested = Fault.read(os.environ[VARIABLE]) if os.environ.get(VARIABLE) else None


def fault(point: str, writing: Iterable[object] = ()) -> None:
    """Die here, if a test requests it.

    Args:
        point: The place, one of ``POINTS``.
        writing: The changes that are being written.
    """
    if _requested is not None and _requested.reached(point, writing):
        os.kill(os.getpid(), _requested.sends)
