"""Conversion between records and JSON: output is always valid JSON, input is read as far as possible."""

from collections.abc import Mapping
from typing import Any, TypeVar, cast

import pydantic
from pydantic import BaseModel, TypeAdapter
from pydantic_core import from_json

from worker.contracts.keys import Key
from worker.words.agents import AgentRecord
from worker.words.audit import AuditEntry
from worker.words.conversations import ConversationItem, ConversationRecord
from worker.words.errors import ModuleException
from worker.words.events import TaskUpdateEvent, typed_data
from worker.words.knowledge import KnowledgeBaseDocumentItem, KnowledgeBaseRecord, KnowledgeBaseSearchResult
from worker.words.messages import ReceivedMessage
from worker.words.providers import ProviderState
from worker.words.requests import OpenRequest
from worker.words.statuses import WHOLE_TASK, TaskUpdateEventType
from worker.words.task_lists import TaskItem
from worker.words.tasks import TaskRecord
from worker.words.tools import ToolInvocationResult
from worker.words.work import Assignment, KeptFile

T = TypeVar("T", bound=BaseModel)

RECORDS: dict[type[BaseModel], str] = {
    TaskRecord: "a task",
    TaskItem: "an item of a list",
    ProviderState: "a provider",
    OpenRequest: "a request",
    ConversationRecord: "a conversation",
    ConversationItem: "a conversation of a list",
    ReceivedMessage: "a message",
    AuditEntry: "an entry of the audit log",
    AgentRecord: "an agent",
    ToolInvocationResult: "the result of a tool",
    KnowledgeBaseRecord: "a knowledge base",
    KnowledgeBaseDocumentItem: "a document of a knowledge base",
    KnowledgeBaseSearchResult: "a passage",
    Key: "a key",
}
"""The records that clients and workers read, and what errors call them."""

REQUIRED: dict[type[BaseModel], frozenset[str]] = {
    TaskRecord: frozenset({"id", "agent_id", "input", "created_at", "status"}),
    TaskItem: frozenset({"id", "agent_id", "status", "created_at"}),
    AgentRecord: frozenset({"id"}),
    KnowledgeBaseRecord: frozenset({"id", "name"}),
    KnowledgeBaseDocumentItem: frozenset({"id", "document_url"}),
    KnowledgeBaseSearchResult: frozenset({"content", "score"}),
}
"""Fields that a record must have; other fields are dropped if they are invalid."""

_KNOWN = frozenset(TaskUpdateEventType)
_KEPT = TypeAdapter(list[KeptFile])


class UnreadableRecord(ModuleException):
    """The platform sent data that cannot be read."""

    status = 502

    def __init__(self, what: str, why: str) -> None:
        super().__init__(None, f"The platform sent {what} that cannot be parsed: {why}")


def decode(content: bytes | str, what: str) -> Any:
    """Decode JSON.

    Raises:
        UnreadableRecord: The content is not JSON.
    """
    try:
        return from_json(content)
    except (TypeError, ValueError) as error:  # TypeError for a text that cannot be encoded
        raise UnreadableRecord(what, str(error)) from None


def record_of(model: type[T], data: Any) -> T:
    """Read a record. If that fails, try again without null fields, and then without other fields that are invalid.

    Args:
        model: One of ``RECORDS``.
        data: The data as received.

    Raises:
        UnreadableRecord: The data is not such a record.
    """
    what = RECORDS[model]
    if not isinstance(data, dict):
        raise UnreadableRecord(what, "not an object")
    given = cast("dict[str, Any]", data)
    if model is AgentRecord:
        given = {"name": given.get("id"), "unique_name": given.get("id"), **given}
    try:
        return model.model_validate(given)
    except pydantic.ValidationError:
        given = _mended(given)
    try:
        return model.model_validate(given)
    except pydantic.ValidationError as error:
        wrong = _fields(error)
        if wrong & REQUIRED.get(model, frozenset()) or not wrong:
            raise UnreadableRecord(what, _reasons(error)) from None
    try:
        return model.model_validate({name: value for name, value in given.items() if name not in wrong})
    except pydantic.ValidationError as error:
        raise UnreadableRecord(what, _reasons(error)) from None


def records_of(model: type[T], data: Any) -> list[T]:
    """Read a list of records; anything else counts as an empty list.

    Raises:
        UnreadableRecord: An item is not such a record.
    """
    return [record_of(model, each) for each in cast("list[Any]", data if isinstance(data, list) else [])]


def task_json(task: TaskRecord) -> dict[str, Any]:
    """Convert a task to JSON."""
    return task.model_dump(mode="json", warnings="none")


def task_of(data: Any) -> TaskRecord:
    """Read a task."""
    return record_of(TaskRecord, data)


def kept_of(data: Any) -> list[KeptFile]:
    """Read the list of a task's stored files."""
    try:
        return _KEPT.validate_python(data)
    except pydantic.ValidationError as error:
        raise UnreadableRecord("a list of files", _reasons(error)) from None


def entries(answer: Any, what: str) -> list[Mapping[str, Any]]:
    """Return the objects of a list.

    Raises:
        UnreadableRecord: The answer is not a list of objects.
    """
    if not isinstance(answer, list) or not all(isinstance(each, dict) for each in answer):
        raise UnreadableRecord(what, "not a list of objects")
    return answer


def assignment_of(data: Mapping[str, Any]) -> Assignment:
    """Read an assignment.

    Raises:
        UnreadableRecord: The data is not an assignment.
    """
    attempt = data.get("attempt")
    if not isinstance(attempt, int):
        raise UnreadableRecord("an assignment", "it has no attempt number")
    return Assignment(task_of(data.get("task")), attempt)


def event_of(data: Any, number: int | None = None) -> TaskUpdateEvent | None:
    """Read an event.

    Args:
        data: The data as received.
        number: The event's number, if that was sent separately.

    Returns:
        The event; None if it is invalid or of an unknown type, in which case the caller should ignore it.
    """
    kind = data.get("type") if isinstance(data, dict) else None
    if not isinstance(kind, str) or kind not in _KNOWN:
        return None
    try:
        event = TaskUpdateEvent.model_validate(data)
    except pydantic.ValidationError:
        return None
    event.data = _event_data(event)
    if number is not None:
        event.number = number
    return event


def _event_data(event: TaskUpdateEvent) -> Any:
    if event.type not in WHOLE_TASK:
        return typed_data(event.type, event.data)
    try:
        return task_of(event.data)
    except UnreadableRecord:
        return event.data


def _mended(given: Mapping[str, Any]) -> dict[str, Any]:
    kept = {name: value for name, value in given.items() if value is not None}
    if isinstance(kept.get("agent_version"), int):
        kept["agent_version"] = str(kept["agent_version"])
    return kept


def _fields(error: pydantic.ValidationError) -> set[str]:
    return {str(each["loc"][0]) for each in error.errors(include_input=False, include_url=False) if each["loc"]}


def _reasons(error: pydantic.ValidationError) -> str:
    problems = error.errors(include_input=False, include_url=False)
    return "; ".join(f"{'.'.join(str(part) for part in each['loc'])}: {each['msg']}" for each in problems[:3])
