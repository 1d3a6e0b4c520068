"""Tasks that other tasks have made, as pure functions: whose they are, and that their parent waits for them. No I/O."""

from collections.abc import Sequence
from dataclasses import dataclass

from worker.engine.state.rows import Effect, Row, log, own, put
from worker.words.errors import ValidationError
from worker.words.statuses import AgentExecutionStatus, TaskUpdateEventType

Status = AgentExecutionStatus

AWAITS = "_awaits"
"""Key in a task's ``state``: it is pending until its children have ended; the column says which."""

CHILDREN = "sub_executions"
"""Key in a task's ``state``: the ids of its children, in the order in which they were made."""

PARENT = "_parent"
"""Key in a task's ``state``: the task that has made it, which may wait for its end."""

MOST_CHILDREN = 1_000  # of one task, over all its attempts


def waiting_parent(row: Row) -> str | None:
    """The parent of a task that has just ended."""
    return row.state.get(PARENT) if row.is_terminal and "finished_at" in row.changed else None


@dataclass(frozen=True, slots=True)
class Adopt:
    """The owner's word that it makes children, before they are made: whoever comes after it makes those that are not.

    Args:
        children: Their ids.
    """

    organization_id: str
    task_id: str
    attempt: int
    children: Sequence[str]
    size: int = 0

    def decide(self, row: Row) -> Effect:
        """Note them. Raises: LeaseLost, ValidationError (there are too many)."""
        own(row, self.attempt)
        known: list[str] = row.state.get(CHILDREN) or []
        fresh = [each for each in self.children if each not in known]
        if not fresh:
            return Effect()
        if len(known) + len(fresh) > MOST_CHILDREN:
            raise ValidationError(f"A task has at most {MOST_CHILDREN:,} children.", field=CHILDREN)
        delta = put(row, {CHILDREN: [*known, *fresh]})
        return Effect(events=[log(row, TaskUpdateEventType.TaskUpdated, delta, self.attempt)])


@dataclass(frozen=True, slots=True)
class Wake:
    """The word that a task which waits for its children waits no longer."""

    organization_id: str
    task_id: str
    size: int = 0

    def decide(self, row: Row) -> Effect:
        """Have it claimed; one that does not wait is left as it is."""
        if row.status != Status.Pending or not row.state.get(AWAITS):
            return Effect()
        state = {name: value for name, value in row.state.items() if name != AWAITS}
        row.set(available_at=row.now, awaits=None, state=state)
        return Effect(wakes_work=True)
