"""The release of a task that its worker no longer holds: queued again, or failed if it killed too many. No I/O."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from worker.engine.state.rows import Effect, Row, log
from worker.engine.state.transitions import fail, requeue
from worker.words.retry import CRASHES, MAX_SUSPICIONS, SUSPICIONS
from worker.words.statuses import AgentExecutionStatus, TaskUpdateEventType

Status = AgentExecutionStatus


@dataclass(frozen=True, slots=True)
class Release:
    """The release of a task by a worker that leaves, or by the rescuer of a dead worker.

    Args:
        suspected: Whether the worker died, so that the task may be the cause.
        isolates: Whether the worker ran suspects alone; if not, suspects among its tasks are charged a crash.
        sign: What revealed the death, for the attempts' history: the worker's ``lock`` or its ``lease``.
    """

    organization_id: str
    task_id: str
    worker_id: str
    suspected: bool = True
    isolates: bool = True
    sign: str | None = None
    size: int = 0

    @classmethod
    def of(
        cls, claimed: Mapping[str, Any], *, suspected: bool, isolates: bool = True, sign: str | None = None
    ) -> "Release":
        """Create a release from a row that names the task and its worker."""
        return cls(claimed["organization_id"], claimed["id"], claimed["worker_id"], suspected, isolates, sign)

    def decide(self, row: Row) -> Effect:
        """Queue the task again, or fail it if too many workers died of it; do nothing if it has moved on meanwhile."""
        if row.status != Status.Executing or row.worker_id != self.worker_id:
            return Effect()
        delta = self._suspect(row) if self.suspected else {}
        if row.crashes >= CRASHES or row.suspicions >= MAX_SUSPICIONS:
            return fail(row, f"workers running the task died {row.suspicions} times", delta)
        delta |= requeue(row)
        events = [log(row, TaskUpdateEventType.TaskUpdated, delta, row.attempt)]
        return Effect(events=events, wakes_work=True)

    def _suspect(self, row: Row) -> dict[str, Any]:
        ran_beside_others = row.suspicions < SUSPICIONS
        row.set(suspicions=row.suspicions + 1)
        delta: dict[str, Any] = {"suspicions": row.suspicions, "_lost": self.sign}
        if not ran_beside_others and not self.isolates:
            row.set(crashes=row.crashes + 1)
            delta["crashes"] = row.crashes
        return delta
