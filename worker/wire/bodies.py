"""Common parts of request bodies, and the body that creates a task."""

from typing import Any

from pydantic import BaseModel, ConfigDict, model_validator

from worker.words.spelling import misspelled
from worker.words.tasks import AgentExecutionInput, NewTask, TaskSettings
from worker.words.texts import cleaned

DEPTH = 100  # levels; the JSON parser of the database driver fails at 200, and a task adds levels around its input


def check_depth(value: Any) -> None:
    """Check that a value is not nested too deeply: once stored, it could not be read again.

    Raises:
        ValueError: The value is nested too deeply.
    """
    level, depth = [value], 0
    while level:
        depth += 1
        if depth > DEPTH:
            raise ValueError(f"the value is nested more than {DEPTH} levels deep")
        level = [
            inner
            for each in level
            for inner in (each.values() if isinstance(each, dict) else each if isinstance(each, list) else ())
            if isinstance(inner, dict | list)
        ]


def storable(value: Any) -> Any:
    """Return a body with cleaned texts, which can be stored and read again.

    Raises:
        ValueError: The body is nested too deeply.
    """
    check_depth(value)
    return cleaned(value)


def without_nulls(value: Any) -> Any:
    """Return a dictionary without the fields that are None, and any other value unchanged."""
    if isinstance(value, dict):
        return {name: each for name, each in value.items() if each is not None}
    return value


class Storable(BaseModel):
    """A body that can be stored and read again: its texts are cleaned, and deeply nested values are refused."""

    @model_validator(mode="before")
    @classmethod
    def _storable(cls, value: Any) -> Any:
        return storable(value)


class Body(Storable):
    """A body without nulls, which the public client sends for every field that it knows. Unknown fields are ignored."""

    model_config = ConfigDict(extra="ignore")

    @model_validator(mode="before")
    @classmethod
    def _without_nulls(cls, value: Any) -> Any:
        return without_nulls(value)


class SpelledBody(Storable):
    """A body that refuses fields that are probably misspelled, and ignores other unknown ones."""

    @model_validator(mode="before")
    @classmethod
    def _spelled(cls, value: Any) -> Any:
        found = misspelled(value, cls.model_fields) if isinstance(value, dict) else []
        if found:
            raise ValueError(f"unknown fields: {', '.join(found)}")
        return value


class OwnBody(Body):
    """A body that the public client never sends: an unknown field is a mistake, and refused."""

    model_config = ConfigDict(extra="forbid")


class CreateBody(Body, TaskSettings):
    """A task to be created. With the ``id`` of an existing finished task, that task runs again.

    Unknown fields are accepted, as the protocol requires.
    """

    model_config = ConfigDict(extra="allow")

    input: AgentExecutionInput
    id: str | None = None

    @property
    def misspelled(self) -> list[str]:
        """The fields that have no meaning here and are probably misspelled, for people."""
        given, known = self.input, AgentExecutionInput.model_fields.keys() | {"attachments"}
        found = misspelled(self.model_extra or (), type(self).model_fields)
        return found + misspelled(given.model_extra or (), known, within="input")

    def new_task(self, agent_id: str, agent_version: str | None) -> NewTask:
        """Return the new task of this agent."""
        known = self.model_fields_set & type(self).model_fields.keys()
        fields: dict[str, Any] = {name: getattr(self, name) for name in known}
        if agent_version is not None:
            fields["agent_version"] = agent_version
        fields["agent_id"] = agent_id
        return NewTask(**fields)
