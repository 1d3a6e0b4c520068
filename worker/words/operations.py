"""Tool calls from other processes, each of which is a task that consists of that call alone.

Such a task is claimed, journaled, stopped and shown like any other; a worker calls the tool in place of the handler.
"""

import json
from collections.abc import Mapping
from typing import Any, NamedTuple, cast

from worker.words.statuses import AgentExecutionStatus
from worker.words.tasks import AgentExecutionInput, NewTask, TaskRecord
from worker.words.tools import ToolInvocationResult

SOURCE = "tool"
"""The ``source`` of a task that is a tool call."""

FIELD = "tool_invocation"
"""The field of such a task's input that holds the tool and its payload."""

TEXT_CHARACTERS = 2_000
WITHOUT_THE_TOOL = 424
KEPT = ("status_code", "result", "is_success", "is_error", "error", "execution_time")


class Operation(NamedTuple):
    """A requested tool call."""

    tool: str
    payload: dict[str, Any]


def new_operation(agent_id: str, tool: str, payload: Mapping[str, Any]) -> NewTask:
    """Return the task that calls a tool."""
    said = json.dumps(payload, ensure_ascii=False, default=str)
    given = {"text": f"{tool} {said}"[:TEXT_CHARACTERS], FIELD: {"tool": tool, "payload": dict(payload)}}
    return NewTask(
        agent_id=agent_id, input=AgentExecutionInput.model_validate(given), source=SOURCE, title=f"Tool {tool}"
    )


def operation_of(task: TaskRecord) -> Operation | None:
    """Return the tool call that a task consists of; None for any other task."""
    asked = getattr(task.input, FIELD, None) if task.source == SOURCE else None
    if not isinstance(asked, dict):
        return None
    found = cast("dict[str, Any]", asked)
    tool, payload = found.get("tool"), found.get("payload")
    return (
        Operation(tool, cast("dict[str, Any]", payload))
        if isinstance(tool, str) and isinstance(payload, dict)
        else None
    )


def result_text(result: ToolInvocationResult) -> str:
    """Return the result of a tool call as the result of its task."""
    return json.dumps({"tool": result.tool_id, **result.model_dump(mode="json", include=set(KEPT))}, ensure_ascii=False)


def outcome(task: TaskRecord, tool: str, payload: Mapping[str, Any]) -> ToolInvocationResult:
    """Return the result of a tool call, read from its finished task."""
    known = {"tool_id": tool, "payload": dict(payload)}
    try:
        said = json.loads(task.result or "")
    except ValueError:
        said = None
    if isinstance(said, dict) and cast("dict[str, Any]", said).get("tool") == tool:
        found = cast("dict[str, Any]", said)
        return ToolInvocationResult.model_validate({**{name: found[name] for name in KEPT if name in found}, **known})
    if task.status is AgentExecutionStatus.Completed:
        why = f"the worker that received the call has no tool {tool!r}"
    else:
        why = task.result or f"the call's task is {task.status}"
    return failed(WITHOUT_THE_TOOL, why, tool, payload)


def failed(status_code: int, why: str, tool: str, payload: Any) -> ToolInvocationResult:
    """Return the result of a failed tool call."""
    return ToolInvocationResult(
        tool_id=tool, payload=payload, status_code=status_code, result=why, error=why, is_error=True
    )
