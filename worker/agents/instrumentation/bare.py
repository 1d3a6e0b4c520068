"""Runs that a handler makes without `run_agent`: nothing of them is journaled, but how they end is seen."""

from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from typing import Any

from worker.agents.answers import AnswerError, Reading, read_answers_of, reading_in_hand
from worker.agents.bounds import bounds_of
from worker.agents.completeness import Answered, provider_error, says_something, settled, tokens_of
from worker.agents.endings import ERRORS, PAUSES
from worker.agents.errors import give_words
from worker.agents.instrumentation.askers import asker_of
from worker.agents.instrumentation.patience import AT_ONCE, heard_within, read_with, within
from worker.current import Run, run_in_hand
from worker.words.bare_runs import BareRun
from worker.words.usage import Usage


def attempt_in_hand() -> Run | None:
    """The attempt whose handler makes a run by itself; none: no handler does."""
    run = run_in_hand.get()
    return None if run is None or run.attempt is None else run


class BareCall:
    """A model call of such a run.

    Args:
        run: The attempt.
        model: The model that is asked.
        arguments: What Agno calls it with.
        is_streamed: Whether its answer comes in pieces.
    """

    def __init__(self, run: Run, model: Any, arguments: dict[str, Any], *, is_streamed: bool) -> None:
        self._run = run
        self._model = model
        self.reading = Reading(streamed=is_streamed)
        self.silence = bounds_of(run).silence
        self._is_answer = asker_of(arguments).is_agent
        self._holds = self._has_calls = False
        read_answers_of(type(model))

    def hear(self, answer: Any) -> None:
        """Take in an answer, or a piece of one."""
        self._holds = self._holds or says_something(answer)
        self._has_calls = self._has_calls or bool(answer.tool_calls)
        usage_of(self._run).add(tokens_of(answer, self._model))

    def check(self) -> None:
        """See whether what has come is an answer; a helper's may be empty.

        Raises:
            AnswerError: It is none that counts.
        """
        reason = self.reading.settle(has_calls=self._has_calls)
        if self._is_answer:
            settled(Answered(reason, self._has_calls, self._holds), self.reading, self._run.incomplete)

    def failed(self, error: Exception) -> None:
        """Take note of what came instead of an answer.

        Raises:
            ModelProviderError: In the place of an error of ours, which Agno does not know.
        """
        give_words(error)
        if not isinstance(error, AnswerError):
            self._run.bare.failures.append(error)
            return
        raised = provider_error(error, self._model)
        self._run.bare.failures.append(raised)
        raise raised from error


def usage_of(run: Run) -> Usage:
    """What the bare runs of an attempt use, together."""
    if run.bare.usage is None:
        run.bare.usage = Usage()
        run.used.append(run.bare.usage)
    return run.bare.usage


async def whole(run: Run, original: Any, model: Any, arguments: dict[str, Any]) -> Any:
    """Make a call whose answer comes in one piece."""
    call = BareCall(run, model, arguments, is_streamed=False)
    token = reading_in_hand.set(call.reading)
    try:
        answer = await within(original(model, **arguments), call.silence * AT_ONCE)
        call.hear(answer)
        call.check()
    except Exception as error:
        call.failed(error)
        raise
    finally:
        reading_in_hand.reset(token)
    return answer


def whole_sync(run: Run, original: Any, model: Any, arguments: dict[str, Any]) -> Any:
    """Make it from plain code."""
    call = BareCall(run, model, arguments, is_streamed=False)
    token = reading_in_hand.set(call.reading)
    try:
        answer = original(model, **arguments)
        call.hear(answer)
        call.check()
    except Exception as error:
        call.failed(error)
        raise
    finally:
        reading_in_hand.reset(token)
    return answer


async def streamed(run: Run, original: Any, model: Any, arguments: dict[str, Any]) -> AsyncGenerator[Any]:
    """Make a call whose answer comes piece by piece."""
    call = BareCall(run, model, arguments, is_streamed=True)
    try:
        async for delta in heard_within(original(model, **arguments), call.reading, call.silence):
            call.hear(delta)
            yield delta
        call.check()
    except Exception as error:
        call.failed(error)
        raise


def streamed_sync(run: Run, original: Any, model: Any, arguments: dict[str, Any]) -> Iterator[Any]:
    """Make it from plain code."""
    call = BareCall(run, model, arguments, is_streamed=True)
    try:
        for delta in read_with(original(model, **arguments), call.reading):
            call.hear(delta)
            yield delta
        call.check()
    except Exception as error:
        call.failed(error)
        raise


def watched(run: Run, owner: Any, result: Any) -> Any:
    """Pass on what a run of an agent, team or workflow answers, and look at how it ends."""
    if isinstance(result, AsyncIterator):
        return _iterated(run, owner, result)
    if isinstance(result, Iterator):
        return _iterated_sync(run, owner, result)
    if hasattr(result, "__await__"):
        return _awaited(run, owner, result)
    _look(run, owner, result)
    return result


async def _awaited(run: Run, owner: Any, result: Any) -> Any:
    answer = await result
    _look(run, owner, answer)
    return answer


async def _iterated(run: Run, owner: Any, items: AsyncIterator[Any]) -> AsyncGenerator[Any]:
    try:
        async for item in items:
            _look(run, owner, item)
            yield item
    finally:
        close = getattr(items, "aclose", None)
        if close is not None:
            await close()


def _iterated_sync(run: Run, owner: Any, items: Iterator[Any]) -> Iterator[Any]:
    for item in items:
        _look(run, owner, item)
        yield item


def _look(run: Run, owner: Any, item: Any) -> None:
    """Take note of a run that failed, or waits for a person."""
    status = str(getattr(getattr(item, "status", None), "value", ""))
    event = getattr(item, "event", None)
    name = str(getattr(owner, "name", None) or getattr(owner, "id", None) or type(owner).__name__)
    text = str(getattr(item, "error", None) or getattr(item, "content", None) or "")
    if status == "ERROR" or event in ERRORS:
        run.bare.ended.append(BareRun(name, text, run.bare.behind(text)))
    elif status == "PAUSED" or event in PAUSES:
        run.bare.ended.append(BareRun(name, text, output=item))
