"""What the options of a handler may be. Each function raises ConfigurationError, which names the option."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from difflib import get_close_matches
from typing import Any

from worker.words.errors import ConfigurationError
from worker.words.retry import DELIVERY_RETRIES, RetryPolicy
from worker.words.statuses import BINDABLE, TaskUpdateEventType


def event_type_of(value: TaskUpdateEventType | str) -> TaskUpdateEventType:
    """Return the event type that a handler may be bound to."""
    if value in BINDABLE:
        return TaskUpdateEventType(value)
    near = get_close_matches(str(value), [str(each) for each in BINDABLE], n=1)
    hint = f"; did you mean {near[0]!r}?" if near else f": one of {', '.join(BINDABLE)}"
    raise ConfigurationError(f"no handler can be bound to {str(value)!r}{hint}")


def positive(value: Any, name: str) -> Any:
    """Return a number above 0, or None."""
    if value is None or (isinstance(value, int | float) and not isinstance(value, bool) and value > 0):
        return value
    raise ConfigurationError(f"{name} must be a number above 0, not {value!r}")


def seconds_of(value: Any) -> Any:
    """Return seconds, of a timedelta too."""
    return value.total_seconds() if isinstance(value, timedelta) else value


def one_of(value: Any, known: Sequence[str], name: str) -> Any:
    """Return one of the known values, or None."""
    if value is None or value in known:
        return value
    raise ConfigurationError(f"{name} must be one of {', '.join(known)}, not {value!r}")


def yes_or_no(value: Any, name: str) -> bool:
    """Return True or False."""
    if isinstance(value, bool):
        return value
    raise ConfigurationError(f"{name} must be True or False, not {value!r}")


def whole(value: Any, name: str) -> Any:
    """Return a whole number above 0, or None."""
    if isinstance(value, float):
        raise ConfigurationError(f"{name} must be a whole number, not {value!r}")
    return positive(value, name)


def policy_of(retries: int | RetryPolicy | None, event_type: TaskUpdateEventType | str) -> RetryPolicy:
    """Return how often, and after how long, what failed is tried again."""
    usual = RetryPolicy() if event_type == TaskUpdateEventType.TaskCreated else DELIVERY_RETRIES
    if retries is None:
        return usual
    if isinstance(retries, RetryPolicy):
        whole(retries.attempts, "retries.attempts")
        positive(retries.base, "retries.base")
        positive(retries.cap, "retries.cap")
        return retries
    return replace(usual, attempts=whole(retries, "retries"))
