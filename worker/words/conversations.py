"""Conversations: tasks that share memory. An agent runs them one at a time unless its handler opts out."""

from datetime import datetime
from typing import ClassVar, Literal, NamedTuple, get_args

from pydantic import Field

from worker.words.records import Words
from worker.words.statuses import AgentExecutionStatus, OutputFormat
from worker.words.task_lists import AgentsQuery
from worker.words.tasks import User

Mode = Literal["queue", "parallel", "reject", "replace", "steer"]
"""How to handle a new task while an earlier one of its conversation is unfinished."""

MODES: tuple[Mode, ...] = get_args(Mode)

QUEUE: Mode = "queue"
PARALLEL: Mode = "parallel"
STEER: Mode = "steer"

ANY_AGENT = ""
"""The key for agents that no handler names, in mappings of modes by agent."""

WAITS_FOR_TURN = "waits for its turn in the conversation"
"""The ``waiting_for`` text of a task that waits behind an earlier one of its conversation."""


class ConversationKey(NamedTuple):
    """A queue of turns: one agent in one conversation."""

    organization_id: str
    agent_id: str
    conversation_id: str


class ConversationTurn(Words):
    """A question and its answer.

    Args:
        task_id: The task of this turn. A task that was continued has several turns.
        turn: The number of the turn within its task: 0, 1, 2 …
        answer: The result; None if there is none yet, or the task did not complete.
        asked_at: When the task was created or continued.
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
    """A conversation: its turns, the oldest first."""

    id: str
    turns: list[ConversationTurn] = Field(default_factory=list[ConversationTurn])


class ConversationItem(Words):
    """A conversation as shown in lists.

    Args:
        agents: The agents whose tasks belong to it.
        tasks: The number of its tasks.
        text: The beginning of the newest task's input.
        status: The status of the newest task.
        newest_at: When the newest task was created.
    """

    id: str
    agents: list[str]
    tasks: int
    text: str | None = None
    status: AgentExecutionStatus
    created_at: datetime
    newest_at: datetime


class ConversationQuery(AgentsQuery):
    """Filters and paging for a list of conversations, newest task first, or for the turns of one conversation.

    Args:
        user_id: Only tasks done for this user.
        limit: The maximum number, 1 to 1,000; for one conversation, its newest tasks.
        before: Only tasks created earlier. To page on, pass the ``newest_at`` of the last conversation.
    """

    user_id: str | None = None
    limit: int = Field(default=100, ge=1, le=1000)
    before: datetime | None = None

    WINDOW: ClassVar[int] = 10_000
    """The number of tasks, newest first, that a list of conversations searches."""
