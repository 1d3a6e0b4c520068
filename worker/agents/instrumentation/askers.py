"""Who asks a model: the agent itself, one of Agno's helpers, or the user's code."""

import sys
from dataclasses import dataclass
from functools import cache
from types import FrameType
from typing import Any

HELPERS: tuple[tuple[str, str], ...] = (
    ("agno.compaction", "compaction"),
    ("agno.compression", "compression"),
    ("agno.culture", "culture"),
    ("agno.eval", "evaluation"),
    ("agno.knowledge", "knowledge"),
    ("agno.learn", "learning"),
    ("agno.memory", "memory"),
    ("agno.session", "summary"),
)
"""Parts of Agno that ask a model on the side of a run, and what they are called in events."""

ROLES: tuple[tuple[str, str], ...] = (
    ("parser_model", "parser"),
    ("output_model", "output"),
    ("followup", "followups"),
    ("session_name", "session_name"),
)
"""Functions of agents and teams that ask for a purpose of their own, by a part of their name."""


@dataclass(frozen=True, slots=True)
class Asker:
    """Who asks.

    Args:
        label: What the conversation is called in the journal.
        helper: Which of Agno's helpers it is; None for the agent itself and for the user's code.
        is_agent: Whether it is the agent itself.
    """

    label: str
    helper: str | None = None
    is_agent: bool = False


USER = Asker("model")


def asker_of(arguments: dict[str, Any]) -> Asker:
    """Look at who has called the model: the first that is neither a model's own code nor ours.

    Args:
        arguments: What the model is called with.
    """
    frame: FrameType | None = sys._getframe(1)  # noqa: SLF001 - there is no other way to look
    while frame is not None and _is_between(str(frame.f_globals.get("__name__", ""))):
        frame = frame.f_back
    if frame is None:
        return USER
    found = _asker(str(frame.f_globals.get("__name__", "")), frame.f_code.co_name)
    return found if not found.is_agent or arguments.get("run_response") is not None else USER


def is_agno(module: str) -> bool:
    """Whether a module is Agno's."""
    return module == "agno" or module.startswith("agno.")


def _is_between(module: str) -> bool:
    return module.startswith(("agno.models.", "worker."))


@cache
def _asker(module: str, function: str) -> Asker:
    if not is_agno(module):
        return USER
    if module.startswith(("agno.agent.", "agno.team.")):
        role = next((role for part, role in ROLES if part in function), None)
        return Asker(role, role) if role else Asker("main", is_agent=True)
    part = module.rpartition(".")[2]
    helper = next((helper for prefix, helper in HELPERS if module.startswith(prefix)), part)
    return Asker(helper if part == helper else f"{helper}.{part}", helper)
