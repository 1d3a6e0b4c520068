"""Conversations: tasks that share memory. One agent takes them one at a time, unless its handler says otherwise."""

from datetime import datetime
from typing import ClassVar, Literal, NamedTuple, get_args

from pydantic import Field

from worker.words.records import Words
from worker.words.statuses import AgentExecutionStatus, OutputFormat
from worker.words.tasks import User

Mode = Literal["queue", "parallel", "reject", "replace", "steer"]
"""What becomes of a task while an earlier one of its conversation is not finished."""

MODES: tuple[Mode, ...] = get_args(Mode)

QUEUE: Mode = "queue"
PARALLEL: Mode = "parallel"
STEER: Mode = "steer"

ANY_AGENT = ""
"""Stands for the agents that no handler names, where modes are told by agent."""

WAITS_FOR_TURN = "waits for its turn in the conversation"
"""What ``waiting_for`` says of such a task."""


class ConversationKey(NamedTuple):
    """Whose turns they are: one agent's in one conversation."""

    organization_id: str
    agent_id: str
    conversation_id: str


class ConversationTurn(Words):
    """A question, and what was answered.

    Args:
        task_id: The task that it is, or was once: a task that was continued is several turns.
        turn: Which of them: 0, 1, 2 …
        answer: The result; None means there is none yet, or it did not end well.
        asked_at: When the task was made, or continued.
    """

    task_id: str
    agent_id: str
    turn: int = 0
    status: AgentExecutionStatus
    question: str | None = None
    files: list[str] = Field(default_factory=list[str])
    user: User | None = None
    answer: str | None = None
    output_format: OutputFormat | None = None
    error_code: str | None = None
    waiting_for: str | None = None
    asked_at: datetime
    finished_at: datetime | None = None


class ConversationRecord(Words):
    """A conversation: what was asked and answered, the first turn first."""

    id: str
    turns: list[ConversationTurn] = Field(default_factory=list[ConversationTurn])


class ConversationItem(Words):
    """A conversation as lists show it.

    Args:
        agents: Whose tasks belong to it.
        tasks: How many of them there are.
        text: How the newest one's input begins.
        status: The newest one's.
        newest_at: When that was made.
    """

    id: str
    agents: list[str]
    tasks: int
    text: str | None = None
    status: AgentExecutionStatus
    created_at: datetime
    newest_at: datetime


class ConversationQuery(Words):
    """Which conversations to list, the one with the newest task first; or which of the turns of one to tell.

    Args:
        agent_id: Only this agent's tasks; None means any agent's.
        agents: Only these agents'; None means any agent's.
        user_id: Only tasks done for this user.
        limit: How many at the most, 1 to 1,000: of a conversation, its newest tasks.
        before: Only tasks created earlier. Pages on, given when the newest task of the last one was made.
    """

    agent_id: str | None = None
    agents: tuple[str, ...] | None = None
    user_id: str | None = None
    limit: int = Field(default=100, ge=1, le=1000)
    before: datetime | None = None

    WINDOW: ClassVar[int] = 10_000
    """How many tasks of conversations a list looks through, the newest ones."""

    @property
    def wanted(self) -> tuple[str, ...] | None:
        """The agents that both filters leave; None means all."""
        if self.agent_id is None:
            return self.agents
        return (self.agent_id,) if self.agents is None or self.agent_id in self.agents else ()
