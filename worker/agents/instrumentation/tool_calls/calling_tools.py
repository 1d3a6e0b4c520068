"""Making tool calls, on the loop or from sync code."""

import asyncio
from functools import partial
from typing import Any

from worker.agents.instrumentation.frames import Frame, current_frame, within
from worker.agents.instrumentation.time_limits import TookTooLong, in_time, in_time_sync
from worker.agents.instrumentation.tool_calls.tool_call import ToolCall
from worker.agents.instrumentation.tool_calls.tool_outcomes import failure, no_time, raised_or, stopping
from worker.words.watching import ToolCalled, watched


async def called(frame: Frame, original: Any, model: Any, function_call: Any) -> Any:
    """Make a tool call like ``Model.arun_function_call``: return success, timer, call and outcome."""
    frame.run.join()
    tool = ToolCall(frame, function_call)
    with within(tool.frame, tool.key), watched(ToolCalled(tool=tool.name, call_id=str(function_call.call_id))) as seen:
        entry = await tool.from_journal()
        if entry is not None:
            seen.replayed = True
            success, outcome = tool.answer(entry)
            seen.failed = success is not True
            return success, no_time(), function_call, outcome
        await tool.begin()
        try:
            success, timer, function_call, outcome = await _make_call(tool, original, model, function_call)
            seen.failed = success is not True
            tool.completed(success, outcome)
        except asyncio.CancelledError:
            tool.cut()
            raise
        except Exception as error:
            tool.broke(error)
            raise
        return success, timer, function_call, outcome


async def _make_call(tool: ToolCall, original: Any, model: Any, function_call: Any) -> Any:
    """Make the call within the tool's limits."""
    if tool.exceeds_limit:
        return False, no_time(), function_call, tool.refused()
    try:
        return await in_time(tool.seconds, original(model, function_call))
    except TookTooLong:
        outcome = tool.answer_timeout()
        return False, no_time(), tool.call, outcome


async def _outcome(tool: ToolCall, original: Any, function_call: Any) -> Any:
    """Execute the call within the tool's limits."""
    if tool.exceeds_limit:
        return tool.refused()
    try:
        return await in_time(tool.seconds, original(function_call))
    except TookTooLong:
        return tool.answer_timeout()


def _outcome_sync(tool: ToolCall, original: Any, function_call: Any) -> Any:
    """Sync version of ``_outcome``."""
    if tool.exceeds_limit:
        return tool.refused()
    run = tool.frame.run
    try:
        return in_time_sync(tool.seconds, partial(original, function_call), run.loop, run.thread)
    except TookTooLong:
        return tool.answer_timeout()


async def executed(frame: Frame, original: Any, function_call: Any) -> Any:
    """Make a tool call like ``FunctionCall.aexecute`` and return its outcome."""
    frame.run.join()
    tool = ToolCall(frame, function_call)
    with within(tool.frame, tool.key):
        entry = await tool.from_journal()
        if entry is not None:
            return raised_or(*tool.answer(entry))
        await tool.begin()
        try:
            outcome = await _outcome(tool, original, function_call)
            tool.completed(outcome.status == "success", outcome)
        except stopping() as raised:
            tool.completed(raised, failure())
            raise
        except Exception as error:
            tool.broke(error)
            raise
        return outcome


def executed_sync(frame: Frame, original: Any, function_call: Any) -> Any:
    """Sync version of ``executed``."""
    run = frame.run
    run.join()
    tool = ToolCall(frame, function_call)
    with within(tool.frame, tool.key):
        entry = run.on_loop(tool.from_journal)
        if entry is not None:
            return raised_or(*tool.answer(entry))
        run.on_loop(tool.begin)
        try:
            outcome = _outcome_sync(tool, original, function_call)
            run.call(partial(tool.completed, outcome.status == "success", outcome, plain=True))
        except stopping() as raised:
            run.call(tool.completed, raised, failure())
            raise
        except Exception as error:
            run.call(tool.broke, error)
            raise
        return outcome


def is_current_call(function_call: Any) -> bool:
    """Return whether a call is the current one: Agno makes a call through several of the hooked methods."""
    frame = current_frame.get()
    return frame is not None and frame.owner is function_call
