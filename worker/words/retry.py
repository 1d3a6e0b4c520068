"""Retry policies: how many tries there are, and the delay between them."""

import random
from dataclasses import dataclass

SUSPICIONS = 2  # promise 10: after its worker has died twice, a task runs alone in its own process
CRASHES = 3  # the third death of that process fails the task
MAX_SUSPICIONS = 20  # a task that so many workers died of, isolation notwithstanding, must not continue forever

MAX_DOUBLINGS = 62  # of a delay: more would overflow, and every delay reaches its cap before


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often a handler is tried, and the delay between tries.

    Delays of tasks have full jitter. Delays of deliveries stay within a fifth of the values given here, since these
    promise for how long a receiver may be down.

    Args:
        attempts: Total number of tries, the first included.
        base: Maximum seconds before the second try; the delay doubles with every further try.
        cap: The longest delay in seconds.
    """

    attempts: int = 3
    base: float = 1.0
    cap: float = 60.0

    def delay(self, errors: int) -> float:
        """Return the seconds to wait after failed tries: exponential back-off, with full jitter to spread retries out.

        Args:
            errors: The number of failed tries so far, 1 or more.
        """
        return random.uniform(0, min(self.cap, self.base * 2 ** min(errors - 1, MAX_DOUBLINGS)))  # noqa: S311 - jitter, not a secret


DELIVERY_RETRIES = RetryPolicy(attempts=10, base=1.0, cap=3600.0)
"""The default policy for events whose handler raises; when it is exhausted, the delivery is set aside."""
