"""Why a model stopped: one word for what every provider calls differently."""

from enum import StrEnum


class FinishReason(StrEnum):
    """Why the answer that became a task's result ended, or one answer of a model.

    ``Stop``: the model was done. ``ToolCalls``: it asks for tools; of one answer, never of a task. ``Length``: the
    limit on output tokens cut it. ``ContextLength``: the model's context was full. ``ContentFilter``: the provider kept
    it back. ``Refusal``: the model declined. ``ToolLimit``: the limit on tool calls was reached, and it answered with
    what it had. ``ToolLoop``: it asked for the same thing again and again, and was made to answer. ``Other``: the
    provider names a reason that says nothing more.
    """

    Stop = "stop"
    ToolCalls = "tool_calls"
    Length = "length"
    ContextLength = "context_length"
    ContentFilter = "content_filter"
    Refusal = "refusal"
    ToolLimit = "tool_limit"
    ToolLoop = "tool_loop"
    Other = "other"


WHOLE = frozenset({FinishReason.Stop, FinishReason.ToolCalls})
"""Reasons after which nothing of an answer is missing."""

REASON_CHARACTERS = 64  # of a reason that another platform names; ours have 14 at most


def is_whole(reason: str | None) -> bool:
    """Whether an answer that ended so is all that the model had to say; one that gives no reason counts as whole."""
    return reason is None or reason in WHOLE
