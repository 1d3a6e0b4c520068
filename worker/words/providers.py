"""Model providers that fail for every caller: reports of failed calls, and the state derived from them."""

from dataclasses import dataclass
from datetime import datetime

from worker.words.records import Words

FAILURES = 3  # consecutive failures across all workers until a provider counts as down
FAILURES_SECONDS = 60.0  # the longest gap between consecutive failures
PROBE_SECONDS = 2.0  # until the first probe; the delay doubles with every further one
LONGEST_PROBE_SECONDS = 120.0
IDLE_SECONDS = 3600.0  # until a provider that is no longer called is forgotten


@dataclass(frozen=True, slots=True)
class ProviderFailure:
    """A failed call and its consequences for the provider.

    Args:
        id: The provider's name with a digest of the key and address used.
        error_code: The kind of error.
        message: The provider's message.
        provider_code: The provider's own name for the error.
        opens: Whether tasks must wait immediately: the quota is used up, or the key is refused.
        wait_seconds: The longest time that tasks wait; None means until a probe succeeds or a person intervenes.
    """

    id: str
    error_code: str
    message: str
    provider_code: str | None = None
    opens: bool = False
    wait_seconds: float | None = None


class ProviderState(Words):
    """A provider whose calls fail.

    ``since`` is None while tasks are still tried as usual; once it is set they wait as ``pending``, without being
    charged a try, and only ``probe_task`` calls the provider. ``ends_at``: when the waiting tasks end as errors.
    """

    id: str
    failures: int
    error_code: str
    provider_code: str | None = None
    message: str
    since: datetime | None = None
    ends_at: datetime | None = None
    probes: int = 0
    probe_at: datetime | None = None
    probe_task: str | None = None
    waiting: int = 0

    @property
    def is_away(self) -> bool:
        """Whether tasks wait for the provider."""
        return self.since is not None
