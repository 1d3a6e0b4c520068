"""What becomes of a task whose worker holds it no longer: queued again, or ended where it killed too many. No I/O."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from worker.engine.state.rows import Effect, Row, log
from worker.engine.state.transitions import fail, requeue
from worker.words.retry import CRASHES, MOST_SUSPICIONS, SUSPICIONS
from worker.words.statuses import AgentExecutionStatus, TaskUpdateEventType

Status = AgentExecutionStatus


@dataclass(frozen=True, slots=True)
class Release:
    """The word that a worker holds its tasks no longer: a rescuer's of a dead one, or of one that leaves its own.

    Args:
        suspected: It died: the task may be what it died of.
        isolates: It ran suspects apart. One that does not has a suspect among its tasks charged with its death.
        sign: By what its death was noticed, for the attempts' history: its ``lock`` or its ``lease``.
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
        cls, held: Mapping[str, Any], *, suspected: bool, isolates: bool = True, sign: str | None = None
    ) -> "Release":
        """Make it of a row that names task and worker."""
        return cls(held["organization_id"], held["id"], held["worker_id"], suspected, isolates, sign)

    def decide(self, row: Row) -> Effect:
        """Queue the task again, or end it where too many workers died of it; nothing where it moved on meanwhile."""
        if row.status != Status.Executing or row.worker_id != self.worker_id:
            return Effect()
        delta = self._suspect(row) if self.suspected else {}
        if row.crashes >= CRASHES or row.suspicions >= MOST_SUSPICIONS:
            return fail(row, f"its worker died {row.suspicions} times while it ran", delta)
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
