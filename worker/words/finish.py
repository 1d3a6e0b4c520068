"""Reasons why a model stopped, unified across providers."""

from enum import StrEnum


class FinishReason(StrEnum):
    """Why a model's answer ended: the answer that became a task's result, or a single one.

    ``Stop``: the model was done. ``ToolCalls``: it asked for tools (single answers only, never a task). ``Length``: the
    limit on output tokens cut it off. ``ContextLength``: the model's context was full. ``ContentFilter``: the provider
    withheld it. ``Refusal``: the model declined. ``ToolLimit``: the limit on tool calls was reached, and the model
    answered with what it had. ``ToolLoop``: the model repeated the same call and was made to answer. ``Other``: the
    provider named a reason with no further meaning.
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
"""Reasons that mean the answer is complete."""

REASON_CHARACTERS = 64  # allows for reasons of other platforms; ours have 14 at most


def is_whole(reason: str | None) -> bool:
    """Return whether an answer with this finish reason is complete; an answer without a reason counts as complete."""
    return reason is None or reason in WHOLE
