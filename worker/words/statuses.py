"""The enumerations of the public protocol. Each is a ``StrEnum``: members format as, and compare to, plain text."""

from enum import StrEnum
from typing import Any


class AgentExecutionStatus(StrEnum):
    """The status of a task.

    ``Error``: the handler or agent raised, and no try is left. ``Failed``: the task could not be carried out (tries
    used up by crashes, time limit, unreadable input). ``Paused``: it waits for a person.
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
        """Return a schema in which each value appears once, although a status may have several names."""
        return {**handler(source), "members": list(cls)}

    @property
    def is_terminal(self) -> bool:
        """Whether only a retry can change the status again."""
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
    """The requested format of a result."""

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
    """How much reasoning effort an agent is asked for."""

    Default = "default"
    Harder = "harder"


class TaskUpdateEventType(StrEnum):
    """The types of events that a task has. Handlers can be bound to those in ``BINDABLE``."""

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
    # The types below are ours, not part of the public protocol.
    InputRequested = "input_requested"  # a person was asked for input
    InputReceived = "input_received"  # a person answered
    SignalReceived = "signal_received"  # the task received a signal
    Step = "step"  # a workflow's step, branch or loop started or ended, or its text continues
    Custom = "custom"  # output of an agent or tool in addition to its text
    MessageReceived = "message_received"  # the task's agent was sent a message
    Note = "note"  # a note for readers of the task, such as about an attachment that could not be read


WHOLE_TASK = frozenset(
    {TaskUpdateEventType.TaskCreated, TaskUpdateEventType.TaskUpdated, TaskUpdateEventType.TaskFinished}
)
"""Events whose data is a snapshot of the whole task."""

EMITTED_BY_ENGINE = frozenset(
    {
        TaskUpdateEventType.InputRequested,
        TaskUpdateEventType.InputReceived,
        TaskUpdateEventType.SignalReceived,
        TaskUpdateEventType.MessageReceived,
    }
)
"""Events that no run emits: the engine adds them when the task's state changes."""

EMITTED_ONCE = frozenset(TaskUpdateEventType) - WHOLE_TASK - EMITTED_BY_ENGINE - {TaskUpdateEventType.Chunk}
"""Events that a run emits once, however often it is resumed."""

BINDABLE = (
    *tuple(TaskUpdateEventType)[:6],
    TaskUpdateEventType.InputRequested,
    TaskUpdateEventType.InputReceived,
)
"""Events that a handler can be bound to."""


class DeliveryState(StrEnum):
    """The state of a failed delivery."""

    Waiting = "waiting"  # it will be retried automatically; later events of its task wait behind it
    SetAside = "set_aside"  # its tries are used up, or its handler gave it up; later events were delivered
    Retrying = "retrying"  # it was set aside, and a retry was requested
