"""Which errors are worth another try, and when."""

import random
from collections.abc import Iterable
from dataclasses import dataclass

RETRYABLE_CODES = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 529})
"""Answers that may be different next time; every other 4xx is final."""

SUSPICIONS = 2  # promise 10: from the second death of its worker on a task runs alone in a process of its own
CRASHES = 3  # the third death of that process ends the task as failed
MOST_SUSPICIONS = 20  # whatever ends so many workers, though it runs apart from them, must not go on for ever

RETRY_AFTER_SECONDS = 300.0  # a server's Retry-After is obeyed up to 5 minutes

FINAL_PHRASES = ("insufficient_quota", "insufficient quota", "credit balance is too low")
"""A provider's way to say 429 and mean never."""

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
    for each in causes(error):
        code = getattr(each, "status_code", None)
        if isinstance(code, int) and code >= 400:  # noqa: PLR2004 - HTTP's own line between success and error
            text = str(each).lower()
            return (code in RETRYABLE_CODES or code >= 500) and not any(p in text for p in FINAL_PHRASES)  # noqa: PLR2004 - HTTP: the server's fault
        if isinstance(each, ConnectionError | TimeoutError) or type(each).__name__ in CONNECTION_ERRORS:
            return True
    return False


def retry_after(error: BaseException) -> float | None:
    """Seconds that the other side asked us to wait, if it did; at most five minutes."""
    for each in causes(error):
        asked = getattr(each, "retry_after", None)
        headers = getattr(getattr(each, "response", None), "headers", None)
        if asked is None and headers is not None:
            asked = headers.get("retry-after")
        try:
            if asked is not None:
                return max(0.0, min(float(asked), RETRY_AFTER_SECONDS))
        except (TypeError, ValueError):
            continue
    return None


def causes(error: BaseException) -> Iterable[BaseException]:
    """Walk from an error to what it was raised from, once each."""
    seen: set[int] = set()
    each: BaseException | None = error
    while each is not None and id(each) not in seen:
        seen.add(id(each))
        yield each
        each = each.__cause__ or each.__context__
