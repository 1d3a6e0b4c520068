"""Earlier turns of a conversation, for agents without a database: questions and answers, no tool traffic."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from worker.words.conversations import ConversationTurn
from worker.words.errors import ValidationError
from worker.words.tasks import TaskRecord

MOST_TURNS = 1_000


def turns_wanted(agent: Any, given: Any, *, continues: bool) -> int:
    """How many turns an agent is to be given; 0: none, or it has a database that holds them.

    Args:
        agent: An Agno Agent, Team or Workflow.
        given: The ``history`` of ``run_agent``; None: as many as the agent says itself, where it wants its history.
        continues: Whether the task continues a conversation.

    Raises:
        ValidationError: It is no number from 0 to 1,000.
    """
    if given is None:
        wants = continues and getattr(agent, "add_history_to_context", False) is True
        given = (getattr(agent, "num_history_runs", None) or 3) if wants else 0
    if isinstance(given, bool) or not isinstance(given, int) or not 0 <= given <= MOST_TURNS:
        raise ValidationError(f"history is a number of turns, 0 to {MOST_TURNS:,}, and not {given!r}", field="history")
    return given if getattr(agent, "db", None) is None and not hasattr(agent, "steps") else 0


def history_unused(agent: Any, given: Any) -> str | None:
    """Why a ``history`` that was asked for is not given; None means it is, or nobody asked."""
    if not given:
        return None
    if hasattr(agent, "steps"):
        return "history= was passed over: a workflow's steps have agents of their own; give it a database instead."
    if getattr(agent, "db", None) is not None:
        return (
            "history= was passed over: the agent has a database, which holds its conversation (add_history_to_context,"
            " num_history_runs)."
        )
    return None


def earlier(turns: Sequence[ConversationTurn], task: TaskRecord, most: int) -> list[ConversationTurn]:
    """The last turns before a task's own that were answered, the first one first."""
    own = [each for each in turns if each.agent_id == task.agent_id and each.answer is not None]
    before = [each for each in own if _is_before(each, task)]
    return before[-most:]


def _is_before(turn: ConversationTurn, task: TaskRecord) -> bool:
    if turn.task_id == task.id:
        return turn.turn < task.turn
    return bool(task.turn) or turn.asked_at < task.created_at


def with_history(agent: Any, turns: Sequence[ConversationTurn]) -> None:
    """Have an agent's copy begin with earlier turns, marked as history."""
    from agno.models.message import Message

    said: list[Any] = []
    for each in turns:
        question = each.question or f"(files: {', '.join(each.files)})"
        said.append(Message(role="user", content=question, from_history=True))
        said.append(Message(role="assistant", content=each.answer, from_history=True))
    if said:
        agent.additional_input = [*said, *(agent.additional_input or [])]
        agent.add_history_to_context = False  # Agno would warn that there is no database


def session_of(agent: Any, task: TaskRecord) -> str:
    """The session of Agno's in which an agent is run: its own ``session_id``, else its conversation's, else the task's.

    A random UUID is Agno's own doing: an agent that was once run without a session keeps the one that Agno made up, and
    whoever comes next would find it.
    """
    own = getattr(agent, "session_id", None)
    return own if isinstance(own, str) and own and not _is_random(own) else task.conversation_id or task.id


def _is_random(text: str) -> bool:
    try:
        return UUID(text).version == 4  # noqa: PLR2004 - random
    except ValueError:
        return False
