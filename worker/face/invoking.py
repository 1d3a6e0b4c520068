"""A single tool call: validated, limited in time and, within a task, logged and journaled."""

import asyncio
import inspect
import json
import time
from collections.abc import Callable, Coroutine, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol, cast

from worker import registry
from worker.agents.journal import too_large
from worker.agents.tools.local_tools import LocalTool, UnfitPayload, check_payload
from worker.agents.translation.tool_events import request_event, result_event, shown
from worker.current import REASON_DRAIN, Run, current_call_key, run_in_hand
from worker.face import bridge
from worker.face.changes import as_json
from worker.face.configuration import Configuration
from worker.face.journaling import emit, load, noted
from worker.redaction import message_to_show
from worker.threads import in_thread
from worker.words.digests import digest
from worker.words.errors import ModuleException, ValidationError
from worker.words.events import NewEvent
from worker.words.ids import new_id
from worker.words.tools import ToolInvocationResult, ToolRecord
from worker.words.usage import Usage
from worker.words.work import JournalEntry

UNFIT, TOO_LONG, FAILED = 422, 504, 500
AWAY_SECONDS = 15.0  # added to a tool's own time limit if another process calls it
CANCEL_SECONDS = 1.0  # for a cancelled call to end
KEPT = frozenset({"status_code", "result", "is_success", "is_error", "error", "execution_time"})


class Callee(Protocol):
    """A tool, as far as a call needs it."""

    @property
    def record(self) -> ToolRecord:
        """The tool's record."""
        ...

    @property
    def local(self) -> LocalTool | None:
        """The function behind the tool, if this process has it."""
        ...


@dataclass(slots=True)
class Invocation:
    """A requested tool call.

    Args:
        tool: The tool, as it is passed to hooks.
        payload: The arguments.
        task_id: The task that the call belongs to; None means the current run's, if any.
    """

    tool: Callee
    agent_id: str
    payload: Any
    task_id: str | None = None
    tool_call_id: str | None = None
    agent_version: str | int | None = None
    payload_extension: Mapping[str, Any] | None = None
    configuration: Configuration | None = None
    key: str | None = field(default=None, init=False)  # the idempotency key of a call within a run

    async def make(self) -> ToolInvocationResult:
        """Make the call, or return the result that an earlier attempt of the same run has journaled.

        Raises:
            asyncio.CancelledError: The run should end.
            LeaseLost: The attempt no longer owns its task.
        """
        if self.payload_extension and isinstance(self.payload, dict):
            self.payload = _merged(self.payload, self.payload_extension)
        run = run_in_hand.get()
        if run is not None and self.task_id in (None, run.task_id):
            self.task_id = run.task_id
            if run.attempt is not None:
                return await self._in_run(run)
        if self.task_id is not None:
            return await self._call_for_other_task(self.task_id)
        return await self._called()

    async def make_unlogged(self) -> ToolInvocationResult:
        """Make the call for an agent, whose own run logs and journals it."""
        outer = current_call_key.get()
        self.key = outer() if outer is not None else None
        return await self._called()

    async def _in_run(self, run: Run) -> ToolInvocationResult:
        """Make the call within an attempt: completed calls are not repeated, and the log has each call once."""
        if run.stopping:
            raise asyncio.CancelledError(run.stopping.reason)
        place = self._place(run)
        self.key = f"{run.task_id}:{place}"
        request_id = f"call_{digest(self.key)}"
        self._count(run)
        journal = run.journal
        if journal is not None:
            await bridge.across(partial(load, run))
            known = noted(run, place)
            if known is not None:
                result = self._result(**{name: known.value[name] for name in KEPT if name in known.value})
                journal.unemitted([self._request(request_id), self._answer(request_id, result)])
                return await self._called() if self._is_redone else result
        request = [self._request(request_id)]
        await bridge.across(partial(emit, run, request if journal is None else journal.unemitted(request), ()))
        result = _as_json(await self._called())
        if not result.is_success and run.leaving():  # the failure may be due to the signal, which reaches every process
            raise asyncio.CancelledError(REASON_DRAIN)
        events, rows = [self._answer(request_id, result)], list[JournalEntry]()
        if journal is not None:
            row = journal.row(journal.root, "step", place, result.model_dump(mode="json", include=set(KEPT)))
            rows = [row] if row else []
            events = [*journal.unemitted(events), *([] if row else [too_large(f"The result of {self._name}")])]
        await bridge.across(partial(emit, run, events, rows))
        return result

    @property
    def _is_redone(self) -> bool:
        """Whether a completed call is repeated, for the state that it leaves in the process."""
        return self.tool.local is not None and self.tool.local.tool.resume == "redo"

    def _place(self, run: Run) -> str:
        """Return the call's key in the journal: tool, arguments and outer call, numbered if there are several alike."""
        outer = current_call_key.get()
        what = digest([self.agent_id, self.payload, outer() if outer is not None else None])
        name = f"tool:{self._name}:{what[:12]}"
        return name if run.journal is None else run.journal.step(name)

    def _count(self, run: Run) -> None:
        if not any(self._name in each.tools for each in run.used):
            run.used.append(Usage(tools={self._name: None}))

    async def _call_for_other_task(self, task_id: str) -> ToolInvocationResult:
        """Make the call for a task that this process is not running, and log it there unless the task has finished."""
        request_id = f"call_{new_id()}"
        await self._push(task_id, self._request(request_id))
        result = await self._called()
        await self._push(task_id, self._answer(request_id, _as_json(result)))
        return result

    async def _push(self, task_id: str, event: NewEvent) -> None:
        with suppress(ModuleException):  # a finished task accepts no more events; the call is made anyway
            await bridge.across(lambda platform: platform.tasks.push(task_id, [event]), self.configuration)

    async def _called(self) -> ToolInvocationResult:
        """Make the call, and call the hooks around it. The result contains any exception of the tool."""
        hooks = registry.default.tools.hooks
        await self._hook(hooks.before)
        try:
            record = self.tool.record
            payload = await bridge.across(lambda _: check_payload(record, self.payload), self.configuration)
        except UnfitPayload as unfit:
            result, raised = self._failed(UNFIT, f"Invalid payload for tool {self._name!r}: {unfit}"), unfit
        else:
            result, raised = await self._in_time(payload)
        if result.is_success:
            await self._hook(hooks.after, result.result)
        else:
            await self._hook(hooks.error, raised or RuntimeError(result.error))
        return result

    async def _in_time(self, payload: dict[str, Any]) -> tuple[ToolInvocationResult, BaseException | None]:
        began, seconds = time.perf_counter(), self.tool.record.timeout
        if self.tool.local is None:
            seconds += AWAY_SECONDS
        token = current_call_key.set(None if self.key is None else partial(str, self.key))
        try:
            call = asyncio.create_task(_caught(self._make_call(payload)))
        finally:
            current_call_key.reset(token)
        try:
            await asyncio.wait([call], timeout=seconds)
        except asyncio.CancelledError:
            call.cancel()
            await asyncio.wait([call], timeout=CANCEL_SECONDS)
            raise
        took = time.perf_counter() - began
        if not call.done():
            call.cancel()
            result = self._failed(TOO_LONG, f"{self._name} exceeded its time limit of {seconds:g} s and was ended")
            result.execution_time = took
            return result, TimeoutError(result.error)
        answer, raised = (None, asyncio.CancelledError()) if call.cancelled() else call.result()
        return self._of(answer, raised, took), raised

    def _of(self, answer: Any, raised: BaseException | None, took: float) -> ToolInvocationResult:
        if isinstance(raised, UnfitPayload):
            result = self._failed(UNFIT, f"Invalid payload for tool {self._name!r}: {raised}")
        elif isinstance(raised, ModuleException):
            result = self._failed(raised.status_code or FAILED, message_to_show(raised))
        elif raised is not None:
            result = self._failed(FAILED, message_to_show(raised) or type(raised).__name__)
        elif isinstance(answer, ToolInvocationResult):
            return self._result(**answer.model_dump(include=set(KEPT)))
        else:
            result = self._result(result=shown(answer), is_success=True)
        result.execution_time = took
        return result

    async def _make_call(self, payload: dict[str, Any]) -> Any:
        if self.tool.local is not None:
            return await self.tool.local.call(payload)
        return await bridge.across(
            lambda platform: platform.tasks.invoke_tool(self.agent_id, self._name, payload, key=self.key),
            self.configuration,
        )

    async def _hook(self, hooks: list[Callable[..., Any]], *last: Any) -> None:
        given = (self.tool, self.payload, self.payload_extension, self.tool_call_id, self.agent_version, *last)
        for hook in hooks:
            await run_hook(hook, given)

    @property
    def _name(self) -> str:
        return self.tool.record.name

    def _result(self, **more: Any) -> ToolInvocationResult:
        return ToolInvocationResult(
            tool_id=self._name,
            tool_call_id=self.tool_call_id,
            task_id=self.task_id,
            payload=self.payload,
            is_local=self.tool.local is not None,
            **more,
        )

    def _failed(self, status: int, error: str) -> ToolInvocationResult:
        return self._result(status_code=status, result=error, error=error, is_error=True)

    def _request(self, request_id: str) -> NewEvent:
        return request_event(request_id, self._name, _arguments(self.payload))

    def _answer(self, request_id: str, result: ToolInvocationResult) -> NewEvent:
        given = _arguments(self.payload)
        return result_event(request_id, self._name, given, result.result, is_error=not result.is_success)


