"""What requests bring. Unknown fields are accepted, and null is as if the field were not there."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, RootModel, model_validator

from worker.words.agents import AgentRecord
from worker.words.tasks import AgentExecutionInput, NewTask, TaskSettings
from worker.words.texts import cleaned

VERBS = 512

DEPTH = 100  # levels; a JSON parser of the database's driver gives up at 200, and a task wraps what it is given


class Body(BaseModel):
    """A body whose nulls count for nothing: the public client sends every field it knows."""

    model_config = ConfigDict(extra="ignore")

    @model_validator(mode="before")
    @classmethod
    def _without_nulls(cls, value: Any) -> Any:
        return without_nulls(storable(value))


def check_depth(value: Any) -> None:
    """Refuse what is nested too deep: stored, it could never be read again. Raises: ValueError."""
    level, depth = [value], 0
    while level:
        depth += 1
        if depth > DEPTH:
            raise ValueError(f"it is nested deeper than {DEPTH} levels")
        level = [
            inner
            for each in level
            for inner in (each.values() if isinstance(each, dict) else each if isinstance(each, list) else ())
            if isinstance(inner, dict | list)
        ]


def storable(value: Any) -> Any:
    """A body that can be stored and read again: its texts made clean. Raises: ValueError."""
    check_depth(value)
    return cleaned(value)


def without_nulls(value: Any) -> Any:
    """A value without fields that are null."""
    if isinstance(value, dict):
        return {name: each for name, each in value.items() if each is not None}
    return value


class CreateBody(TaskSettings):
    """A task to be created; ``id`` is an existing finished task's, to run it again."""

    input: AgentExecutionInput
    id: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _without_nulls(cls, value: Any) -> Any:
        return without_nulls(storable(value))

    def new_task(self, agent_id: str, agent_version: str | None) -> NewTask:
        """The wish for a task of this agent."""
        fields: dict[str, Any] = {name: getattr(self, name) for name in self.model_fields_set}
        if agent_version is not None:
            fields["agent_version"] = agent_version
        fields["agent_id"] = agent_id
        return NewTask(**fields)


class PushedEvent(Body):
    """An event to be appended; one of an unknown type is passed over."""

    type: str
    data: Any = None


class ReportBody(Body):
    """A run that took place elsewhere."""

    id: str | None = None
    input: AgentExecutionInput | str | None = None
    llm_response: Any = None
    tokens: dict[str, Any] | None = None
    is_success: bool = Field(default=True, strict=True)
    result: Any = None
    duration: float | None = Field(default=None, ge=0, le=1e12, strict=True)
    used_tools: list[str] = Field(default_factory=list[str])


class MetricsBody(Body):
    """Figures of a run; the task has what is kept of them."""

    model_config = ConfigDict(extra="allow")

    execution_id: str | None = None


class AllowanceBody(Body):
    """A key to ask about."""

    api_key: str


class Changes(RootModel[dict[str, Any]]):
    """Fields of a task, any of them."""

    @model_validator(mode="before")
    @classmethod
    def _storable(cls, value: Any) -> Any:
        return storable(value)


class AgentBody(AgentRecord):
    """An agent, whole."""

    @model_validator(mode="before")
    @classmethod
    def _storable(cls, value: Any) -> Any:
        return storable(value)

    def record(self) -> AgentRecord:
        """The agent, as the platform knows it."""
        return AgentRecord.model_validate(self.model_dump())


class WorkBody(BaseModel):
    """Verbs of one worker; those that wait (``assignments``, ``deliveries``) come alone."""

    worker_id: str | None = Field(default=None, max_length=128)
    verbs: Annotated[list[dict[str, Any]], Field(min_length=1, max_length=VERBS)]

    @model_validator(mode="before")
    @classmethod
    def _storable(cls, value: Any) -> Any:
        return storable(value)


class WorkerReport(Body):
    """What a worker says of itself."""

    id: str | None = None
    event: str
    data: Any = None
