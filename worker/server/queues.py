"""The limit on an agent's pending tasks: a full queue accepts no more."""

import time
from dataclasses import dataclass

from worker.contracts import Organization
from worker.words.errors import ModuleException

COUNT_SECONDS = 1.0  # how long a count is cached, since counting a long queue takes milliseconds
RETRY_SECONDS = 10
AGENTS_KEPT = 10_000


class QueueFull(ModuleException):
    """The agent's queue is full."""

    status = 429

    def __init__(self, agent_id: str, most: int) -> None:
        super().__init__(
            None,
            f"Agent {agent_id!r} already has {most:,} pending tasks, the maximum (WORKER_MAX_QUEUED). Try again later.",
        )
        self.retry_after = RETRY_SECONDS


@dataclass(slots=True)
class _Count:
    pending: int
    until: float


class Queues:
    """Counts of pending tasks by organization and agent, limited to ``most`` each."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._counts: dict[tuple[str, str], _Count] = {}

    async def enter(self, organization: Organization, agent_id: str) -> None:
        """Count a new task of an agent.

        Raises:
            QueueFull: The agent has too many pending tasks.
        """
        key = organization.organization_id, agent_id
        count = self._counts.get(key)
        if count is None or count.until < time.monotonic():
            count = _Count(await organization.presence.pending(agent_id, self._most), time.monotonic() + COUNT_SECONDS)
            if len(self._counts) > AGENTS_KEPT:
                self._counts.clear()
            self._counts[key] = count
        if count.pending >= self._most:
            raise QueueFull(agent_id, self._most)
        count.pending += 1
