"""The tasks assigned to a bare worker: those waiting to be started, and those running."""

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
    """A task that was assigned to this worker and has not started yet.

    Args:
        due: The earliest start, as a value of ``time.monotonic()``.
        begun: Whether this worker ran the task before and retries it, so that it is ``executing`` on the platform.
        errors: The number of failed tries.
        error: The error of the last failed try.
        assigned: The attempt number that the platform sent with the assignment; some platforms set the task to
            ``executing`` at that point.
    """

    task_id: str
    agent_id: str
    due: float = 0.0
    begun: bool = False
    errors: int = 0
    error: str | None = None
    assigned: int | None = None


@dataclass(slots=True)
class RunningTask:
    """A running task, or one whose outcome is being written."""

    task_id: str
    agent_id: str
    attempt: int
    errors: int
    pushes: Batches[list[NewEvent]]
    ended: AgentExecutionStatus | None = None  # the final status that was sent, perhaps without an answer
    started: float = field(default_factory=time.monotonic)


class ClaimedTasks:
    """Waiting and running tasks by id. A further assignment of a task among them is a duplicate."""

    def __init__(self) -> None:
        self.waiting: dict[str, WaitingTask] = {}
        self.running: dict[str, RunningTask] = {}
        self._attempts: dict[str, int] = {}

    def assign(self, task_id: str, agent_id: str, assigned: int | None = None) -> bool:
        """Add a task to the waiting ones, and return whether it is new."""
        if task_id in self.waiting or task_id in self.running:
            return False
        self.waiting[task_id] = WaitingTask(task_id, agent_id, assigned=assigned)
        return True

    def pick(self, demand: Demand) -> list[WaitingTask]:
        """Remove and return the waiting tasks that can start now, in the order of their assignment."""
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
        """Return whether no further task of an agent could start, counting the tasks just taken and those that wait."""
        waiting = sum(each.agent_id == agent_id for each in self.waiting.values()) + taken.get(agent_id, 0)
        in_all = len(self.waiting) + sum(taken.values())
        return demand.total - in_all <= 0 or demand.agents.get(agent_id, demand.others) - waiting <= 0

    def next_attempt(self, task_id: str, known: int) -> int:
        """Return a new attempt number; none is used twice in this process."""
        self._attempts[task_id] = max(self._attempts.get(task_id, 0), known) + 1
        return self._attempts[task_id]

    def owned(self, task_id: str, attempt: int) -> RunningTask:
        """Return the task that an attempt holds.

        Raises:
            LeaseLost: The attempt no longer holds the task.
        """
        running = self.running.get(task_id)
        if running is None or running.attempt != attempt:
            raise LeaseLost(task_id, attempt)
        return running
