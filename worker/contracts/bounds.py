"""A time limit on a client's call, shared by everything that the call requests, whatever state the platform is in."""

import functools
import time
from collections.abc import Callable, Coroutine
from contextvars import ContextVar
from typing import Any, TypeVar, cast

CALL_SECONDS = 10.0
"""Time limit of a client's call (design: promise 12)."""

Verb = TypeVar("Verb", bound=Callable[..., Coroutine[Any, Any, Any]])

_until: ContextVar[float | None] = ContextVar("until", default=None)


def left() -> float | None:
    """Return the seconds left of the current client's call; None if there is none."""
    until = _until.get()
    return None if until is None else until - time.monotonic()


def remaining() -> float:
    """Return the seconds left of the current client's call; without one, the full time limit."""
    seconds = left()
    return CALL_SECONDS if seconds is None else seconds


def bounded(verb: Verb) -> Verb:
    """Make everything that a client's call requests share one time limit. Calls that carry a live attempt have none."""

    @functools.wraps(verb)
    async def within(*arguments: Any, **options: Any) -> Any:
        if _until.get() is not None or options.get("attempt") is not None:  # a live attempt waits without limit
            return await verb(*arguments, **options)
        token = _until.set(time.monotonic() + CALL_SECONDS)
        try:
            return await verb(*arguments, **options)
        finally:
            _until.reset(token)

    return cast("Verb", within)
