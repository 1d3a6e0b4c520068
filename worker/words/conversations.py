"""Conversations: tasks that share memory. One agent takes them one at a time, unless its handler says otherwise."""

from typing import Literal, NamedTuple, get_args

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


class Turns(NamedTuple):
    """Whose turns they are: one agent's in one conversation."""

    organization_id: str
    agent_id: str
    conversation_id: str
