"""Lists of tasks: filters, paging and items."""

from datetime import UTC, datetime
from typing import Any, ClassVar, TypeVar

from pydantic import Field, field_validator, model_validator

from worker.words.records import Words
from worker.words.statuses import AgentExecutionStatus
from worker.words.task_options import FILTERS, described
from worker.words.texts import cleaned


class TaskItem(Words):
    """A task as lists show it."""

    id: str
    agent_id: str
    organization_id: str
    status: AgentExecutionStatus
    internal_status: str | None = None
    finish_reason: str | None = None
    user_id: str | None = None
    parent_task_id: str | None = None
    triggering_agent_id: str | None = None
    source_node_type: str | None = None
    error_code: str | None = None
    provider_code: str | None = None
    result: str | None = None
    title: str | None = None
    text: str | None = None  # the beginning of its input
    created_at: datetime
    updated_at: datetime | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None

    TEXT_CHARACTERS: ClassVar[int] = 200


@described(FILTERS)
class TaskFilter(Words):
    """Filters common to all lists of tasks; ``FILTERS`` in ``words/task_options.py`` describes each."""

    parent_task_id: str | None = None
    triggering_agent_id: str | None = None
    internal_status: str | None = None
    error_code: str | None = None
    finish_reason: str | None = None
    text: str | None = None
    created_after: datetime | None = None
    created_before: datetime | None = None
    limit: int = Field(default=100, ge=1, le=1000)
    before: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _clean(cls, value: Any) -> Any:
        return cleaned(value)  # stored texts were cleaned in the same way

    @field_validator("created_after", "created_before")
    @classmethod
    def _zoned(cls, value: datetime | None) -> datetime | None:
        return value.replace(tzinfo=UTC) if value is not None and value.tzinfo is None else value


class ReachQuery(Words):
    """The filter of every list that a key may be able to reach only in part.

    Args:
        agents: Only what belongs to these agents; None means any agent.
    """

    agents: tuple[str, ...] | None = None


class AgentsQuery(ReachQuery):
    """Filters of every list that can be restricted to some agents.

    Args:
        agent_id: Only this agent's tasks, or what belongs to them; None means any agent's.
    """

    agent_id: str | None = None

    @property
    def wanted(self) -> tuple[str, ...] | None:
        """The agents that pass both filters; None means all."""
        if self.agent_id is None:
            return self.agents
        return (self.agent_id,) if self.agents is None or self.agent_id in self.agents else ()


OfAgents = TypeVar("OfAgents", bound=ReachQuery)
"""A query that can be restricted to some agents."""


class TaskQuery(AgentsQuery, TaskFilter):
    """Filters and paging for a list of tasks, newest first. A task must match every filter given.

    Args:
        user_id: Only tasks done for this user.
        status: Only tasks in this status.
        statuses: Only tasks in one of these statuses; empty means any.

    The other filters are those of ``TaskFilter``. A search for ``text`` covers the newest 10,000 tasks of each status,
    or of each agent if several are given. Beyond ASCII, case is ignored as far as the database's locale supports it.
    """

    user_id: str | None = None
    status: AgentExecutionStatus | None = None
    statuses: tuple[AgentExecutionStatus, ...] = ()
