"""The hook around tool calls of agents made by ``Backend``, which also logs those of a plain ``arun()``.

Within ``run_agent``, the run itself logs its tool calls, and the hook only calls the functions registered with
``on_tool_before`` and its siblings.
"""

import inspect
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

from worker import registry
from worker.agents.instrumentation import current_frame
from worker.agents.tools.tools import REDONE_BY_AGNO
from worker.agents.translation.tool_events import request_event, result_event
from worker.contracts import Platform
from worker.current import run_in_hand
from worker.face import bridge
from worker.face.invoking import run_hook
from worker.face.tools import Tool
from worker.words.classification import message_of
from worker.words.errors import ModuleException
from worker.words.events import NewEvent
from worker.words.ids import new_id

Hook = Callable[..., Any]


def tool_hook(tools: dict[str, Tool], task_id: str | None) -> Hook:
    """Build the hook for an agent.

    Args:
        tools: The agent's own tools, by name.
        task_id: The task whose log gets the calls if there is no current run; None means that they are not logged.
    """

    def around(function_name: str, function_call: Callable[..., Any], arguments: dict[str, Any]) -> Any:
        call = _Call(tools.get(function_name), function_name, arguments, task_id)
        if inspect.iscoroutinefunction(function_call):
            return call.awaited(function_call)
        return call.made(function_call)

    return around


class _Call:
    """A tool call made by Agno."""

    def __init__(self, tool: Tool | None, name: str, arguments: dict[str, Any], task_id: str | None) -> None:
        run = run_in_hand.get()
        self._tool = tool
        self._name = name
        self._given = dict(arguments)
        self._arguments = arguments
        self._task_id = run.task_id if run is not None else task_id
        self._is_told = current_frame.get() is not None or self._task_id is None or name in REDONE_BY_AGNO
        self._id = f"call_{new_id()}"

    async def awaited(self, function_call: Callable[..., Any]) -> Any:
        """Make the call on the loop."""
        hooks = registry.default.tools.hooks
        await self._begins(hooks.before)
        try:
            result = await function_call(**self._arguments)
        except Exception as error:
            await self._ends(message_of(error), hooks.error, error, is_error=True)
            raise
        await self._ends(result, hooks.after, result)
        return result

    def made(self, function_call: Callable[..., Any]) -> Any:
        """Make the call in this thread."""
        hooks = registry.default.tools.hooks
        if not self._is_told or (self._tool is not None and (hooks.before or hooks.after or hooks.error)):
            return self._make_logged(function_call)
        return function_call(**self._arguments)

    def _make_logged(self, function_call: Callable[..., Any]) -> Any:
        hooks = registry.default.tools.hooks
        bridge.block(lambda _: self._begins(hooks.before))
        try:
            result = function_call(**self._arguments)
        except Exception as error:
            failed = error
            bridge.block(lambda _: self._ends(message_of(failed), hooks.error, failed, is_error=True))
            raise
        bridge.block(lambda _: self._ends(result, hooks.after, result))
        return result

    async def _begins(self, hooks: list[Hook]) -> None:
        await self._hook(hooks)
        await self._log(self._request())

    async def _ends(self, result: Any, hooks: list[Hook], last: Any, *, is_error: bool = False) -> None:
        await self._log(self._answer(result, is_error=is_error))
        await self._hook(hooks, last)

    async def _hook(self, hooks: list[Hook], *last: Any) -> None:
        if self._tool is None:
            return
        for hook in hooks:
            await run_hook(hook, (self._tool, self._given, None, None, None, *last))

    async def _log(self, event: NewEvent) -> None:
        task_id = self._task_id
        if not self._is_told and task_id is not None:
            await bridge.across(partial(_append, task_id, event))

    def _request(self) -> NewEvent:
        return request_event(self._id, self._name, self._given)

    def _answer(self, result: Any, *, is_error: bool = False) -> NewEvent:
        return result_event(self._id, self._name, self._given, result, is_error=is_error)


async def _append(task_id: str, event: NewEvent, platform: Platform) -> None:
    run = run_in_hand.get()
    if run is not None and run.attempt is not None:
        work = platform.work if bridge.is_spare() else run.work
        await work.emit(task_id, run.attempt, [event])
        return
    with suppress(ModuleException):  # a finished task accepts no more events
        await platform.tasks.push(task_id, [event])
