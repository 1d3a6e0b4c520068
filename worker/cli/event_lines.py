"""Formatting of a task's events as lines for people."""

import json
from typing import Any

from worker.cli.output import one_line, question_line
from worker.words.events import (
    CustomData,
    Note,
    SubAgentTrigger,
    TaskUpdateEvent,
    Thought,
    ToolCallRequest,
    ToolCallResult,
    WorkflowStep,
)
from worker.words.messages import ReceivedMessage
from worker.words.requests import InputRequest, ReceivedAnswer
from worker.words.statuses import TaskUpdateEventType
from worker.words.tasks import TaskRecord

VALUE_CHARACTERS = 300  # of a tool's arguments or result; `worker task events --json` prints all


def line_of(event: TaskUpdateEvent) -> str:
    """Return an event as one line."""
    match event.data:
        case ToolCallResult() as call:
            mark = "✗" if call.is_error else "←"
            return f"{mark} {call.tool_name}: {_value(call.result)}"
        case ToolCallRequest() as call:
            why = f"  ({one_line(call.reasoning.title, 80)})" if call.reasoning and call.reasoning.title else ""
            return f"→ {call.tool_name}({_arguments(call.payload)}){why}"
        case SubAgentTrigger() as trigger:
            return f"⇢ {trigger.agent_id}: {one_line(trigger.query, VALUE_CHARACTERS)}"
        case Thought() as thought:
            return f"· {thought.title or 'thinking'}: {one_line(thought.thought or thought.analysis, VALUE_CHARACTERS)}"
        case WorkflowStep() as step:
            more = f", round {step.iteration}" if step.iteration else ""
            return f"▸ {step.place or ''} {' / '.join(step.path)}{more}: {step.error or step.phase}"
        case Note() as note:
            return f"! {one_line(note.text, VALUE_CHARACTERS)}"
        case TaskRecord() as task:
            return _state(event.type, task)
        case _:
            return _line_of_others(event)


def _line_of_others(event: TaskUpdateEvent) -> str:
    match event.data:
        case InputRequest() as request:
            question = one_line(question_line(request), VALUE_CHARACTERS)
            return f"? {question}  (worker task answer {event.task_id} {request.id})"
        case ReceivedAnswer() as answer:
            value = answer.value if answer.value is not None else "yes" if answer.approve else "no"
            return f"! {answer.answered_by or 'someone'} answered {answer.tool_name or answer.kind}: {_value(value)}"
        case CustomData() as said:
            return f"· {said.name}: {_value(said.data)}"
        case ReceivedMessage() as message:
            return f"> {message.sent_by or 'someone'} wrote: {one_line(message.text, VALUE_CHARACTERS)}"
        case _:
            return f"{event.type} {_value(event.data)}" if event.data is not None else str(event.type)


def _state(kind: TaskUpdateEventType, task: TaskRecord) -> str:
    said = [str(kind), str(task.status)]
    if task.execution_attempts:
        said.append(f"attempt {task.execution_attempts}")
    if task.internal_status:
        said.append(one_line(task.internal_status))
    return ", ".join(said)


def _arguments(payload: Any) -> str:
    if not isinstance(payload, dict):
        return "" if payload is None else _value(payload)
    return ", ".join(f"{name}={_value(value)}" for name, value in payload.items())


def _value(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return one_line(text, VALUE_CHARACTERS)
