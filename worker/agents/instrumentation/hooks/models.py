"""Hooks for model calls."""

import functools
import threading
from typing import Any, cast

from worker.agents.instrumentation import bare_notes, other_loops
from worker.agents.instrumentation.frames import Frame, current_frame
from worker.agents.instrumentation.model_calls import calling_models, model_answers
from worker.agents.instrumentation.model_calls.callers import caller_of
from worker.agents.instrumentation.model_calls.model_call import ModelCall
from worker.agents.instrumentation.places import Original
from worker.agents.instrumentation.runs import bare_model_calls
from worker.agents.instrumentation.storage import media
from worker.agents.models.models import stand_in


def model_call(original: Original) -> Original:
    """Make the hook for a model call whose answer is not streamed."""

    async def hook(self: Any, **arguments: Any) -> Any:
        media.hook_google_downloads(self)
        frame = current_frame.get()
        if arguments.get("retry_with_guidance"):  # this call is part of another one
            return await original(self, **arguments)
        if frame is None:
            attempt = bare_notes.current_attempt()
            made = (
                original(self, **arguments)
                if attempt is None
                else bare_model_calls.whole(attempt, original, self, arguments)
            )
            return await made
        call = _call_of(frame, self, arguments, is_streamed=False)
        return await other_loops.on_run_loop(frame, calling_models.whole(call, original))

    return hook


def model_call_sync(original: Original) -> Original:
    """Sync version of ``model_call``."""

    def hook(self: Any, **arguments: Any) -> Any:
        media.hook_google_downloads(self)
        frame = current_frame.get()
        if arguments.get("retry_with_guidance"):
            return original(self, **arguments)
        if frame is None:
            attempt = bare_notes.current_attempt()
            if attempt is None:
                return original(self, **arguments)
            return bare_model_calls.whole_sync(attempt, original, self, arguments)
        return calling_models.whole_sync(_call_of(frame, self, arguments, is_streamed=False), original, frame.run)

    return hook


def model_stream(original: Original) -> Original:
    """Make the hook for a model call whose answer is streamed."""

    def hook(self: Any, **arguments: Any) -> Any:
        media.hook_google_downloads(self)
        frame = current_frame.get()
        attempt = bare_notes.current_attempt()
        if arguments.get("retry_with_guidance") or (frame is None and attempt is None):
            return original(self, **arguments)
        if frame is None:
            return bare_model_calls.streamed(cast("Any", attempt), original, self, arguments)
        call = _call_of(frame, self, arguments, is_streamed=True)
        return other_loops.on_run_loop(frame, calling_models.streamed(call, original))

    return hook


def model_stream_sync(original: Original) -> Original:
    """Sync version of ``model_stream``."""

    def hook(self: Any, **arguments: Any) -> Any:
        media.hook_google_downloads(self)
        frame = current_frame.get()
        attempt = bare_notes.current_attempt()
        if arguments.get("retry_with_guidance") or (frame is None and attempt is None):
            yield from original(self, **arguments)
            return
        if frame is None:
            yield from bare_model_calls.streamed_sync(cast("Any", attempt), original, self, arguments)
            return
        yield from calling_models.streamed_sync(_call_of(frame, self, arguments, is_streamed=True), original, frame.run)

    return hook


def _call_of(frame: Frame, model: Any, arguments: dict[str, Any], *, is_streamed: bool) -> ModelCall:
    """Create a call on the run's loop; for other threads, the caller is determined here, from the calling stack."""
    if threading.get_ident() == frame.run.thread:
        return ModelCall(frame, model, arguments, is_streamed=is_streamed)
    caller = caller_of(arguments)
    call = frame.run.call(functools.partial(ModelCall, frame, model, arguments, is_streamed=is_streamed, caller=caller))
    call.set_turn()
    return call


def parsed_calls(original: Original) -> Original:
    """Make the hook for a stream's tool calls: some are already complete, and a stand-in's have its own format."""

    def hook(self: Any, assistant_message: Any, stream_data: Any) -> Any:
        calls = stream_data.response_tool_calls
        if model_answers.drops_calls() if current_frame.get() is not None else bare_model_calls.drops_calls():
            stream_data.response_tool_calls = calls = None
            assistant_message.tool_calls = None
        if not calls or (current_frame.get() is None and not model_answers.are_whole(calls)):
            return original(self, assistant_message, stream_data)
        stream_data.response_tool_calls = None
        try:
            original(self, assistant_message, stream_data)
        finally:
            stream_data.response_tool_calls = calls
        assistant_message.tool_calls = model_answers.parsed(stand_in.get() or self, calls)
        return None

    return hook


def cached_answer(original: Original) -> Original:
    """Make the hook for Agno's cache of answers, which must not answer calls that the journal answers."""

    def hook(self: Any, *arguments: Any, **options: Any) -> Any:
        frame = current_frame.get()
        if frame is not None and frame.run.journal.is_replayed:
            return None
        found = original(self, *arguments, **options)
        if found is not None and frame is not None:
            frame.run.call(
                frame.run.discard_unfinished_text
            )  # of an earlier attempt: no row marks that answer as complete
            frame.run.begin_stream(frame.run_id)
        return found

    return hook


def classified(original: Any) -> Any:
    """Make the hook that chains a provider's original error to Agno's, which drops its status and headers."""

    def hook(cls: Any, error: Any) -> Any:
        made = original.__func__(cls, error)
        if made is not error and made.__cause__ is None:
            made.__cause__ = error
        return made

    return classmethod(hook)
