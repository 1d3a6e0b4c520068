"""The bounds of a run: how long a model may be silent, and how far an agent may go on calling tools."""

import os
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from worker.current import Run
from worker.settings import Settings


@dataclass(frozen=True, slots=True)
class CallBounds:
    """What holds for the calls of a run.

    Args:
        silence: Seconds for which a model may say nothing.
        tool_repeats: How often the same tool call may give the same result in one run of an agent; 0: without end.
        tool_calls: Tool calls of one run of an agent, where neither it nor the task has a limit.
        tool_result: Characters of a tool's result that a model is given; 0: all; None: as many as suit the model.
    """

    silence: float
    tool_repeats: int
    tool_calls: int
    tool_result: int | None

    def calls_of(self, owner: Any) -> int | None:
        """How many tool calls we allow an agent or team; None where it has a limit, which Agno keeps."""
        return self.tool_calls if getattr(owner, "tool_call_limit", None) is None else None


def bounds_of(attempt: Run | None) -> CallBounds:
    """The bounds of a run: those of the settings, but for what the handler of its attempt says."""
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
    """Read once for what the environment says: reading settings takes longer than a run that does nothing."""
    settings = Settings()
    return CallBounds(
        settings.model_silence_seconds, settings.tool_repeats, settings.tool_calls, settings.tool_result_characters
    )
