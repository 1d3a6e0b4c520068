"""The activity log of a task: what was said, called, thought."""

from datetime import datetime
from typing import Any, Literal

from pydantic import Field

from worker.words.events import Reasoning
from worker.words.records import Words
from worker.words.tasks import User


class AgentActivityThreadMessageContent(Words):
    """Text and files of a message."""

    text: str | None = None
    files: list[str] = Field(default_factory=list[str])


class AgentActivityThreadMessage(Words):
    """Something the user or the agent said."""

    id: str
    created_at: datetime
    role: Literal["user", "agent"]
    content: AgentActivityThreadMessageContent


class AgentActivityThreadToolCall(Words):
    """A tool call with its result, once there is one."""

    id: str
    created_at: datetime
    tool_name: str
    payload: Any = None
    is_error: bool = False
    reasoning: Reasoning | None = None
    result: Any = None


class AgentActivityThreadReasoning(Words):
    """A step of reasoning."""

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
    """Work handed to another agent."""

    id: str
    created_at: datetime
    agent_id: str
    query: str | None = None
    files: list[str] = Field(default_factory=list[str])
    reasoning: Reasoning = Field(default_factory=Reasoning)


class AgentActivityThreadAuth(Words):
    """An event of signing in somewhere."""

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
    """Everything that a task's agent did, in order."""

    id: str
    created_at: datetime
    user: User | None = None
    messages: list[AgentActivityThreadMessageType] = Field(default_factory=list[AgentActivityThreadMessageType])
