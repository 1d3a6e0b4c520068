"""What happens to a task, one numbered event after another."""

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from worker.words.messages import ReceivedMessage
from worker.words.records import Words
from worker.words.requests import InputRequest, ReceivedAnswer
from worker.words.signals import ReceivedSignal
from worker.words.statuses import TaskUpdateEventType


class Reasoning(Words):
    """Why a tool is called, in the agent's words."""

    title: str | None = None
    description: str | None = None


class ToolCallRequest(Words):
    """An agent asks for a tool."""

    request_id: str
    operation_id: str
    tool_call_id: str | None = None
    graph_node_id: str | None = None
    tool_name: str | None = None
    payload: Any = None
    reasoning: Reasoning | None = None


class ToolCallResult(ToolCallRequest):
    """What the tool answered."""

    result: Any = None
    is_error: bool | None = False


class SubAgentTrigger(Words):
    """An agent hands work to another one."""

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
    """Where a workflow stands (event ``step``). Streamed text belongs to the step that began, or went on, last.

    Args:
        name: What the user called the step, branch or loop.
        path: Its name, and before it the names of what it is within.
        place: Its number in the workflow, and in what it is within: ``2.1``.
        kind: What it is.
        phase: ``started``; ``continued`` (its text follows that of another, beside which it runs); ``completed`` or
            ``failed``.
        iteration: Of a loop: which one began or ended, from 1.
        chosen: Of a router, the steps that it has chosen; of a condition, the branch.
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
    """What an agent or a tool says beside its text (event ``custom``).

    Args:
        name: Of a tool's own event, its class; else ``citations``, ``followups`` or ``session_state``.
        data: What it says, as JSON has it.
        tool_call_id: The call that said it.
        agent: The agent or team that it belongs to, by name.
    """

    name: str
    data: Any = None
    tool_call_id: str | None = None
    agent: str | None = None


class Note(Words):
    """Something that a reader of the task should know."""

    text: str
    kind: str = "note"


class TaskUpdateEvent(BaseModel):
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
    number: int | None = None  # 1, 2, 3 … per task, no gap; none where the platform does not number
    attempt: int | None = None  # the attempt that emitted it

    def model_dump_safe(self, **options: Any) -> dict[str, Any]:
        """Dump it as JSON has it; options as of ``model_dump``."""
        return self.model_dump(mode="json", **options)


class NewEvent(BaseModel):
    """An event to be appended to a task's log: what changed, not the whole task."""

    model_config = ConfigDict(extra="forbid")

    type: TaskUpdateEventType
    data: Any = None


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
    """Give an event's data its type; what does not fit stays as it is, since an event must never end a stream."""
    model = DATA_MODELS.get(kind)
    if model is None or not isinstance(data, dict):
        return data
    try:
        return model.model_validate(data)
    except ValueError:
        return data
