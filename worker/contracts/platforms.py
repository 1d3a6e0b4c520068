"""A place where tasks live, and what it can do."""

from dataclasses import dataclass
from typing import Protocol

from worker.contracts.clients import Tasks
from worker.contracts.deliveries import Deliveries
from worker.contracts.keys import KeyAdmin
from worker.contracts.knowledge import Knowledge
from worker.contracts.workers import Work


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a platform can do; what it cannot is refused by name, never faked.

    Args:
        fencing: A stale attempt's write is refused.
        resume: Journals are kept, so a retry does not repeat completed calls.
        deliveries: ``exact`` (at least once across the fleet, in order) or ``best effort``.
        isolation: Tasks whose worker died are counted, so that those it may have died of can be run apart.
        knowledge: There are knowledge bases.
        keeps_files: What a task's files held when they were first read is kept for later attempts.
    """

    fencing: bool = True
    resume: bool = True
    deliveries: str = "exact"
    isolation: bool = True
    keeps_files: bool = True
    knowledge: bool = True


class Platform(Protocol):
    """A place where tasks live."""

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
        """Deliveries that failed."""
        ...

    @property
    def knowledge(self) -> Knowledge:
        """The verbs of knowledge bases."""
        ...

    @property
    def keys(self) -> KeyAdmin:
        """Keys of its server."""
        ...

    @property
    def capabilities(self) -> Capabilities:
        """What it can do."""
        ...

    @property
    def description(self) -> str:
        """Where it is, for people; no secret in it."""
        ...

    def another(self) -> "Platform":
        """Another way to the same place, not open yet: with connections, and maybe a worker, of its own."""
        ...

    async def open(self) -> None:
        """Connect. Raises: Unavailable, ConfigurationError."""
        ...

    async def close(self) -> None:
        """Let go of every connection; idempotent."""
        ...
