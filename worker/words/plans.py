"""What xpander-sdk's worker does to have a plan followed, for code that imports it: here nothing is enforced."""

import re

MAX_PLAN_RETRIES = 5
"""How often xpander-sdk has an agent go on whose plan is not done; here a plan is the agent's own."""

PROMISE_CONTINUATION_NUDGE = (
    "Your last message says what you are going to do. Do it now, with your tools, and answer with what came of it."
)
"""What an agent can be told that has only promised."""

PROMISE_CHARACTERS = 600
_PROMISE = re.compile(r"\b(I will|I'll|I am going to|I'm going to|let me (first|now|start|begin))\b", re.IGNORECASE)
_WORKING = re.compile(
    r"\W*(I'm |I am )?(now \w+ing|proceeding to|about to|on it|checking|looking into)\b", re.IGNORECASE
)


def is_promise_only_answer(text: str | None, tool_call_count: int) -> bool:
    """Whether an answer only says what is going to be done: a short one without a question or a result.

    Args:
        text: The answer.
        tool_call_count: How many tools were called for it: whoever has worked may say what comes next.
    """
    said = (text or "").strip()
    if not said or len(said) > PROMISE_CHARACTERS or "?" in said:
        return False
    is_promise = _PROMISE.search(said) is not None and tool_call_count == 0
    return is_promise or _WORKING.match(said) is not None
