"""What the task's log is told of a tool call."""

from typing import Any

from worker.agents.outlet import plain
from worker.words.events import NewEvent
from worker.words.statuses import TaskUpdateEventType

DELEGATIONS = frozenset({"delegate_task_to_member", "delegate_task_to_members"})
"""Tools that Agno gives a team's leader: told as ``sub_agent_trigger``, and not counted among the tools used."""


def is_reasoning(name: str, arguments: dict[str, Any] | None) -> bool:
    """Whether a call is one of Agno's reasoning tools, which it also tells as a ReasoningStep."""
    given = arguments or {}
    return (name == "think" and "thought" in given) or (name == "analyze" and "title" in given)


def is_told(name: str, arguments: dict[str, Any] | None) -> bool:
    """Whether the log is told of a call as a tool call."""
    return name not in DELEGATIONS and not is_reasoning(name, arguments)


def request_event(call_id: str, name: str, arguments: dict[str, Any] | None) -> NewEvent:
    """An agent asks for a tool."""
    return NewEvent(type=TaskUpdateEventType.ToolCallRequest, data=_request(call_id, name, arguments))


def result_event(call_id: str, name: str, arguments: dict[str, Any] | None, result: Any, *, is_error: bool) -> NewEvent:
    """What the tool answered."""
    data = {**_request(call_id, name, arguments), "result": plain(result), "is_error": is_error}
    return NewEvent(type=TaskUpdateEventType.ToolCallResult, data=data)


def _request(call_id: str, name: str, arguments: dict[str, Any] | None) -> dict[str, Any]:
    return {
        "request_id": call_id,
        "operation_id": call_id,
        "tool_call_id": call_id,
        "tool_name": name,
        "payload": plain(arguments or {}),
    }
