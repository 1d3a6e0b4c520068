"""Which errors are worth another try, and when."""

import random
import time
from collections.abc import Iterable
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from math import isfinite

RETRYABLE_CODES = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 529})
"""Answers that may be different next time; every other 4xx is final."""

SUSPICIONS = 2  # promise 10: from the second death of its worker on a task runs alone in a process of its own
CRASHES = 3  # the third death of that process ends the task as failed
MOST_SUSPICIONS = 20  # whatever ends so many workers, though it runs apart from them, must not go on for ever

RETRY_AFTER_SECONDS = 300.0  # a server's Retry-After is obeyed up to 5 minutes

FINAL_PHRASES = (
    "insufficient_quota",
    "insufficient quota",
    "exceeded your current quota, please check your plan",
    "credit balance is too low",
)
"""A provider's way to say 429 and mean never."""

WRAPPERS = frozenset({"ModelProviderError"})
"""What Agno makes of whatever its model raised, with 502 where that says nothing: what it was raised from decides."""

CONNECTION_ERRORS = frozenset(
    {
        "APIConnectionError",
        "APITimeoutError",
        "ConnectError",
        "ConnectTimeout",
        "PoolTimeout",
        "ReadError",
        "ReadTimeout",
        "RemoteProtocolError",
        "WriteError",
        "WriteTimeout",
        "gaierror",
    }
)
"""Broken connections of the clients we meet (httpx and the model providers'), by class name: they are not imported."""


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often a handler is tried, and how long to wait between.

    Of a task the waits have full jitter; of a delivery they are within a fifth of what is said here, since it is said
    for how long a receiver may be away.

    Args:
        attempts: Tries in all, the first included.
        base: Seconds before the second try, at most; it doubles with every try.
        cap: Seconds that a wait never exceeds.
    """

    attempts: int = 3
    base: float = 1.0
    cap: float = 60.0

    def delay(self, errors: int) -> float:
        """Seconds to wait after so many failed tries: exponential, with full jitter so that tries do not march in step.

        Args:
            errors: Failed tries so far, 1 or more.
        """
        return random.uniform(0, min(self.cap, self.base * 2 ** (errors - 1)))  # noqa: S311 - jitter, not a secret


DELIVERY_RETRIES = RetryPolicy(attempts=10, base=1.0, cap=3600.0)
"""How often an event is delivered to a handler that raises, unless it says otherwise; then it is set aside."""


def is_retryable(error: BaseException) -> bool:
    """Decide whether an error is worth another try: a property of the error, decided by one table.

    Args:
        error: What was raised; its causes are looked at too.
    """
    if any(phrase in str(each).lower() for each in causes(error) for phrase in FINAL_PHRASES):
        return False
    decisive = deciding(error)
    if decisive is None:
        return False
    code = code_of(decisive)
    return code is None or code in RETRYABLE_CODES or code >= 500  # noqa: PLR2004 - HTTP: the server's fault


def deciding(error: BaseException) -> BaseException | None:
    """The outermost among an error and its causes that has an HTTP status or is a broken connection; none: a defect."""
    for each in causes(error):
        if type(each).__name__ in WRAPPERS and _origin(each) is not None:
            continue
        if code_of(each) is not None or _is_broken_connection(each):
            return each
    return None


def code_of(error: BaseException) -> int | None:
    """The HTTP status that an exception carries, if it is one of an error."""
    code = getattr(error, "status_code", None)
    return code if isinstance(code, int) and code >= 400 else None  # noqa: PLR2004 - HTTP's own line between success and error


def _is_broken_connection(error: BaseException) -> bool:
    return isinstance(error, ConnectionError | TimeoutError) or type(error).__name__ in CONNECTION_ERRORS


def retry_after(error: BaseException) -> float | None:
    """Seconds that the other side asked us to wait, if it did; at most five minutes."""
    for each in causes(error):
        asked = getattr(each, "retry_after", None)
        headers = getattr(getattr(each, "response", None), "headers", None)
        if asked is None and headers is not None:
            asked = headers.get("retry-after") or headers.get("Retry-After")
        seconds = None if asked is None else _seconds(asked)
        if seconds is not None:
            return max(0.0, min(seconds, RETRY_AFTER_SECONDS))
    return None


def _seconds(asked: object) -> float | None:
    """What a Retry-After says: seconds, or a date, by this machine's clock."""
    text = str(asked)
    try:
        seconds = float(text)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(text).timestamp() - time.time()
        except (ValueError, OverflowError):
            return None
    return seconds if isfinite(seconds) else None


def causes(error: BaseException) -> Iterable[BaseException]:
    """Walk from an error to what it was raised from, once each; ``from None`` ends the walk."""
    seen: set[int] = set()
    each: BaseException | None = error
    while each is not None and id(each) not in seen:
        seen.add(id(each))
        yield each
        each = _origin(each)


def _origin(error: BaseException) -> BaseException | None:
    """What an error was raised from; Agno raises some from themselves, which hides nothing."""
    if error.__cause__ is error:
        return error.__context__
    return error.__cause__ or (None if error.__suppress_context__ else error.__context__)
