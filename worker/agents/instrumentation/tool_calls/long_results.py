"""Truncation of tool results that exceed the model's limit, with a note to the model.

The log and the journal have the whole result. Without a limit, a provider would reject a result of a few megabytes,
after all the work done before it.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

from worker.agents.instrumentation import bare_notes
from worker.agents.instrumentation.frames import Frame, current_frame, current_turn, place_of
from worker.agents.models.capabilities import of_model
from worker.agents.runs.bounds import bounds_of
from worker.current import Run
from worker.words.events import note_event

CHARACTERS = 200_000  # about 50,000 tokens of text: a few such results fit into the contexts of today's models
CHARACTERS_PER_TOKEN = 2  # tables have fewer, prose has twice as many


def for_the_model(original: Callable[..., Any]) -> Callable[..., Any]:
    """Make the hook for the message that passes a tool's result to the model."""

    def hook(self: Any, function_call: Any, *arguments: Any, **options: Any) -> Any:
        message = original(self, function_call, *arguments, **options)
        frame, attempt = current_frame.get(), bare_notes.current_attempt()
        ends_run = function_call.function.stop_after_tool_call  # the result is then the answer, which has no limit
        is_ours = frame is not None or attempt is not None
        if is_ours and isinstance(message.content, str) and not ends_run:
            bounds = frame.run.bounds if frame is not None else bounds_of(attempt)
            budget = budget_of(self, bounds.tool_result)
            if budget and len(message.content) > budget:
                _cut(frame, attempt, message, budget)
        return message

    return hook


def budget_of(model: Any, set_to: int | None) -> int:
    """Return how many characters of a tool's result a model receives; 0 for all.

    Args:
        model: Agno's model.
        set_to: The limit from the settings; None if there is none.
    """
    if set_to is not None:
        return set_to
    takes = of_model(model)
    if takes.context is None and takes.prompt_tokens is None:
        return CHARACTERS
    return min(CHARACTERS, takes.text_tokens * CHARACTERS_PER_TOKEN)


def _cut(frame: Frame | None, attempt: Run | None, message: Any, budget: int) -> None:
    size = len(message.content)
    shown = f"the first {budget:,} of {size:,} characters"
    tools = frame.run.file_tools if frame is not None else None
    how = "Ask for less, or for another part."
    if tools is not None:
        name = tools.files.keep(f"result of {message.tool_name}", message.content)
        how = f"{tools.read}(name={name!r}, from={budget}) continues."
    message.content = f"{message.content[:budget]}\n[Cut here: these are {shown}. {how}]"
    text = f"The result of {message.tool_name} is too long for the model, which received {shown}."
    if frame is None:
        if attempt is not None:
            attempt.bare.note(note_event(text, "tool"))
        return
    place = place_of(frame, current_turn.get(), message.tool_call_id)
    at = f"{place.home.key}/{place.at}"
    frame.run.call(partial(frame.run.emit_once, at, note_event(text, "tool"), place.home))
