"""The activity log, composed from a task's events."""

from collections.abc import Iterable
from typing import Any

from worker.words import activity as words
from worker.words.events import SubAgentTrigger, TaskUpdateEvent, Thought, ToolCallRequest, ToolCallResult
from worker.words.statuses import AgentExecutionStatus, TaskUpdateEventType
from worker.words.tasks import TaskRecord

Type = TaskUpdateEventType


def compose(task: TaskRecord, events: Iterable[TaskUpdateEvent]) -> words.AgentActivityThread:
    """Compose the log: user messages, tool calls with their results, thoughts, sub-agents and the answer.

    Args:
        task: The current task.
        events: All its events, in order.
    """
    messages: list[words.AgentActivityThreadMessageType] = []
    calls: dict[str, words.AgentActivityThreadToolCall] = {}
    turn = 0
    for event in events:
        if isinstance(event.data, TaskRecord) and event.data.turn > turn:  # a finished task got its next question
            turn = event.data.turn
            messages.append(_question(event, event.data))
        message = _steering_message(event) if event.type is Type.MessageReceived else _message(event, calls)
        if message is not None:
            messages.append(message)
    return words.AgentActivityThread(id=task.id, created_at=task.created_at, user=task.input.user, messages=messages)


def _message(
    event: TaskUpdateEvent, calls: dict[str, words.AgentActivityThreadToolCall]
) -> words.AgentActivityThreadMessageType | None:
    at: dict[str, Any] = {"id": f"{event.task_id}:{event.number}", "created_at": event.time}
    match event.type, event.data:
        case Type.TaskCreated, TaskRecord() as task:
            return _question(event, task)
        case Type.TaskFinished, TaskRecord() as task if task.result and task.status is AgentExecutionStatus.Completed:
            content = words.AgentActivityThreadMessageContent(text=task.result)
            return words.AgentActivityThreadMessage(**at, role="agent", content=content)
        case Type.ToolCallResult, ToolCallResult() as result:
            call = calls.get(result.request_id)
            if call is None:
                return _call(result, at, calls)
            call.result, call.is_error = result.result, bool(result.is_error)
            return None
        case Type.ToolCallRequest, ToolCallRequest() as request:
            return _call(request, at, calls)
        case ((Type.Think | Type.Analyze), Thought() as thought):
            fields = thought.model_dump(exclude={"id", "type"})
            return words.AgentActivityThreadReasoning(
                **at, type="think" if event.type is Type.Think else "analyze", **fields
            )
        case Type.SubAgentTrigger, SubAgentTrigger() as trigger:
            return words.AgentActivityThreadSubAgentTrigger(**at, **trigger.model_dump())
        case Type.AuthEvent, {"type": str() as kind, **rest}:
            return words.AgentActivityThreadAuth(**at, type=kind, data=rest.get("data"))
        case Type.AuthEvent, data:
            return words.AgentActivityThreadAuth(**at, type="auth_event", data=data)
        case _:
            return None


def _steering_message(event: TaskUpdateEvent) -> words.AgentActivityThreadMessage:
    """Return the entry for a message sent to the agent while it was working."""
    content = words.AgentActivityThreadMessageContent(text=getattr(event.data, "text", None))
    return words.AgentActivityThreadMessage(
        id=f"{event.task_id}:{event.number}", created_at=event.time, role="user", content=content
    )


def _question(event: TaskUpdateEvent, task: TaskRecord) -> words.AgentActivityThreadMessage:
    """Return the entry for the user's input, of a new task or of one that is continued."""
    content = words.AgentActivityThreadMessageContent(text=task.input.text, files=task.input.files or [])
    return words.AgentActivityThreadMessage(
        id=f"{event.task_id}:{event.number}", created_at=event.time, role="user", content=content
    )


def _call(
    request: ToolCallRequest, at: dict[str, Any], calls: dict[str, words.AgentActivityThreadToolCall]
) -> words.AgentActivityThreadToolCall:
    call = words.AgentActivityThreadToolCall(
        **at,
        tool_name=request.tool_name or request.operation_id,
        payload=request.payload,
        reasoning=request.reasoning,
        result=getattr(request, "result", None),
        is_error=bool(getattr(request, "is_error", False)),
    )
    calls[request.request_id] = call
    return call
