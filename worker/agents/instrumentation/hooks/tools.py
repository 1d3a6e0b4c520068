"""Hooks for tool calls, and for the user's own hooks."""

import inspect
from typing import Any

from worker.agents.instrumentation import bare_notes, exits
from worker.agents.instrumentation.frames import Frame, current_frame
from worker.agents.instrumentation.places import Original
from worker.agents.instrumentation.tool_calls import calling_tools


def tool_call(original: Original) -> Original:
    """Make the hook for a tool call that a model requests."""

    async def hook(self: Any, function_call: Any) -> Any:
        frame = current_frame.get()
        if frame is None:
            with exits.guarded():
                success, timer, call, outcome = await original(self, function_call)
        else:
            with exits.guarded():
                success, timer, call, outcome = await calling_tools.called(frame, original, self, function_call)
        call.result = exits.guarded_items(call.result)
        return success, timer, call, outcome

    return hook


def tool_execution(original: Original) -> Original:
    """Make the hook for a tool's execution by any caller."""

    async def hook(self: Any, *arguments: Any, **options: Any) -> Any:
        frame = current_frame.get()
        if frame is None:
            bare_notes.called(self.function)
        if frame is None or calling_tools.is_current_call(self):
            return await original(self, *arguments, **options)
        return await calling_tools.executed(frame, original, self)

    return hook


def tool_execution_sync(original: Original) -> Original:
    """Sync version of ``tool_execution``."""

    def hook(self: Any, *arguments: Any, **options: Any) -> Any:
        frame = current_frame.get()
        if frame is None:
            bare_notes.called(self.function)
        if frame is None or calling_tools.is_current_call(self):
            return original(self, *arguments, **options)
        return calling_tools.executed_sync(frame, original, self)

    return hook


def hook_arguments(original: Original) -> Original:
    """Make the hook that runs right before a user's hook and sets the idempotency key of the user's hook."""

    def hook(function: Any, all_arguments: Any) -> Any:
        frame: Frame | None = current_frame.get()
        if frame is not None and not inspect.iscoroutinefunction(function):  # that of an async run gets it when called
            frame.set_hook_key(getattr(function, "__name__", type(function).__name__))
        return original(function, all_arguments)

    return hook
