"""How many tasks of an agent wait: a queue that is full takes no more."""

import time
from dataclasses import dataclass

from worker.contracts import Organization
from worker.words.errors import ModuleException

COUNT_SECONDS = 1.0  # a count of a long queue takes milliseconds, so it is made once a second and kept up between
RETRY_SECONDS = 10
AGENTS_KEPT = 10_000


class QueueFull(ModuleException):
    """The agent's queue is full."""

    status = 429

    def __init__(self, agent_id: str, most: int) -> None:
        super().__init__(None, f"Agent {agent_id!r} has {most:,} tasks waiting; come again later (WORKER_MAX_QUEUED).")
        self.retry_after = RETRY_SECONDS


@dataclass(slots=True)
class _Count:
    pending: int
    until: float


class Queues:
    """Counts of pending tasks, by organization and agent."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._counts: dict[tuple[str, str], _Count] = {}

    async def enter(self, organization: Organization, agent_id: str) -> None:
        """Count one more. Raises: QueueFull."""
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
