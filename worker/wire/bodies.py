"""What bodies of requests have in common, and the body that makes a task."""

from typing import Any

from pydantic import BaseModel, ConfigDict, model_validator

from worker.words.tasks import AgentExecutionInput, NewTask, TaskSettings
from worker.words.texts import cleaned

DEPTH = 100  # levels; a JSON parser of the database's driver gives up at 200, and a task wraps what it is given


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


class Storable(BaseModel):
    """What can be stored and read again: its texts are made clean, and what is nested too deep is refused."""

    @model_validator(mode="before")
    @classmethod
    def _storable(cls, value: Any) -> Any:
        return storable(value)


class Body(Storable):
    """A body whose nulls count for nothing: the public client sends every field it knows. Others are accepted, too."""

    model_config = ConfigDict(extra="ignore")

    @model_validator(mode="before")
    @classmethod
    def _without_nulls(cls, value: Any) -> Any:
        return without_nulls(value)


class CreateBody(Body, TaskSettings):
    """A task to be created; ``id`` is an existing finished task's, to run it again."""

    input: AgentExecutionInput
    id: str | None = None

    def new_task(self, agent_id: str, agent_version: str | None) -> NewTask:
        """The wish for a task of this agent."""
        fields: dict[str, Any] = {name: getattr(self, name) for name in self.model_fields_set}
        if agent_version is not None:
            fields["agent_version"] = agent_version
        fields["agent_id"] = agent_id
        return NewTask(**fields)
