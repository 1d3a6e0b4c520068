"""Outcomes of tool calls in the journal's form."""

from collections.abc import AsyncIterator, Iterator
from functools import cache
from typing import Any

from worker.agents.translation.values import is_json, packed

RAISED = ("user_message", "agent_message", "messages", "stop_execution")
"""Fields of an exception that steers an agent, besides its text."""


@cache
def stopping() -> type[Exception]:
    """Return the exception class with which a tool steers its agent: to make it stop, or try again."""
    from agno.exceptions import AgentRunException

    return AgentRunException


def failure() -> Any:
    """Return Agno's result of a failed execution."""
    from agno.tools.function import FunctionExecutionResult

    return FunctionExecutionResult(status="failure")


def raised_or(success: Any, outcome: Any) -> Any:
    """Raise the exception of a tool, if there is one, or return its outcome."""
    if isinstance(success, Exception):
        raise success
    return outcome


def is_streamed(result: Any) -> bool:
    """Return whether a result is streamed."""
    return isinstance(result, AsyncIterator | Iterator)


def pack_outcome(success: Any, call: Any, outcome: Any) -> dict[str, Any]:
    """Pack the outcome of a finished call: its result or failure, and media that Agno merges back."""
    if success is True:
        value = pack_result(call.result)
    elif success is False:
        value: dict[str, Any] = {"error": call.error}
    else:
        steering = {"exc": str(success), **{name: packed(getattr(success, name)) for name in RAISED}}
        value = {"error": call.error, "raised": steering}
    media = {name: each for name in ("images", "videos", "audios", "files") if (each := getattr(outcome, name))}
    return value | ({"media": packed(media)} if media else {})


def pack_result(result: Any) -> dict[str, Any]:
    """Pack a result for the journal."""
    if isinstance(result, tool_result()):
        return {"agno": packed(result)}
    # The model receives the result as text, so a value that JSON would change is stored as that text.
    return {"result": result if is_json(result) else str(result)}


@cache
def tool_result() -> type:
    """Return Agno's class of results with media."""
    from agno.tools.function import ToolResult

    return ToolResult


def no_time() -> Any:
    """Return a stopped timer for a call that was not made."""
    from agno.utils.timer import Timer

    timer = Timer()
    timer.start()
    timer.stop()
    return timer
