"""Protection of the process that a worker shares with its handlers: changes that break it are undone.

With a lower limit on open files the worker loses its database, with one on memory it can start no thread. Without its
first ``asyncio``, whatever imports it later fails, since its parts cannot be put together a second time.
"""

import sys
from contextlib import suppress

from worker.supervisor import shared_parts
from worker.words.loop_notices import LimitsLowered, PartsReplaced
from worker.words.notices import announce

if sys.platform != "win32":
    import resource

RESOURCES = ("RLIMIT_AS", "RLIMIT_CPU", "RLIMIT_DATA", "RLIMIT_FSIZE", "RLIMIT_NOFILE", "RLIMIT_NPROC", "RLIMIT_STACK")
UNLIMITED = 2**64
MODULES = ("asyncio", "concurrent.futures", "json", "logging", "selectors", "socket", "ssl", "threading")

Limits = dict[str, tuple[int, int]]
"""Soft and hard limits by name."""

_former: Limits = {}
_modules = {name: sys.modules[name] for name in MODULES if name in sys.modules}


def remember() -> None:
    """Note the limits before the first handler is called: the settings of modules and boot hooks are permanent."""
    if not _former:
        _former.update(_limits())


def restore() -> None:
    """Restore removed modules, broken parts and lowered limits; raised limits are left alone."""
    for name, module in _modules.items():
        if sys.modules.get(name) is not module:
            sys.modules[name] = module
    replaced = shared_parts.restore()
    if replaced:
        announce(PartsReplaced(replaced))
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
