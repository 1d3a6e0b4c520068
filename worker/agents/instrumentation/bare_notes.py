"""Notes and usage of runs that a handler makes without `run_agent`."""

from typing import Any

from worker.agents.tools.tools import runs_others
from worker.agents.translation.tool_events import request_event, result_event
from worker.current import Run, run_in_hand
from worker.words.usage import Usage


def current_attempt() -> Run | None:
    """Return the attempt whose handler is running; None outside a handler."""
    run = run_in_hand.get()
    return None if run is None or run.attempt is None else run


def usage_of(run: Run) -> Usage:
    """Return the combined usage of an attempt's runs without `run_agent`."""
    if run.bare.usage is None:
        run.bare.usage = Usage()
        run.used.append(run.bare.usage)
    return run.bare.usage


def called(function: Any) -> None:
    """Record the use of a tool within a handler's own run; Agno's delegation tools are not counted."""
    attempt = current_attempt()
    if attempt is not None and not runs_others(function):
        usage_of(attempt).tools[function.name] = None


def answered(run: Run, message: Any, arguments: Any) -> None:
    """Note a tool call that Agno answered without running the tool."""
    call_id, name = str(message.tool_call_id or ""), str(message.tool_name or "")
    result = result_event(call_id, name, arguments, str(message.content), is_error=True)
    run.bare.note(request_event(call_id, name, arguments), result)


def failed(error: BaseException) -> None:
    """Record an error that a handler's own run may later report by its text alone."""
    run = current_attempt()
    if run is not None:
        run.bare.failures.append(error)
