"""Statistics of an organization's tasks, for dashboards and alerts."""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable


@dataclass(frozen=True, slots=True)
class AgentStats:
    """Statistics of an agent's unfinished tasks.

    Args:
        pending: Pending tasks, counted up to 100,000, the limit of a server's queue.
        due: The pending tasks that could start now; the others wait, for example for a retry.
        oldest_seconds: How long the oldest of the due tasks has been due.
    """

    agent_id: str
    pending: int = 0
    due: int = 0
    oldest_seconds: float = 0.0
    executing: int = 0
    paused: int = 0


@dataclass(frozen=True, slots=True)
class Stats:
    """Statistics of an organization's unfinished work.

    Args:
        workers: Live workers.
        deliveries_due: (subscription, task) pairs with an event to deliver, counted up to 100,000.
        deliveries_failing: The due pairs whose last try failed.
        deliveries_set_aside: Dead letters, counted up to 100,000.
        providers_away: Unavailable model providers that tasks wait for.
    """

    agents: tuple[AgentStats, ...]
    workers: int = 0
    deliveries_due: int = 0
    deliveries_failing: int = 0
    deliveries_set_aside: int = 0
    providers_away: int = 0


@runtime_checkable
class Countable(Protocol):
    """A platform that can count its tasks. A remote platform leaves that to its server."""

    async def stats(self) -> Stats:
        """Return statistics. The cost does not depend on the number of finished tasks."""
        ...
