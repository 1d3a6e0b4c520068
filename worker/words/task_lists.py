"""Lists of tasks: what is asked for, and what each item shows."""

from datetime import UTC, datetime
from typing import Any, ClassVar

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
    text: str | None = None  # how its input begins
    created_at: datetime
    updated_at: datetime | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None

    TEXT_CHARACTERS: ClassVar[int] = 200


@described(FILTERS)
class TaskFilter(Words):
    """What every list of tasks can be filtered by; ``FILTERS`` in ``words/task_options.py`` says what each is for."""

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
        return cleaned(value)  # as what is looked for was stored

    @field_validator("created_after", "created_before")
    @classmethod
    def _zoned(cls, value: datetime | None) -> datetime | None:
        return value.replace(tzinfo=UTC) if value is not None and value.tzinfo is None else value


class TaskQuery(TaskFilter):
    """Which tasks to list, newest first. A task fits where every filter that is given does.

    Args:
        agent_id: Only this agent's.
        agents: Only these agents'; None means any agent's.
        user_id: Only those done for this user.
        status: Only tasks in this status.
        statuses: Only tasks in one of these; empty means in any.

    The others are those of ``TaskFilter``. By ``text``, the newest 10,000 of each status are looked through, or of each
    agent where several are asked for; upper and lower case beyond ASCII are the same as far as the database's locale
    knows them.
    """

    agent_id: str | None = None
    agents: tuple[str, ...] | None = None
    user_id: str | None = None
    status: AgentExecutionStatus | None = None
    statuses: tuple[AgentExecutionStatus, ...] = ()
