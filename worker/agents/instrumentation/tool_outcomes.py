"""Outcomes of tools, as the journal has them."""

from collections.abc import AsyncIterator, Iterator
from functools import cache
from typing import Any

from worker.agents.translation.values import is_json, packed

RAISED = ("user_message", "agent_message", "messages", "stop_execution")
"""What an exception that steers an agent says, besides its text."""


@cache
def stopping() -> type[Exception]:
    """What a tool raises to steer its agent: to have it stop, or try again."""
    from agno.exceptions import AgentRunException

    return AgentRunException


def failure() -> Any:
    """Return Agno's kind of a result that says: it failed."""
    from agno.tools.function import FunctionExecutionResult

    return FunctionExecutionResult(status="failure")


def raised_or(success: Any, outcome: Any) -> Any:
    """Raise what a tool has raised, or return its outcome."""
    if isinstance(success, Exception):
        raise success
    return outcome


def is_to_come(result: Any) -> bool:
    """Tell whether a result comes piece by piece."""
    return isinstance(result, AsyncIterator | Iterator)


def pack_outcome(success: Any, call: Any, outcome: Any) -> dict[str, Any]:
    """What a finished call leaves: its result, or its failure, and whatever media Agno merges back."""
    if success is True:
        value = pack_result(call.result)
    elif success is False:
        value: dict[str, Any] = {"error": call.error}
    else:
        value = {"error": call.error, "raised": pack_raised(success)}
    media = {name: each for name in ("images", "videos", "audios", "files") if (each := getattr(outcome, name))}
    return value | ({"media": packed(media)} if media else {})


def pack_result(result: Any) -> dict[str, Any]:
    """Pack a result as the journal has it."""
    if isinstance(result, tool_result()):
        return {"agno": packed(result)}
    # the model is told the result as text: what JSON would give back in another form is kept as that text
    return {"result": result if is_json(result) else str(result)}


@cache
def tool_result() -> type:
    """Return Agno's class of results with media."""
    from agno.tools.function import ToolResult

    return ToolResult


def pack_raised(raised: Any) -> dict[str, Any]:
    """Pack what a tool raised to steer its agent."""
    return {"exc": str(raised), **{name: packed(getattr(raised, name)) for name in RAISED}}


def no_time() -> Any:
    """Return a timer that has measured nothing: the call was not made."""
    from agno.utils.timer import Timer

    timer = Timer()
    timer.start()
    timer.stop()
    return timer
