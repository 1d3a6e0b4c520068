"""How often something is tried, and how long is waited between."""

import random
from dataclasses import dataclass

from worker.words.classification import classify

SUSPICIONS = 2  # promise 10: from the second death of its worker on a task runs alone in a process of its own
CRASHES = 3  # the third death of that process ends the task as failed
MOST_SUSPICIONS = 20  # whatever ends so many workers, though it runs apart from them, must not go on for ever

MOST_DOUBLINGS = 62  # of a wait: more would overflow, and by then every wait is at its cap


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
        return random.uniform(0, min(self.cap, self.base * 2 ** min(errors - 1, MOST_DOUBLINGS)))  # noqa: S311 - jitter, not a secret


DELIVERY_RETRIES = RetryPolicy(attempts=10, base=1.0, cap=3600.0)
"""How often an event is delivered to a handler that raises, unless it says otherwise; then it is set aside."""


def is_retryable(error: BaseException) -> bool:
    """Decide whether an error is worth another try: a property of the error, decided by one table.

    Args:
        error: What was raised; its causes are looked at too.
    """
    return classify(error).is_retryable


def retry_after(error: BaseException) -> float | None:
    """Seconds that the other side asked us to wait, if it did; at most a day."""
    return classify(error).wait
