"""The activity log of a task: messages, tool calls, reasoning and sub-agents."""

from datetime import datetime
from typing import Any, Literal

from pydantic import Field

from worker.words.events import Reasoning
from worker.words.records import Words
from worker.words.tasks import User


class AgentActivityThreadMessageContent(Words):
    """The text and files of a message."""

    text: str | None = None
    files: list[str] = Field(default_factory=list[str])


class AgentActivityThreadMessage(Words):
    """A message from the user or the agent."""

    id: str
    created_at: datetime
    role: Literal["user", "agent"]
    content: AgentActivityThreadMessageContent


class AgentActivityThreadToolCall(Words):
    """A tool call, with its result once there is one."""

    id: str
    created_at: datetime
    tool_name: str
    payload: Any = None
    is_error: bool = False
    reasoning: Reasoning | None = None
    result: Any = None


class AgentActivityThreadReasoning(Words):
    """A step of an agent's reasoning."""

    id: str
    created_at: datetime
    type: Literal["think", "analyze"]
    title: str
    confidence: float | None = None
    thought: str | None = None
    action: str | None = None
    result: str | None = None
    analysis: str | None = None


class AgentActivityThreadSubAgentTrigger(Words):
    """Work that an agent delegated to another agent."""

    id: str
    created_at: datetime
    agent_id: str
    query: str | None = None
    files: list[str] = Field(default_factory=list[str])
    reasoning: Reasoning = Field(default_factory=Reasoning)


class AgentActivityThreadAuth(Words):
    """An authentication event."""

    id: str
    created_at: datetime
    type: str
    data: Any = None


AgentActivityThreadMessageType = (
    AgentActivityThreadMessage
    | AgentActivityThreadToolCall
    | AgentActivityThreadReasoning
    | AgentActivityThreadSubAgentTrigger
    | AgentActivityThreadAuth
)


class AgentActivityThread(Words):
    """The complete activity of a task's agent, in order."""

    id: str
    created_at: datetime
    user: User | None = None
    messages: list[AgentActivityThreadMessageType] = Field(default_factory=list[AgentActivityThreadMessageType])
