"""The caller of a model: the agent itself, one of Agno's helpers, or the user's code."""

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
"""Parts of Agno that call a model alongside a run, and their names in events."""

ROLES: tuple[tuple[str, str], ...] = (
    ("parser_model", "parser"),
    ("output_model", "output"),
    ("followup", "followups"),
    ("session_name", "session_name"),
)
"""Functions of agents and teams that call a model for a special purpose, by a part of their names."""


ANSWERING = frozenset({"parser", "output"})
"""Helpers whose answer replaces the agent's own."""


@dataclass(frozen=True, slots=True)
class Caller:
    """The caller of a model.

    Args:
        label: The label of the conversation in the journal.
        helper: The name of Agno's helper; None for the agent itself and for the user's code.
        is_agent: Whether the caller is the agent itself.
    """

    label: str
    helper: str | None = None
    is_agent: bool = False

    @property
    def is_answer(self) -> bool:
        """Whether the call produces an agent's answer, rather than a side request."""
        return self.is_agent or self.helper in ANSWERING


USER = Caller("model")


def caller_of(arguments: dict[str, Any]) -> Caller:
    """Return the caller of a model: the first stack frame outside Agno's models and the worker.

    Args:
        arguments: The arguments with which the model is called.
    """
    frame: FrameType | None = sys._getframe(1)  # noqa: SLF001 - the only way to read the call stack
    while frame is not None and str(frame.f_globals.get("__name__", "")).startswith(("agno.models.", "worker.")):
        frame = frame.f_back
    if frame is None:
        return USER
    found = _asker(str(frame.f_globals.get("__name__", "")), frame.f_code.co_name)
    return found if not found.is_agent or arguments.get("run_response") is not None else USER


def is_agno(module: str) -> bool:
    """Return whether a module belongs to Agno."""
    return module == "agno" or module.startswith("agno.")


@cache
def _asker(module: str, function: str) -> Caller:
    if not is_agno(module):
        return USER
    if module.startswith(("agno.agent.", "agno.team.")):
        role = next((role for part, role in ROLES if part in function), None)
        return Caller(role, role) if role else Caller("main", is_agent=True)
    part = module.rpartition(".")[2]
    helper = next((helper for prefix, helper in HELPERS if module.startswith(prefix)), part)
    return Caller(helper if part == helper else f"{helper}.{part}", helper)
