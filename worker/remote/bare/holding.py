"""What a bare worker has in hand: tasks that wait to be started, and tasks that it runs."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from worker.remote.http.batches import Batches
from worker.words.errors import LeaseLost
from worker.words.events import NewEvent
from worker.words.statuses import AgentExecutionStatus
from worker.words.work import Demand


@dataclass(slots=True)
class WaitingTask:
    """A task that was assigned and is not started.

    Args:
        due: ``time.monotonic()`` before which it is not started.
        begun: Whether this worker ran it before and tries it again: the platform holds it for executing.
        errors: Tries that failed.
        error: How the last one failed.
        assigned: The attempt under which the platform assigned it to this very worker: some hold a task for executing
            from then on.
    """

    task_id: str
    agent_id: str
    due: float = 0.0
    begun: bool = False
    errors: int = 0
    error: str | None = None
    assigned: int | None = None


@dataclass(slots=True)
class Held:
    """A task that runs here, or whose last word is being written."""

    task_id: str
    agent_id: str
    attempt: int
    errors: int
    pushes: Batches[list[NewEvent]]
    ended: AgentExecutionStatus | None = None  # the last word that was tried to be written
    started: float = field(default_factory=time.monotonic)


class Holding:
    """Both, by task id: an assignment of a task that is in either is a duplicate."""

    def __init__(self) -> None:
        self.waiting: dict[str, WaitingTask] = {}
        self.held: dict[str, Held] = {}
        self._attempts: dict[str, int] = {}

    def assign(self, task_id: str, agent_id: str, assigned: int | None = None) -> bool:
        """Have a task wait to be started. Returns: whether it is new."""
        if task_id in self.waiting or task_id in self.held:
            return False
        self.waiting[task_id] = WaitingTask(task_id, agent_id, assigned=assigned)
        return True

    def pick(self, demand: Demand) -> list[WaitingTask]:
        """Take what can start now, in the order in which it came."""
        left = demand.total
        free = dict(demand.agents)
        others = demand.others
        picked: list[WaitingTask] = []
        for each in list(self.waiting.values()):
            room = free.get(each.agent_id, others)
            if left <= 0 or room <= 0 or each.due > time.monotonic():
                continue
            left -= 1
            if each.agent_id in free:
                free[each.agent_id] -= 1
            else:
                others -= 1
            picked.append(self.waiting.pop(each.task_id))
        return picked

    def is_busy(self, agent_id: str, demand: Demand, taken: Mapping[str, int]) -> bool:
        """Whether no further task of an agent could start, after those taken and those that wait."""
        waiting = sum(each.agent_id == agent_id for each in self.waiting.values()) + taken.get(agent_id, 0)
        in_all = len(self.waiting) + sum(taken.values())
        return demand.total - in_all <= 0 or demand.agents.get(agent_id, demand.others) - waiting <= 0

    def next_attempt(self, task_id: str, known: int) -> int:
        """Number an attempt: never one twice in this process."""
        self._attempts[task_id] = max(self._attempts.get(task_id, 0), known) + 1
        return self._attempts[task_id]

    def owned(self, task_id: str, attempt: int) -> Held:
        """Look up what an attempt holds.

        Raises:
            LeaseLost: It holds it no longer.
        """
        held = self.held.get(task_id)
        if held is None or held.attempt != attempt:
            raise LeaseLost(task_id, attempt)
        return held
