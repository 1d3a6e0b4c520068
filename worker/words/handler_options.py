"""The options of a handler and their validation. Each check raises a ConfigurationError that names the option."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from difflib import get_close_matches
from functools import partial
from typing import Any, Literal, TypedDict, get_args

from worker.words.conversations import MODES, Mode
from worker.words.errors import ConfigurationError
from worker.words.requests import Unanswered
from worker.words.retry import DELIVERY_RETRIES, RetryPolicy
from worker.words.statuses import BINDABLE, TaskUpdateEventType

Incomplete = Literal["accept", "retry", "error"]


class HandlerOptions(TypedDict, total=False):
    """The options of a handler, which ``on`` describes."""

    timeout: float | None
    retries: int | RetryPolicy | None
    concurrency: int | None
    incomplete: Incomplete | None
    required: bool
    model_silence: float | None
    answer_within: timedelta | float | None
    unanswered: Unanswered | None
    conversation: Mode | None


def checked(options: HandlerOptions, event_type: TaskUpdateEventType | str) -> dict[str, Any]:
    """Validate options and return them in the form that a ``Handler`` stores.

    Args:
        options: The options as given to a decorator.
        event_type: The event that the handler is bound to, which decides the default number of tries.

    Raises:
        ConfigurationError: An option has an invalid value.
        TypeError: There is no such option.
    """
    for name in options:
        if name not in CHECKS:
            raise TypeError(f"unknown handler option {name!r}; the options are {', '.join(CHECKS)}")
    values = {name: CHECKS[name](value, name) for name, value in options.items()}
    return {**values, "retries": policy_of(options.get("retries"), event_type)}


def event_type_of(value: TaskUpdateEventType | str) -> TaskUpdateEventType:
    """Return the event type of this name if a handler can be bound to it."""
    if value in BINDABLE:
        return TaskUpdateEventType(value)
    near = get_close_matches(str(value), [str(each) for each in BINDABLE], n=1)
    hint = f"; did you mean {near[0]!r}?" if near else f"; use one of {', '.join(BINDABLE)}"
    raise ConfigurationError(f"no handler can be registered for {str(value)!r}{hint}")


def positive(value: Any, name: str) -> Any:
    """Return the value if it is a number above 0 or None."""
    if value is None or (isinstance(value, int | float) and not isinstance(value, bool) and value > 0):
        return value
    raise ConfigurationError(f"{name} must be a number above 0, not {value!r}")


def seconds(value: Any, name: str) -> Any:
    """Return a positive duration in seconds, given as a timedelta or a number; or None."""
    return positive(value.total_seconds() if isinstance(value, timedelta) else value, name)


def one_of(known: Sequence[str], value: Any, name: str) -> Any:
    """Return the value if it is one of the known values or None."""
    if value is None or value in known:
        return value
    raise ConfigurationError(f"{name} must be one of {', '.join(known)}, not {value!r}")


def yes_or_no(value: Any, name: str) -> bool:
    """Return the value if it is True or False."""
    if isinstance(value, bool):
        return value
    raise ConfigurationError(f"{name} must be True or False, not {value!r}")


def whole(value: Any, name: str) -> Any:
    """Return the value if it is a whole number above 0 or None."""
    if isinstance(value, float):
        raise ConfigurationError(f"{name} must be a whole number, not {value!r}")
    return positive(value, name)


def policy_of(retries: int | RetryPolicy | None, event_type: TaskUpdateEventType | str) -> RetryPolicy:
    """Return the retry policy of a handler: its own, or the default for the event type."""
    usual = RetryPolicy() if event_type == TaskUpdateEventType.TaskCreated else DELIVERY_RETRIES
    if retries is None:
        return usual
    if isinstance(retries, RetryPolicy):
        whole(retries.attempts, "retries.attempts")
        positive(retries.base, "retries.base")
        positive(retries.cap, "retries.cap")
        return retries
    return replace(usual, attempts=whole(retries, "retries"))


def _as_is(value: Any, _name: str) -> Any:
    return value


CHECKS: dict[str, Callable[[Any, str], Any]] = {
    "timeout": positive,
    "retries": _as_is,
    "concurrency": whole,
    "incomplete": partial(one_of, get_args(Incomplete)),
    "required": yes_or_no,
    "model_silence": positive,
    "answer_within": seconds,
    "unanswered": partial(one_of, get_args(Unanswered)),
    "conversation": partial(one_of, MODES),
}
"""The check for each option."""
