"""Tool calls answered without running the tool: no such tool, invalid JSON, over the limit, or decided by a person.

They appear in the log like other calls, which reveals a model that keeps calling in vain. Each has a row in the
journal, so that later attempts know that its events have been emitted.
"""

import json
from collections.abc import Callable
from functools import partial
from typing import Any

from worker.agents.instrumentation import bare_notes
from worker.agents.instrumentation.frames import Frame, Turn, current_frame, current_turn, place_of
from worker.agents.translation.tool_events import request_event, result_event
from worker.words.digests import digest

Original = Callable[..., Any]


def calls_to_run(original: Original) -> Original:
    """Make the hook with which Agno selects the calls that can be made, and answers the others to the model."""

    def hook(self: Any, assistant_message: Any, messages: Any, *arguments: Any, **options: Any) -> Any:
        before = len(messages)
        made = original(self, assistant_message, messages, *arguments, **options)
        if len(messages) > before:
            asked = {each.get("id"): each.get("function") or {} for each in assistant_message.tool_calls}
            for each in messages[before:]:
                _tell(each, _arguments(asked.get(each.tool_call_id, {}).get("arguments")))
        return made

    return hook


def over_the_limit(original: Original) -> Original:
    """Make the hook for a call that exceeds its agent's limit, which Agno answers with an error."""

    def hook(self: Any, function_call: Any) -> Any:
        message = original(self, function_call)
        _tell(message, function_call.arguments or {})
        return message

    return hook


def _tell(message: Any, arguments: Any) -> None:
    """Log an answered call to the task of the agent that requested it."""
    frame, attempt = current_frame.get(), bare_notes.current_attempt()
    if frame is not None:
        answered(frame, message, arguments)
    elif attempt is not None:
        bare_notes.answered(attempt, message, arguments)


def answered(frame: Frame, message: Any, arguments: Any, *, is_error: bool = True) -> None:
    """Add an answered call to the log and the journal.

    Args:
        frame: The frame of the caller.
        message: Agno's message with the answer for the model.
        arguments: The call's arguments.
        is_error: Whether the answer is an error.
    """
    frame.run.call(partial(_note, frame, current_turn.get(), message, arguments, is_error=is_error))


def _note(frame: Frame, turn: Turn | None, message: Any, arguments: Any, *, is_error: bool) -> None:
    run, text = frame.run, str(message.content)
    place = place_of(frame, turn, message.tool_call_id)
    home, at = place.home, place.at
    match = digest([message.tool_name, arguments, text])
    call_id, name = str(message.tool_call_id or ""), str(message.tool_name or "")
    request = request_event(call_id, name, arguments, place.member)
    entry = run.journal.take(home, "refused", at, match) if home.entries else None
    if entry is not None:
        if not entry.is_counted:
            entry.is_counted = True
            run.emit([request], home)  # counts the earlier event as reached; the log has the answer as well
        return
    run.emit([request], home)
    result = result_event(call_id, name, arguments, text, is_error=is_error, member=place.member)
    run.note(home, "refused", at, {}, match=match, what=f"The answer to {name}", events=[result])


def _arguments(text: Any) -> Any:
    """Parse the arguments that the model gave; return them unchanged if they are not JSON."""
    if not isinstance(text, str):
        return text or {}
    try:
        return json.loads(text) if text else {}
    except (ValueError, RecursionError):
        return text
