"""The wrapper around an agent's model: every model call and every tool call of a run passes through here.

Agno answers a model error with a run whose content is the error's text, and drops the exception with its status and
headers; the wrapper keeps it. It is also the place where a run is told to end before it pays for another call.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from worker.agents.questions import ParsedCall, Question, question_of, with_ids
from worker.agents.replay import Replay, key_of, place_of
from worker.agents.tool_calls import ToolCall
from worker.current import Run, call_in_hand
from worker.words.watching import ModelCall, ToolCalled, watched

if TYPE_CHECKING:
    from agno.models.base import Model

AnyModel = TypeVar("AnyModel", bound="Model")

KEPT_FAILURES = 20  # of a run that fails over and over; the last ones explain its end
ENDING_SECONDS = 1.0  # what a cancelled run's members get to end; a stop is to be felt within a second

_wrapped_classes: dict[type, type] = {}


class Calls:
    """What one run's model and tool calls leave behind.

    Args:
        task_id: The task.
        run: The attempt in whose name the calls are made, if it is one.
    """

    def __init__(self, task_id: str = "", run: Run | None = None) -> None:
        self.task_id = task_id
        self.failures: deque[BaseException] = deque(maxlen=KEPT_FAILURES)
        self.results: dict[str, Any] = {}
        self.replay: Replay | None = None
        self._run = run
        self._owner: asyncio.Task[Any] | None = None
        self._others: set[asyncio.Task[Any]] = set()
        self._ended = False

    def check(self) -> None:
        """Raise ``CancelledError`` if the run should end."""
        if self._run is not None and self._run.stopping:
            raise asyncio.CancelledError(self._run.stopping.reason)
        if self._ended:
            raise asyncio.CancelledError("the run has ended")
        self._remember(asyncio.current_task())

    def begin(self) -> None:
        """The run begins, in this task."""
        self._owner = asyncio.current_task()

    async def end(self) -> None:
        """The run was cancelled: so is what Agno started for it and leaves to itself, a team's members above all."""
        self._ended = True
        for task in self._others:
            task.cancel()
        if self._others:
            await asyncio.wait(self._others, timeout=ENDING_SECONDS)

    def failure(self, text: str) -> BaseException | None:
        """The exception whose text Agno reports, the latest first."""
        for each in reversed(self.failures):
            if str(each) == text:
                return each
        return next((each for each in reversed(self.failures) if str(each) and str(each) in text), None)

    def _remember(self, task: asyncio.Task[Any] | None) -> None:
        if task is not None and task is not self._owner and task not in self._others:
            self._others.add(task)
            task.add_done_callback(self._others.discard)

    def __deepcopy__(self, memo: dict[int, Any]) -> "Calls":
        return self  # Agno copies models for its own helpers; their calls are this run's too


