"""Limits of a run: how long a model may be silent, and how many tool calls an agent may make."""

import os
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from worker.current import Run
from worker.settings import Settings


@dataclass(frozen=True, slots=True)
class CallBounds:
    """Limits on the calls of a run.

    Args:
        silence: Seconds for which a model may send nothing.
        tool_repeats: How often the same tool call may return the same result in one run of an agent; 0 for no limit.
        tool_calls: Tool calls of one run of an agent, if neither the agent nor the task has a limit.
        tool_result: Characters of a tool's result that a model receives; 0 for all; None for as many as suit the model.
    """

    silence: float
    tool_repeats: int
    tool_calls: int
    tool_result: int | None

    def calls_of(self, owner: Any) -> int | None:
        """Return how many tool calls an agent or team may make; None if it has a limit, which Agno enforces."""
        return self.tool_calls if getattr(owner, "tool_call_limit", None) is None else None


def bounds_of(attempt: Run | None) -> CallBounds:
    """Return the limits of a run: those of the settings, except where the attempt's handler overrides them."""
    bounds = _of_settings(*(os.environ.get(name) for name in _NAMES))
    return bounds if attempt is None or attempt.silence is None else replace(bounds, silence=attempt.silence)


_NAMES = (
    "WORKER_MODEL_SILENCE_SECONDS",
    "WORKER_TOOL_REPEATS",
    "WORKER_TOOL_CALLS",
    "WORKER_TOOL_RESULT_CHARACTERS",
)


@lru_cache(maxsize=8)
def _of_settings(*_: str | None) -> CallBounds:
    """Create the limits once per environment: reading settings takes longer than a trivial run."""
    settings = Settings()
    return CallBounds(
        settings.model_silence_seconds, settings.tool_repeats, settings.tool_calls, settings.tool_result_characters
    )
