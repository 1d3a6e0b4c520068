"""Providers of models that fail for everybody: what a failed call tells of one, and what is told of it."""

from dataclasses import dataclass
from datetime import datetime

from worker.words.records import Words

FAILURES = 3  # in a row, of all workers, until a provider counts as away
FAILURES_SECONDS = 60.0  # within which the next has to follow
PROBE_SECONDS = 2.0  # until the first probe; every other waits twice as long
LONGEST_PROBE_SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class ProviderFailure:
    """A failed call, as far as it tells of its provider.

    Args:
        id: The provider, with a digest of the key and address that it is asked with.
        error_code: What it failed of.
        message: The provider's message.
        provider_code: What the provider calls it.
        opens: Whether tasks are to wait from now on: its quota is used up, its key is refused.
        wait_seconds: How long tasks wait at the most; None means until a probe or a person says otherwise.
    """

    id: str
    error_code: str
    message: str
    provider_code: str | None = None
    opens: bool = False
    wait_seconds: float | None = None


class ProviderState(Words):
    """A provider whose calls fail.

    ``since`` is none as long as its tasks are tried as usual; from then on they wait as ``pending``, without using up a
    try, and ``probe_task`` alone asks it. ``ends_at``: when those that wait end as errors.
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
        """Whether tasks wait for it."""
        return self.since is not None
