"""The enumerations. ``StrEnum``: an f-string shows ``completed``, and ``==`` works with plain text."""

from enum import StrEnum
from typing import Any


class AgentExecutionStatus(StrEnum):
    """Where a task stands.

    ``Error``: the handler or agent raised, and no try is left. ``Failed``: it could not be carried out (tries used up
    by crashes, time limit, unreadable input). ``Paused``: it waits for a person.
    """

    Pending = "pending"
    Executing = "executing"
    InProgress = "executing"
    Paused = "paused"
    Error = "error"
    Failed = "failed"
    Completed = "completed"
    Stopped = "stopped"

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> Any:
        """Have what checks values name each of them once, whatever other names it has."""
        return {**handler(source), "members": list(cls)}

    @property
    def is_terminal(self) -> bool:
        """Whether nothing changes any more without a retry."""
        return self in TERMINAL


TERMINAL = frozenset(
    {
        AgentExecutionStatus.Error,
        AgentExecutionStatus.Failed,
        AgentExecutionStatus.Completed,
        AgentExecutionStatus.Stopped,
    }
)


class OutputFormat(StrEnum):
    """What form a result is wanted in."""

    Text = "text"
    Json = "json"
    Markdown = "markdown"
    Html = "html"
    Voice = "voice"


class LLMReasoningEffort(StrEnum):
    """How long a model may think."""

    Low = "low"
    Medium = "medium"
    High = "high"
    XHigh = "xhigh"


class ThinkMode(StrEnum):
    """How hard an agent is asked to think."""

    Default = "default"
    Harder = "harder"


class TaskUpdateEventType(StrEnum):
    """The kinds of event a task has. A handler can be bound to those of ``BINDABLE``; others are passed over."""

    TaskCreated = "task_created"
    TaskUpdated = "task_updated"
    TaskFinished = "task_finished"
    ToolCallRequest = "tool_call_request"
    ToolCallResult = "tool_call_result"
    SubAgentTrigger = "sub_agent_trigger"
    Connected = "connected"
    Chunk = "chunk"
    Think = "think"
    Analyze = "analyze"
    PlanUpdated = "plan_updated"
    AuthEvent = "auth_event"
    ContextStatus = "context_status"
    TaskCompactization = "task_compactization"
    InputRequested = "input_requested"  # ours: a person is asked for something
    InputReceived = "input_received"  # ours: and has answered
    SignalReceived = "signal_received"  # ours: somebody has told the task something by name
    Step = "step"  # ours: a workflow's step, branch or loop began, ended, or goes on with its text
    Custom = "custom"  # ours: something that an agent or a tool says beside its text
    MessageReceived = "message_received"  # ours: somebody has said something to the task's agent
    Note = "note"  # ours: something the reader of a task should know, such as an attachment that could not be read


WHOLE_TASK = frozenset(
    {TaskUpdateEventType.TaskCreated, TaskUpdateEventType.TaskUpdated, TaskUpdateEventType.TaskFinished}
)
"""Events whose data is the whole task as it stood then."""

TOLD_BY_ENGINE = frozenset(
    {
        TaskUpdateEventType.InputRequested,
        TaskUpdateEventType.InputReceived,
        TaskUpdateEventType.SignalReceived,
        TaskUpdateEventType.MessageReceived,
    }
)
"""Events that no run tells: they come with a change of the task's own state."""

TOLD_ONCE = frozenset(TaskUpdateEventType) - WHOLE_TASK - TOLD_BY_ENGINE - {TaskUpdateEventType.Chunk}
"""Events that a run tells once, however often it is taken up again."""

BINDABLE = (
    *tuple(TaskUpdateEventType)[:6],
    TaskUpdateEventType.InputRequested,
    TaskUpdateEventType.InputReceived,
)
"""Events that a handler can serve."""


class DeliveryState(StrEnum):
    """Where a delivery that failed stands."""

    Waiting = "waiting"  # it is tried again by itself; what follows of its task waits behind it
    SetAside = "set_aside"  # its tries are used up, or its handler gave it up; what follows has gone on
    Retrying = "retrying"  # it was set aside, and somebody wishes that it be tried once more