class WatchedCalls:
    """The part of a wrapped model that is ours; the provider's class stands behind it."""

    _worker_calls: Calls

    async def ainvoke(self, *args: Any, **kwargs: Any) -> Any:
        """One answer of the model."""
        question = self._question(kwargs)
        with watched(self._call(streamed=False)) as call:
            try:
                known = question.known() if question else None
                if known:
                    call.replayed = True
                    return known[0]
                answer = await super().ainvoke(*args, **kwargs)  # type: ignore[misc] - the provider's class is mixed in
            except Exception as error:
                self._failed(question, error)
                raise
            _count(call, answer)
        if question:
            question.answered(answer)
        return answer

    async def ainvoke_stream(self, *args: Any, **kwargs: Any) -> AsyncIterator[Any]:
        """One answer of the model, piece by piece."""
        question = self._question(kwargs)
        stream: Any = None
        is_complete = False
        with watched(self._call(streamed=True)) as call:
            try:
                known = question.known() if question else None
                call.replayed = known is not None
                if question and known is None:
                    question.begin_stream()
                stream = super().ainvoke_stream(*args, **kwargs) if known is None else None  # type: ignore[misc] - the same
                async for delta in stream if known is None else _all(known):
                    if question and known is None:
                        question.hear(delta)
                    _count(call, delta)
                    yield delta
                is_complete = True
            except Exception as error:
                self._failed(question, error)
                raise
            finally:
                if question and not is_complete:
                    question.broke_off()
                close = getattr(stream, "aclose", None)
                if close is not None:
                    await close()  # a cancelled run must let go of the connection now, not when it is collected
        if question and known is None:
            question.heard(self)

    async def arun_function_call(self, function_call: Any) -> Any:
        """One tool call. Agno turns its result into text; the event about it carries the value itself."""
        calls = self._worker_calls
        calls.check()
        place = place_of(function_call, calls.replay)
        token = call_in_hand.set(partial(key_of, calls.task_id, place, function_call))
        try:
            with watched(ToolCalled(tool=function_call.function.name, call_id=function_call.call_id or "")) as call:
                done = (
                    await self._called(function_call)
                    if calls.replay is None
                    else await self._journaled(ToolCall(calls.replay, place, function_call), function_call, call)
                )
                call.failed = done[0] is not True
                return done
        finally:
            call_in_hand.reset(token)

    def parse_tool_calls(self, tool_calls_data: list[Any]) -> list[dict[str, Any]]:
        """Tool calls from the pieces of a stream; those of the journal are whole already."""
        if tool_calls_data and all(isinstance(each, ParsedCall) for each in tool_calls_data):
            return [dict(each) for each in tool_calls_data]
        calls = super().parse_tool_calls(tool_calls_data)  # type: ignore[misc] - the provider's class is mixed in
        with_ids(calls)
        return calls

    def _call(self, *, streamed: bool) -> ModelCall:
        model: Any = self
        return ModelCall(model=str(model.id), provider=str(model.provider or model.name or ""), streamed=streamed)

    def _question(self, arguments: dict[str, Any]) -> Question | None:
        calls = self._worker_calls
        calls.check()
        return question_of(calls.replay, self, arguments) if calls.replay is not None else None

    def _failed(self, question: Question | None, error: Exception) -> None:
        self._worker_calls.failures.append(error)
        if question is not None:
            question.failed(error)

    async def _journaled(self, call: ToolCall, function_call: Any, seen: ToolCalled) -> Any:
        done = call.known()
        if done is not None:
            seen.replayed = True
            return done
        await call.begins()
        try:
            done = await self._called(function_call)
        except asyncio.CancelledError:
            call.cut()
            raise
        return call.completed(done)

    async def _called(self, function_call: Any) -> Any:
        done = await super().arun_function_call(function_call)  # type: ignore[misc] - the provider's class is mixed in
        result = done[2].result
        if not hasattr(result, "__next__") and not hasattr(result, "__anext__"):
            self._worker_calls.results[function_call.call_id] = result
        return done


def _count(call: ModelCall, answer: Any) -> None:
    """Add the tokens that an answer, or a piece of one, tells of; Agno adds the pieces' up too."""
    usage = answer.response_usage
    if usage is not None:
        call.input_tokens += usage.input_tokens or 0
        call.output_tokens += usage.output_tokens or 0
        call.cache_read_tokens += usage.cache_read_tokens or 0
        call.cache_write_tokens += usage.cache_write_tokens or 0


async def _all(items: list[Any]) -> AsyncIterator[Any]:
    for item in items:
        yield item


def wrapped(model: AnyModel, calls: Calls) -> AnyModel:
    """A copy of a model, for one run, whose calls leave their traces in ``calls``; the model itself is unchanged."""
    open_client(model)
    own = object.__new__(_wrapped_class(type(model)))
    own.__dict__.update(model.__dict__)
    own.__dict__["_worker_calls"] = calls
    return own


def _wrapped_class(provider: type) -> type:
    known = _wrapped_classes.get(provider)
    if known is None:
        # a subclass, not an assignment to __class__: providers' classes differ in layout
        known = type(provider.__name__, (WatchedCalls, provider), {"__module__": provider.__module__})
        _wrapped_classes[provider] = known
    return known


def open_client(model: Any) -> None:
    """Have a model open its client where Agno keeps it, on the model: else every run's copy opens one of its own.

    What goes wrong here (a missing key) goes wrong again, and is reported, where the model is called.
    """
    for attribute, getter in (("async_client", "get_async_client"), ("client", "get_client")):
        if attribute in model.__dict__ and hasattr(model, getter):
            if model.__dict__[attribute] is None:
                try:
                    getattr(model, getter)()
                except Exception:  # noqa: BLE001 - whatever it is, the call itself reports it
                    return
            return
