"""Model calls of runs that a handler makes without `run_agent`: not journaled, but their outcome is recorded."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterator
from contextvars import ContextVar
from functools import partial
from typing import Any

from worker.agents.answers.completeness import (
    Answered,
    call_model,
    call_model_sync,
    cut_short,
    provider_error,
    says_something,
    settled,
    tokens_of,
)
from worker.agents.answers.errors import AnswerError
from worker.agents.answers.reading import Reading, current_reading, read_answers_of
from worker.agents.errors import ensure_message, is_prevented_call, provider_is_away
from worker.agents.instrumentation.bare_notes import failed, usage_of
from worker.agents.instrumentation.frames import has_configured_recovery
from worker.agents.instrumentation.model_calls.callers import caller_of
from worker.agents.instrumentation.model_calls.silence import (
    AT_ONCE,
    read_stream,
    read_stream_sync,
    within,
    within_sync,
)
from worker.agents.instrumentation.runs.bare_runs import owners
from worker.agents.models import providers
from worker.agents.models.clients import disable_retries, prepare_client
from worker.agents.runs.bounds import bounds_of
from worker.agents.runs.loops import keeps_tools, reason_to_end
from worker.current import Run
from worker.threads import waited
from worker.words.finish import FinishReason, is_whole
from worker.words.providers import ProviderState


class BareCall:
    """A model call of a run made without `run_agent`.

    Args:
        run: The attempt.
        model: The model.
        arguments: The arguments with which Agno calls the model.
        is_streamed: Whether the answer is streamed.
    """

    def __init__(self, run: Run, model: Any, arguments: dict[str, Any], *, is_streamed: bool) -> None:
        self.run = run
        self.check_run()
        self._model = model
        self.reading = Reading(streamed=is_streamed)
        self._bounds = bounds_of(run)
        self.silence = self._bounds.silence
        self._provider = providers.provider_of(model)
        self._is_answer = caller_of(arguments).is_answer
        self._last = self._reason_to_end(arguments)
        self.arguments = arguments
        if self._last is not None and not keeps_tools(model):
            self.arguments = {**arguments, "tools": None, "tool_choice": None}
        self._holds = self._has_calls = False
        self.drops_calls = False
        """Whether the answer's tool calls are ignored: it was cut short, or should have been the last one."""
        read_answers_of(type(model))
        _call_in_hand.set(self)

    def check_run(self) -> None:
        """Raise ``CancelledError`` if the run should end."""
        if self.run.stopping:
            raise asyncio.CancelledError(self.run.stopping.reason)

    async def begin(self) -> None:
        """Check whether the provider is available.

        Raises:
            CancelledError: The provider is unavailable, and the task waits for it.
        """
        state = await providers.away(self.run, self._provider)
        if state is not None:
            self._wait_for(state)

    async def answered(self) -> None:
        """Report a successful call to the provider's state."""
        await providers.answered(self.run, self._provider)

    def add_chunk(self, answer: Any) -> None:
        """Record an answer, or a chunk of one."""
        self._holds = self._holds or says_something(answer)
        self._has_calls = self._has_calls or bool(answer.tool_calls)
        usage_of(self.run).add(tokens_of(answer, self._model))

    def check(self) -> None:
        """Check whether the answer is valid; a helper's answer may be empty.

        Raises:
            AnswerError: The answer is not valid.
        """
        reason = self.reading.settle(has_calls=self._has_calls)
        self.drops_calls = self._has_calls and (self._last is not None or reason is not FinishReason.ToolCalls)
        if self._last is not None and is_whole(reason):
            reason = self._last
        if not self._is_answer:
            return
        has_calls = self._has_calls and not self.drops_calls
        try:
            reason = settled(Answered(reason, has_calls, self._holds), self.reading, self.run.incomplete)
        except AnswerError as error:
            usage_of(self.run).finish = error.reason or usage_of(self.run).finish
            raise
        if reason is not FinishReason.ToolCalls:  # after tool calls the run continues, or its reader has stopped
            usage_of(self.run).finish = reason
        if not is_whole(reason):
            self.run.bare.note(cut_short(reason, "the answer"))

    async def failed(self, error: Exception) -> None:
        """Handle a call that gave no answer.

        Raises:
            CancelledError: The task waits for the provider.
            ModelProviderError: Replaces an error of the worker, which Agno would not recognize.
        """
        await self.tell(error)
        self.note(error)

    async def tell(self, error: Exception) -> None:
        """Report a failed call to the provider's state.

        Raises:
            CancelledError: The task waits for the provider.
        """
        if not is_prevented_call(error):
            state = await providers.failed(self.run, self._provider, error)
            if state is not None:
                self._wait_for(state, error)

    def note(self, error: Exception) -> None:
        """Record the error of a call.

        Raises:
            ModelProviderError: Replaces an error of the worker, which Agno would not recognize.
        """
        ensure_message(error)
        if not isinstance(error, AnswerError):
            failed(error)
            return
        raised = provider_error(error, self._model)
        failed(raised)
        raise raised from error

    def _reason_to_end(self, arguments: dict[str, Any]) -> FinishReason | None:
        """Return why this has to be the agent's last answer; None if it may call more tools."""
        if not self._is_answer or not arguments.get("tools"):
            return None
        bounds, owner = self._bounds, next(reversed(owners.get()), None)
        return reason_to_end(arguments["messages"], repeats=bounds.tool_repeats, calls=bounds.calls_of(owner))

    def _wait_for(self, state: ProviderState, error: Exception | None = None) -> None:
        """Make the task wait for a provider, unless the user has configured what Agno does instead."""
        if has_configured_recovery(owners.get()):
            if error is None:
                raise provider_is_away(state)
            return
        raise providers.wait_for(self.run, state) from error


