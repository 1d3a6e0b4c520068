"""When an agent that goes on calling tools has to answer: at its limit, or when it turns in a circle."""

import json
from collections import Counter
from collections.abc import Sequence
from typing import Any

from worker.words.finish import FinishReason

REFUSED = "Tool call limit reached."
"""How Agno's answer to a call beyond an agent's limit begins (agno/models/base.py)."""

BEYOND = "Limit of calls of "
"""How our answer to a call beyond a tool's own limit begins."""

MOST_BEYOND = 3  # such answers in one run: an agent may still do without the tool, but not go on asking for it

NEEDS_TOOLS = frozenset({"Claude", "AwsBedrock"})
"""Models whose providers refuse a conversation with tool calls in it that names no tools."""


def reason_to_end(messages: Sequence[Any], *, repeats: int, calls: int | None) -> FinishReason | None:
    """Why the next answer has to be the last; None means the agent may go on.

    Args:
        messages: What the model is about to be asked.
        repeats: How often the same call may give the same result; 0: as often as it likes.
        calls: How many calls the agent may make; None: that is not for us to say.
    """
    latest = _latest(messages)
    if not latest:
        return None
    results = [each for each in messages if _is_result(each) and not each.from_history]
    if any(each.tool_call_error and str(each.content).startswith(REFUSED) for each in latest):
        return FinishReason.ToolLimit
    if calls is not None and len(results) >= calls:
        return FinishReason.ToolLimit
    if all(_is_beyond(each) for each in latest) and sum(map(_is_beyond, results)) >= MOST_BEYOND:
        return FinishReason.ToolLimit
    if repeats and len(results) >= repeats:
        seen = Counter(_what(each) for each in results)
        if all(seen[_what(each)] >= repeats for each in latest):
            return FinishReason.ToolLoop
    return None


def keeps_tools(model: Any) -> bool:
    """Whether a model has to be told of its tools even where it may not use them."""
    return any(each.__name__ in NEEDS_TOOLS for each in type(model).__mro__)


def _latest(messages: Sequence[Any]) -> list[Any]:
    """The results of the last turn; what tools show comes after them, in the name of the user."""
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
