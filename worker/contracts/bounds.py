"""How long a client's call may take, all that it asks for together, whatever state the platform is in."""

import functools
import time
from collections.abc import Callable, Coroutine
from contextvars import ContextVar
from typing import Any, TypeVar, cast

CALL_SECONDS = 10.0
"""What a client's call may take (design: promise 12)."""

Verb = TypeVar("Verb", bound=Callable[..., Coroutine[Any, Any, Any]])

_until: ContextVar[float | None] = ContextVar("until", default=None)


def left() -> float | None:
    """Seconds that are left of the client's call in hand; None means there is none."""
    until = _until.get()
    return None if until is None else until - time.monotonic()


def remaining() -> float:
    """Seconds that are left of the call in hand; of none, as many as a call has."""
    seconds = left()
    return CALL_SECONDS if seconds is None else seconds


def bounded(verb: Verb) -> Verb:
    """Have all that a client's call asks for share one bound; what carries a live attempt has none."""

    @functools.wraps(verb)
    async def within(*arguments: Any, **options: Any) -> Any:
        if _until.get() is not None or options.get("attempt") is not None:  # a live attempt waits
            return await verb(*arguments, **options)
        token = _until.set(time.monotonic() + CALL_SECONDS)
        try:
            return await verb(*arguments, **options)
        finally:
            _until.reset(token)

    return cast("Verb", within)