_call_in_hand: ContextVar[BareCall | None] = ContextVar("bare_call_in_hand", default=None)


def drops_calls() -> bool:
    """Return whether the tool calls of the current answer are ignored."""
    call = _call_in_hand.get()
    return call is not None and call.drops_calls


def _on_loop(run: Run, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run a coroutine on the attempt's loop, from sync code in another thread; on the loop's own thread, skip it."""
    if run.loop is not None and not run.is_on_loop():
        waited(asyncio.run_coroutine_threadsafe(work(), run.loop))


async def whole(run: Run, original: Any, model: Any, arguments: dict[str, Any]) -> Any:
    """Make a call whose answer is not streamed."""
    call = BareCall(run, model, arguments, is_streamed=False)
    await call.begin()
    prepare_client(model)
    disable_retries(model, "async_client")
    token = current_reading.set(call.reading)
    try:
        answer = await within(call_model(original, model, call.arguments), call.silence * AT_ONCE)
        call.add_chunk(answer)
        call.check()
    except Exception as error:
        await call.failed(error)
        raise
    finally:
        current_reading.reset(token)
    await call.answered()
    return _without_calls(call, answer)


def whole_sync(run: Run, original: Any, model: Any, arguments: dict[str, Any]) -> Any:
    """Sync version of ``whole``."""
    call = BareCall(run, model, arguments, is_streamed=False)
    _on_loop(run, call.begin)
    disable_retries(model, "client")
    token = current_reading.set(call.reading)
    try:
        answer = within_sync(
            partial(call_model_sync, original, model, call.arguments), call.silence * AT_ONCE, call.check_run
        )
        call.add_chunk(answer)
        call.check()
    except Exception as error:
        _on_loop(run, partial(call.tell, error))
        call.note(error)
        raise
    finally:
        current_reading.reset(token)
    _on_loop(run, call.answered)
    return _without_calls(call, answer)


def _without_calls(call: BareCall, answer: Any) -> Any:
    if call.drops_calls:
        answer.tool_calls = []
    return answer


async def streamed(run: Run, original: Any, model: Any, arguments: dict[str, Any]) -> AsyncGenerator[Any]:
    """Make a call whose answer is streamed."""
    call = BareCall(run, model, arguments, is_streamed=True)
    await call.begin()
    prepare_client(model)
    disable_retries(model, "async_client")
    try:
        stream = original(model, **call.arguments)
        async for delta in read_stream(stream, model, call.reading, call.silence):
            call.add_chunk(delta)
            yield delta
        call.check()
    except Exception as error:
        await call.failed(error)
        raise
    await call.answered()


def streamed_sync(run: Run, original: Any, model: Any, arguments: dict[str, Any]) -> Iterator[Any]:
    """Sync version of ``streamed``."""
    call = BareCall(run, model, arguments, is_streamed=True)
    _on_loop(run, call.begin)
    disable_retries(model, "client")
    try:
        stream = original(model, **call.arguments)
        for delta in read_stream_sync(stream, model, call.reading, call.silence, call.check_run):
            call.add_chunk(delta)
            yield delta
        call.check()
    except Exception as error:
        _on_loop(run, partial(call.tell, error))
        call.note(error)
        raise
    _on_loop(run, call.answered)