async def run_hook(hook: Callable[..., Any], given: tuple[Any, ...]) -> None:
    """Call a hook. Its exceptions are logged."""
    try:
        if inspect.iscoroutinefunction(hook):
            await hook(*given)
        else:
            answer = await in_thread(hook, *given)
            if inspect.isawaitable(answer):
                await answer
    except Exception as error:  # noqa: BLE001 - a hook must not affect the call
        import structlog

        name = getattr(hook, "__name__", repr(hook))
        structlog.get_logger("worker").warning("tool hook failed", hook=name, reason=message_to_show(error))


async def _caught(call: Coroutine[Any, Any, Any]) -> tuple[Any, BaseException | None]:
    """Return a call's result or its exception: a SystemExit, for example, would otherwise end the loop."""
    try:
        return await call, None
    except asyncio.CancelledError:
        raise
    except BaseException as error:  # noqa: BLE001 - any exception of a tool is part of its result
        return None, error


def _as_json(result: ToolInvocationResult) -> ToolInvocationResult:
    """Convert a result as the log and journal would return it; one that cannot be put into JSON is a failure."""
    try:
        result.result = json.loads(as_json(result.result, f"The result of {result.tool_id}"))
    except ValidationError as error:
        said = error.description
        result.status_code, result.is_success, result.is_error = FAILED, False, True
        result.error = result.result = said
    return result


def _arguments(payload: Any) -> dict[str, Any]:
    return cast("dict[str, Any]", payload) if isinstance(payload, dict) else {"payload": payload}


def _merged(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """Merge two dictionaries recursively; values of the second take precedence."""
    merged = dict(one)
    for name, value in other.items():
        mine = merged.get(name)
        both = isinstance(mine, dict) and isinstance(value, dict)
        merged[name] = _merged(cast("dict[str, Any]", mine), cast("dict[str, Any]", value)) if both else value
    return merged
