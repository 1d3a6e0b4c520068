"""Parent and child tasks, as pure functions: the children of a task, and a parent that waits for them. No I/O."""

from collections.abc import Sequence
from dataclasses import dataclass

from worker.engine.state.rows import Effect, Row, log, own, put
from worker.words.errors import ValidationError
from worker.words.statuses import AgentExecutionStatus, TaskUpdateEventType

Status = AgentExecutionStatus

AWAITS = "_awaits"
"""Key in a task's ``state``: True while it waits for the children in the column ``awaits`` to end."""

CHILDREN = "sub_executions"
"""Key in a task's ``state``: the ids of its children, in the order of their creation."""

PARENT = "_parent"
"""Key in a task's ``state``: the task that created it, which may wait for its end."""

MAX_CHILDREN = 1_000  # per task, over all its attempts


def waiting_parent(row: Row) -> str | None:
    """Return the parent of a task that has just ended, or None."""
    return row.state.get(PARENT) if row.is_terminal and "finished_at" in row.changed else None


@dataclass(frozen=True, slots=True)
class Adopt:
    """The owner's record of children that it is about to create; a later attempt creates those still missing.

    Args:
        children: The children's ids.
    """

    organization_id: str
    task_id: str
    attempt: int
    children: Sequence[str]
    size: int = 0

    def decide(self, row: Row) -> Effect:
        """Record the children.

        Raises:
            LeaseLost: The attempt no longer owns the task.
            ValidationError: The task would have too many children.
        """
        own(row, self.attempt)
        known: list[str] = row.state.get(CHILDREN) or []
        fresh = [each for each in self.children if each not in known]
        if not fresh:
            return Effect()
        if len(known) + len(fresh) > MAX_CHILDREN:
            raise ValidationError(f"A task can have at most {MAX_CHILDREN:,} children.", field=CHILDREN)
        delta = put(row, {CHILDREN: [*known, *fresh]})
        return Effect(events=[log(row, TaskUpdateEventType.TaskUpdated, delta, self.attempt)])


@dataclass(frozen=True, slots=True)
class Wake:
    """The end of a task's wait for its children."""

    organization_id: str
    task_id: str
    size: int = 0

    def decide(self, row: Row) -> Effect:
        """Make the task available to claims, unless it is not waiting for children."""
        if row.status != Status.Pending or not row.state.get(AWAITS):
            return Effect()
        state = {name: value for name, value in row.state.items() if name != AWAITS}
        row.set(available_at=row.now, awaits=None, state=state)
        return Effect(wakes_work=True)
