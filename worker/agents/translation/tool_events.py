"""Events in the task's log about tool calls."""

from typing import Any

from worker.agents.event_buffer import plain
from worker.agents.tools.tools import runs_others
from worker.redaction import MESSAGE_CHARACTERS, of_this_process
from worker.words.events import NewEvent
from worker.words.statuses import TaskUpdateEventType


def is_reasoning(name: str, arguments: dict[str, Any] | None) -> bool:
    """Return whether a call is to one of Agno's reasoning tools, which Agno also emits as a ReasoningStep."""
    given = arguments or {}
    return (name == "think" and "thought" in given) or (name == "analyze" and "title" in given)


def is_emitted(function: Any, arguments: dict[str, Any] | None) -> bool:
    """Return whether the log shows a call as a tool call; tools that run others appear as ``sub_agent_trigger``."""
    return not is_reasoning(function.name, arguments) and not runs_others(function)


def request_event(call_id: str, name: str, arguments: dict[str, Any] | None, member: str | None = None) -> NewEvent:
    """Return the event that an agent calls a tool.

    Args:
        call_id: The call's id.
        name: The tool's name.
        arguments: The call's arguments.
        member: The agent or team that makes the call, if nested in the run's own; ``agno.memory`` and the like for
            Agno's own helpers.
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
    """Return the event that a tool returned a result, or an error, whose message is shown without secrets."""
    said = _readable(shown(result))
    if is_error and isinstance(said, str):
        said = of_this_process().beginning(said, MESSAGE_CHARACTERS)
    data = {**_request(call_id, name, arguments, member), "result": said, "is_error": is_error}
    return NewEvent(type=TaskUpdateEventType.ToolCallResult, data=data)


def shown(value: Any) -> Any:
    """Return a tool's result without Agno's wrapper: media alongside its text become artifacts of the task."""
    from agno.tools.function import ToolResult

    return value.content if isinstance(value, ToolResult) else value


def _readable(value: Any) -> Any:
    """Convert a result to plain JSON; bytes that are not text become their size."""
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
