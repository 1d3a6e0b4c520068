"""The protocol of a platform, where tasks live, and its capabilities."""

from dataclasses import dataclass
from typing import Protocol

from worker.contracts.clients import Tasks
from worker.contracts.deliveries import Deliveries
from worker.contracts.keys import KeyAdmin
from worker.contracts.knowledge import Knowledge
from worker.contracts.workers import Work


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a platform can do. It refuses anything else by name, rather than fake it.

    Args:
        fencing: Writes of stale attempts are refused.
        resume: Journals are kept, so a retry does not repeat completed calls.
        deliveries: ``exact`` (at least once across the fleet, in order) or ``best effort``.
        isolation: Deaths of workers are counted by task, so that suspects can be run in isolation.
        keeps_files: The content of a task's URLs, when first read, is stored for later attempts.
        knowledge: There are knowledge bases.
    """

    fencing: bool = True
    resume: bool = True
    deliveries: str = "exact"
    isolation: bool = True
    keeps_files: bool = True
    knowledge: bool = True


class Platform(Protocol):
    """A platform, where tasks live."""

    @property
    def tasks(self) -> Tasks:
        """The verbs of clients."""
        ...

    @property
    def work(self) -> Work:
        """The verbs of workers."""
        ...

    @property
    def deliveries(self) -> Deliveries:
        """The verbs of failed deliveries."""
        ...

    @property
    def knowledge(self) -> Knowledge:
        """The verbs of knowledge bases."""
        ...

    @property
    def keys(self) -> KeyAdmin:
        """The keys of the platform's server."""
        ...

    @property
    def capabilities(self) -> Capabilities:
        """What the platform can do."""
        ...

    @property
    def description(self) -> str:
        """Where the platform is, for people; contains no secrets."""
        ...

    def another(self) -> "Platform":
        """Return another unopened client of this platform, with connections and possibly a worker of its own."""
        ...

    async def open(self) -> None:
        """Connect.

        Raises:
            Unavailable: The platform cannot be reached.
            ConfigurationError: The configuration is invalid.
        """
        ...

    async def close(self) -> None:
        """Close all connections. Idempotent."""
        ...
