"""Names with which xpander-sdk's worker enforces plans, for code that imports them. Nothing here enforces a plan."""

import re

MAX_PLAN_RETRIES = 5
"""How often xpander-sdk makes an agent with an unfinished plan continue; unused here."""

PROMISE_CONTINUATION_NUDGE = (
    "Your last message says what you are going to do. Do it now, with your tools, and answer with what came of it."
)
"""A prompt for an agent that only promised to act."""

PROMISE_CHARACTERS = 600
_PROMISE = re.compile(r"\b(I will|I'll|I am going to|I'm going to|let me (first|now|start|begin))\b", re.IGNORECASE)
_WORKING = re.compile(
    r"\W*(I'm |I am )?(now \w+ing|proceeding to|about to|on it|checking|looking into)\b", re.IGNORECASE
)


def is_promise_only_answer(text: str | None, tool_call_count: int) -> bool:
    """Return whether an answer only announces work: it is short, and has neither a question nor a result.

    Args:
        text: The answer.
        tool_call_count: The tool calls made for it; an agent that has called tools may announce its next step.
    """
    said = (text or "").strip()
    if not said or len(said) > PROMISE_CHARACTERS or "?" in said:
        return False
    is_promise = _PROMISE.search(said) is not None and tool_call_count == 0
    return is_promise or _WORKING.match(said) is not None
