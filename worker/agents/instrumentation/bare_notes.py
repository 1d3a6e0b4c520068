"""What is noted, and counted, of runs that a handler makes without `run_agent`."""

from typing import Any

from worker.agents.runs.troubles import missing
from worker.agents.tools.tools import runs_others
from worker.agents.translation.tool_events import request_event, result_event
from worker.current import Run, run_in_hand
from worker.words.usage import Usage


def attempt_in_hand() -> Run | None:
    """The attempt whose handler makes a run by itself; None means no handler does."""
    run = run_in_hand.get()
    return None if run is None or run.attempt is None else run


def usage_of(run: Run) -> Usage:
    """What the bare runs of an attempt use, together."""
    if run.bare.usage is None:
        run.bare.usage = Usage()
        run.used.append(run.bare.usage)
    return run.bare.usage


def called(function: Any) -> None:
    """Note that a tool is called, if a handler's own run does: Agno's delegations are none of the user's."""
    attempt = attempt_in_hand()
    if attempt is not None and not runs_others(function):
        usage_of(attempt).tools[function.name] = None


def answered(run: Run, message: Any, arguments: Any) -> None:
    """Note a tool call that Agno has answered instead of making it."""
    call_id, name = str(message.tool_call_id or ""), str(message.tool_name or "")
    result = result_event(call_id, name, arguments, str(message.content), is_error=True)
    run.bare.note(request_event(call_id, name, arguments), result)


def failed(error: BaseException) -> None:
    """Have an error known that a handler's own run may tell of by its text alone."""
    run = attempt_in_hand()
    if run is not None:
        run.bare.failures.append(error)


def go_without(what: str, error: BaseException) -> None:
    """Note what a run has to do without, if it is a handler's own."""
    run = attempt_in_hand()
    if run is not None:
        run.bare.note(missing(what, error))
