"""How the tasks of an organization stand, in numbers: for dashboards and alarms."""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable


@dataclass(frozen=True, slots=True)
class AgentStats:
    """How an agent's tasks stand that are not finished.

    Args:
        pending: Waiting, counted up to 100,000, the most that a server takes.
        due: Of these, how many could start now; the others wait for another try.
        oldest_seconds: For how long the oldest due one has been due.
    """

    agent_id: str
    pending: int = 0
    due: int = 0
    oldest_seconds: float = 0.0
    executing: int = 0
    paused: int = 0


@dataclass(frozen=True, slots=True)
class Stats:
    """How an organization's unfinished work stands.

    Args:
        workers: Workers that are here.
        deliveries_due: (subscription, task) pairs with an event to be delivered, counted up to 100,000.
        deliveries_failing: Of these, how many were tried in vain.
        deliveries_set_aside: Events set aside, counted up to 100,000.
        providers_away: Providers of models that tasks wait for.
    """

    agents: tuple[AgentStats, ...]
    workers: int = 0
    deliveries_due: int = 0
    deliveries_failing: int = 0
    deliveries_set_aside: int = 0
    providers_away: int = 0


@runtime_checkable
class Countable(Protocol):
    """A platform that can say how its tasks stand; one reached over HTTP leaves that to its server."""

    async def stats(self) -> Stats:
        """Operator; counts by index, however many tasks are finished; changes nothing."""
        ...
