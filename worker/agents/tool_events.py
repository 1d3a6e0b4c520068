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


def request_event(call_id: str, name: str, arguments: dict[str, Any] | None, member: str | None = None) -> NewEvent:
    """An agent asks for a tool.

    Args:
        call_id: The call.
        name: The tool's.
        arguments: What it is called with.
        member: The agent or team that asks, where it is a member of the one that runs.
    """
    return NewEvent(type=TaskUpdateEventType.ToolCallRequest, data=_request(call_id, name, arguments, member))


def result_event(
    call_id: str,
    name: str,
    arguments: dict[str, Any] | None,
    result: Any,
    *,
    is_error: bool,
    member: str | None = None,
) -> NewEvent:
    """What the tool answered."""
    data = {**_request(call_id, name, arguments, member), "result": plain(result), "is_error": is_error}
    return NewEvent(type=TaskUpdateEventType.ToolCallResult, data=data)


def _request(call_id: str, name: str, arguments: dict[str, Any] | None, member: str | None) -> dict[str, Any]:
    told: dict[str, Any] = {
        "request_id": call_id,
        "operation_id": call_id,
        "tool_call_id": call_id,
        "tool_name": name,
        "payload": plain(arguments or {}),
    }
    return {**told, "graph_node_id": member} if member else told
