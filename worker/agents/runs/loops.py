"""When an agent that keeps calling tools has to answer: at its limit, or when it repeats itself."""

import json
from collections import Counter
from collections.abc import Sequence
from typing import Any

from worker.words.finish import FinishReason

REFUSED = "Tool call limit reached."
"""Start of Agno's result for a call beyond an agent's limit (agno/models/base.py)."""

BEYOND = "Limit of calls of "
"""Start of our result for a call beyond a tool's own limit."""

MAX_BEYOND = 3  # such results in one run: the agent may continue without the tool, but not keep calling it

NEEDS_TOOLS = frozenset({"Claude", "AwsBedrock"})
"""Models whose providers reject a conversation that contains tool calls but declares no tools."""


def reason_to_end(messages: Sequence[Any], *, repeats: int, calls: int | None) -> FinishReason | None:
    """Return why the next answer has to be the last; None if the agent may continue.

    Args:
        messages: The messages of the next model call.
        repeats: How often the same call may return the same result; 0 for no limit.
        calls: How many calls the agent may make; None if Agno enforces the limit.
    """
    latest = _latest(messages)
    if not latest:
        return None
    results = [each for each in messages if _is_result(each) and not each.from_history]
    if any(each.tool_call_error and str(each.content).startswith(REFUSED) for each in latest):
        return FinishReason.ToolLimit
    if calls is not None and len(results) >= calls:
        return FinishReason.ToolLimit
    if all(_is_beyond(each) for each in latest) and sum(map(_is_beyond, results)) >= MAX_BEYOND:
        return FinishReason.ToolLimit
    if repeats and len(results) >= repeats:
        seen = Counter(_what(each) for each in results)
        if all(seen[_what(each)] >= repeats for each in latest):
            return FinishReason.ToolLoop
    return None


def keeps_tools(model: Any) -> bool:
    """Return whether a model's tools must be declared even when it may not use them."""
    return any(each.__name__ in NEEDS_TOOLS for each in type(model).__mro__)


def _latest(messages: Sequence[Any]) -> list[Any]:
    """Return the tool results of the last turn, which may be followed by media that the tools show as user messages."""
    latest: list[Any] = []
    for each in reversed(messages):
        if _is_result(each):
            latest.append(each)
        elif latest or each.tool_calls is not None or each.role not in ("user", "system", "developer"):
            break
    return latest


def _is_result(message: Any) -> bool:
    return message.role == "tool" or message.tool_name is not None


def _is_beyond(result: Any) -> bool:
    return bool(result.tool_call_error) and str(result.content).startswith(BEYOND)


def _what(result: Any) -> tuple[str, str, str]:
    arguments = json.dumps(result.tool_args, sort_keys=True, default=str)
    return str(result.tool_name), arguments, str(result.content)
