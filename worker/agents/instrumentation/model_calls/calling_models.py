"""Making model calls: streamed or not, async or sync."""

from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing
from functools import partial
from typing import Any

from worker.agents.answers.completeness import call_model, call_model_sync
from worker.agents.answers.reading import current_reading
from worker.agents.instrumentation.model_calls.model_call import ModelCall
from worker.agents.instrumentation.model_calls.silence import (
    AT_ONCE,
    read_stream,
    read_stream_sync,
    within,
    within_sync,
)
from worker.agents.models.clients import disable_retries, prepare_client
from worker.words.watching import watched


async def whole(call: ModelCall, original: Any) -> Any:
    """Make a call whose answer is not streamed."""
    with watched(call.stretch):
        try:
            known = await call.from_journal()
            if known is not None:
                return known[0]
            prepare_client(call.model)
            disable_retries(call.model, "async_client")
            token = current_reading.set(call.reading)
            try:
                answer = await within(call_model(original, call.model, call.arguments), call.silence * AT_ONCE)
            finally:
                current_reading.reset(token)
            call.check(answer)
        except Exception as error:
            await call.report_failure(error)
            call.failed(error)
            raise
        await call.answered(answer)
        return answer


def whole_sync(call: ModelCall, original: Any, run: Any) -> Any:
    """Sync version of ``whole``."""
    with watched(call.stretch):
        try:
            known = run.on_loop(call.from_journal)
            if known is not None:
                return known[0]
            disable_retries(call.model, "client")
            token = current_reading.set(call.reading)
            try:
                answer = _call_model_sync(call, original, run)
            finally:
                current_reading.reset(token)
            run.call(call.check, answer)
        except Exception as error:
            run.on_loop(partial(call.report_failure, error))
            run.call(call.failed, error)
            raise
        run.on_loop(partial(call.answered, answer))
        return answer


def _call_model_sync(call: ModelCall, original: Any, run: Any) -> Any:
    ask = partial(call_model_sync, original, call.model, call.arguments)
    return within_sync(ask, call.silence * AT_ONCE, run.check)


async def streamed(call: ModelCall, original: Any) -> AsyncIterator[Any]:
    """Make a call whose answer is streamed."""
    stream: Any = None
    is_complete = False
    with watched(call.stretch):
        try:
            known = await call.from_journal()
            if known is not None:
                for delta in known:
                    yield delta
                is_complete = True
                return
            prepare_client(call.model)
            disable_retries(call.model, "async_client")
            stream = original(call.model, **call.arguments)
            async with aclosing(read_stream(stream, call.model, call.reading, call.silence)) as pieces:
                async for delta in pieces:
                    call.add_chunk(delta)
                    yield delta
            call.check_whole()
            is_complete = True
        except Exception as error:
            await call.report_failure(error)
            call.failed(error)
            raise
        finally:
            if not is_complete:
                call.abort_stream()
            if stream is not None:
                await stream.aclose()  # a cancelled run must release the connection now, not at garbage collection
        await call.complete_stream()


def streamed_sync(call: ModelCall, original: Any, run: Any) -> Iterator[Any]:
    """Sync version of ``streamed``."""
    is_complete = False
    with watched(call.stretch):
        try:
            known = run.on_loop(call.from_journal)
            if known is not None:
                yield from known
                is_complete = True
                return
            disable_retries(call.model, "client")
            stream = original(call.model, **call.arguments)
            for delta in read_stream_sync(stream, call.model, call.reading, call.silence, run.check):
                call.add_chunk(delta)
                yield delta
            run.call(call.check_whole)
            is_complete = True
        except Exception as error:
            run.on_loop(partial(call.report_failure, error))
            run.call(call.failed, error)
            raise
        finally:
            if not is_complete:
                call.abort_stream()
        run.on_loop(call.complete_stream)
