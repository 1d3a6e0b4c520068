"""Limits of the whole process that a handler has lowered for itself, and with which nothing else could go on.

With a lower limit on open files the worker loses its database, with one on memory it can start no thread.
"""

import sys
from contextlib import suppress

from worker.words.loop_notices import LimitsLowered
from worker.words.notices import announce

if sys.platform != "win32":
    import resource

RESOURCES = ("RLIMIT_AS", "RLIMIT_CPU", "RLIMIT_DATA", "RLIMIT_FSIZE", "RLIMIT_NOFILE", "RLIMIT_NPROC", "RLIMIT_STACK")
UNLIMITED = 2**64

Limits = dict[str, tuple[int, int]]
"""Soft and hard limits by name."""

_former: Limits = {}


def remember() -> None:
    """Note the limits before the first handler is called: what modules and boot hooks have set is meant to last."""
    if not _former:
        _former.update(_limits())


def restore() -> None:
    """Raise the limits that were lowered since, as far as the process may; higher ones are left alone."""
    raised = [name for name, now in _limits().items() if name in _former and _raise(name, now, _former[name])]
    if raised:
        announce(LimitsLowered(tuple(raised)))


def _limits() -> Limits:
    found: Limits = {"recursion": (sys.getrecursionlimit(), UNLIMITED)}
    if sys.platform != "win32":
        for name in RESOURCES:
            if hasattr(resource, name):
                soft, hard = resource.getrlimit(getattr(resource, name))
                found[name] = (_amount(soft), _amount(hard))
    return found


def _amount(limit: int) -> int:
    return UNLIMITED if limit < 0 else limit


def _raise(name: str, now: tuple[int, int], former: tuple[int, int]) -> bool:
    """Return whether a limit was lower than before, and has been raised."""
    if now[0] >= former[0]:
        return False
    if name == "recursion":
        sys.setrecursionlimit(former[0])
        return True
    for soft, hard in (former, (min(former[0], now[1]), now[1])):  # only root may raise a hard limit
        if soft > now[0] and sys.platform != "win32":
            with suppress(OSError, ValueError):
                resource.setrlimit(getattr(resource, name), (_given(soft), _given(hard)))
                return True
    return False


def _given(amount: int) -> int:
    return -1 if amount >= UNLIMITED else amount
