"""What a task's log says of a tool call."""

from typing import Any

from worker.agents.event_buffer import plain
from worker.agents.tools.tools import runs_others
from worker.words.events import NewEvent
from worker.words.statuses import TaskUpdateEventType


def is_reasoning(name: str, arguments: dict[str, Any] | None) -> bool:
    """Whether a call is one of Agno's reasoning tools, which it also emits as a ReasoningStep."""
    given = arguments or {}
    return (name == "think" and "thought" in given) or (name == "analyze" and "title" in given)


def is_emitted(function: Any, arguments: dict[str, Any] | None) -> bool:
    """Whether the log has a call as a tool call; what runs others is in it as ``sub_agent_trigger``."""
    return not is_reasoning(function.name, arguments) and not runs_others(function)


def request_event(call_id: str, name: str, arguments: dict[str, Any] | None, member: str | None = None) -> NewEvent:
    """An agent calls a tool.

    Args:
        call_id: The call.
        name: The tool's.
        arguments: What it is called with.
        member: The agent or team that calls it, where it is within the one that runs; ``agno.memory`` and the like
            for Agno's own helpers.
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
    data = {**_request(call_id, name, arguments, member), "result": _readable(shown(result)), "is_error": is_error}
    return NewEvent(type=TaskUpdateEventType.ToolCallResult, data=data)


def shown(value: Any) -> Any:
    """What a tool answered, without Agno's wrapping: files and images beside its text are the task's artifacts."""
    from agno.tools.function import ToolResult

    return value.content if isinstance(value, ToolResult) else value


def _readable(value: Any) -> Any:
    """A result as JSON has it; of bytes that are no text, how many there are."""
    if isinstance(value, bytes | bytearray):
        try:
            return value.decode()
        except UnicodeDecodeError:
            return f"{len(value):,} bytes"
    return plain(value)


def _request(call_id: str, name: str, arguments: dict[str, Any] | None, member: str | None) -> dict[str, Any]:
    said: dict[str, Any] = {
        "request_id": call_id,
        "operation_id": call_id,
        "tool_call_id": call_id,
        "tool_name": name,
        "payload": plain(arguments or {}),
    }
    return {**said, "graph_node_id": member} if member else said
