"""The numbered events of a task and their data."""

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from worker.words.messages import ReceivedMessage
from worker.words.records import Words
from worker.words.requests import InputRequest, ReceivedAnswer
from worker.words.signals import ReceivedSignal
from worker.words.statuses import TaskUpdateEventType


class Reasoning(Words):
    """An agent's reason for calling a tool, in its own words."""

    title: str | None = None
    description: str | None = None


class ToolCallRequest(Words):
    """A tool call that an agent requested."""

    request_id: str
    operation_id: str
    tool_call_id: str | None = None
    graph_node_id: str | None = None
    tool_name: str | None = None
    payload: Any = None
    reasoning: Reasoning | None = None


class ToolCallResult(ToolCallRequest):
    """The result of a tool call."""

    result: Any = None
    is_error: bool | None = False


class SubAgentTrigger(Words):
    """Work that one agent delegates to another."""

    agent_id: str
    query: str | None = None
    files: list[str] = Field(default_factory=list[str])
    reasoning: Reasoning = Field(default_factory=Reasoning)


class Thought(Words):
    """A step of an agent's reasoning (events ``think`` and ``analyze``)."""

    id: str | None = None
    type: Literal["think", "analyze"] = "think"
    title: str = ""
    confidence: float | None = None
    thought: str | None = None
    action: str | None = None
    result: str | None = None
    analysis: str | None = None


class WorkflowStep(Words):
    """The progress of a workflow (event ``step``). Streamed text belongs to the step that last started or continued.

    Args:
        name: The user's name for the step, branch or loop.
        path: The names of the enclosing steps, and its own name last.
        place: Its position in the workflow and in the enclosing steps, such as ``2.1``.
        kind: The kind of step.
        phase: ``started``; ``continued`` (its text follows that of another step, which runs alongside); ``completed``
            or ``failed``.
        iteration: The iteration of a loop that started or ended, from 1.
        chosen: The steps that a router chose, or the branch that a condition chose.
        error: Why it failed.
    """

    name: str
    path: list[str]
    place: str | None = None
    kind: Literal["step", "steps", "parallel", "loop", "condition", "router"] = "step"
    phase: Literal["started", "continued", "completed", "failed"] = "started"
    iteration: int | None = None
    chosen: list[str] | None = None
    error: str | None = None


class CustomData(Words):
    """Output of an agent or tool in addition to its text (event ``custom``).

    Args:
        name: The class name of a tool's own event; else ``citations``, ``followups`` or ``session_state``.
        data: The output as JSON.
        tool_call_id: The tool call that produced it.
        agent: The name of the agent or team that it belongs to.
    """

    name: str
    data: Any = None
    tool_call_id: str | None = None
    agent: str | None = None


class Note(Words):
    """A note for readers of the task."""

    text: str
    kind: str = "note"


class TaskUpdateEvent(Words):
    """One event of a task.

    ``data`` is the whole task for ``task_created``, ``task_updated`` and ``task_finished``, a ``ToolCallRequest``,
    ``ToolCallResult`` or ``SubAgentTrigger`` for events of that name, an ``InputRequest`` or ``ReceivedAnswer`` for
    ``input_requested`` and ``input_received``, a ``WorkflowStep`` for ``step``, a ``CustomData`` for ``custom``, and
    text for ``chunk``.
    """

    model_config = ConfigDict(extra="ignore")

    type: TaskUpdateEventType
    task_id: str
    organization_id: str = "default"
    time: datetime
    data: Any = None
    number: int | None = None  # 1, 2, 3 … per task, without gaps; None if the platform does not number events
    attempt: int | None = None  # the attempt that emitted it


class NewEvent(BaseModel):
    """An event to append to a task's log. It holds the change, not the whole task."""

    model_config = ConfigDict(extra="forbid")

    type: TaskUpdateEventType
    data: Any = None


def note_event(text: str, kind: str) -> NewEvent:
    """Return the event of a ``Note``."""
    return NewEvent(type=TaskUpdateEventType.Note, data={"text": text, "kind": kind})


DATA_MODELS: dict[TaskUpdateEventType, type[BaseModel]] = {
    TaskUpdateEventType.ToolCallRequest: ToolCallRequest,
    TaskUpdateEventType.ToolCallResult: ToolCallResult,
    TaskUpdateEventType.SubAgentTrigger: SubAgentTrigger,
    TaskUpdateEventType.Think: Thought,
    TaskUpdateEventType.Analyze: Thought,
    TaskUpdateEventType.Step: WorkflowStep,
    TaskUpdateEventType.Custom: CustomData,
    TaskUpdateEventType.Note: Note,
    TaskUpdateEventType.InputRequested: InputRequest,
    TaskUpdateEventType.InputReceived: ReceivedAnswer,
    TaskUpdateEventType.SignalReceived: ReceivedSignal,
    TaskUpdateEventType.MessageReceived: ReceivedMessage,
}


def typed_data(kind: TaskUpdateEventType, data: Any) -> Any:
    """Convert an event's data to its model; data that does not fit stays as it is, so that no event ends a stream."""
    model = DATA_MODELS.get(kind)
    if model is None or not isinstance(data, dict):
        return data
    try:
        return model.model_validate(data)
    except ValueError:
        return data
