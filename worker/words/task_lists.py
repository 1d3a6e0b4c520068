"""Lists of tasks: what is asked for, and what each item shows."""

from datetime import UTC, datetime
from typing import Any, ClassVar

from pydantic import Field, field_validator, model_validator

from worker.words.records import Words
from worker.words.statuses import AgentExecutionStatus
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


class TaskQuery(Words):
    """Which tasks to list, newest first. A task fits where every filter that is given does.

    Args:
        agents: Only these agents'; none given: every one's.
        statuses: Only tasks in one of these; none given: in any.
        error_code: Only tasks whose last try failed of this: ``rate_limited``, ``quota``, ``handler`` and so on.
        finish_reason: Only tasks whose answer ended so: ``length``, ``content_filter``, … (``words.finish``).
        text: Only tasks with this in their id, title, input, internal status or result, upper case or lower (beyond
            ASCII as far as the database's locale knows it). The newest 10,000 that the other filters leave (of each
            status, or agent where several are asked for) are looked through; ``created_before`` looks further back.
        created_after: Only tasks created then or later; without a zone it is UTC.
        created_before: Only tasks created earlier.
        limit: How many at the most, 1 to 1,000.
        before: Page on: the id of the last task of the page before.
    """

    agent_id: str | None = None
    agents: tuple[str, ...] | None = None
    user_id: str | None = None
    parent_task_id: str | None = None
    triggering_agent_id: str | None = None
    status: AgentExecutionStatus | None = None
    statuses: tuple[AgentExecutionStatus, ...] = ()
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
