"""Limits on a model's silence, and the reading of its answer while the chunks arrive."""

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from concurrent.futures import Future
from concurrent.futures import wait as wait_for
from contextvars import copy_context
from queue import Empty, SimpleQueue
from typing import Any

from worker.agents.answers.completeness import says_something
from worker.agents.answers.errors import SilentModel, unreadable_in
from worker.agents.answers.reading import Reading, current_reading
from worker.threads import MODEL_CALLS, waited

AT_ONCE = 5
"""The factor by which an answer that is not streamed may exceed the silence limit: 120 seconds become the 600 that the
clients of OpenAI and Anthropic allow for such a request."""

POLL_SECONDS = 0.25
"""How often sync code that waits for a model checks whether its run should end: a stop takes effect within a second."""

_END = object()


async def stream_within(stream: AsyncIterator[Any], reading: Reading, seconds: float) -> AsyncGenerator[Any]:
    """Pass on the chunks of an answer as long as the model is not silent for too long.

    A chunk without content shows that the connection is alive, but not the model.

    Args:
        stream: The chunks.
        reading: Reads the chunks as they are parsed.
        seconds: Seconds for which the model may send nothing.

    Raises:
        SilentModel: The model was silent for too long.
    """
    loop = asyncio.get_running_loop()
    silent_at = loop.time() + seconds
    while True:
        token = current_reading.set(reading)
        try:
            delta = await within(anext(stream), silent_at - loop.time(), said=seconds)
        except StopAsyncIteration:
            return
        except Exception as error:
            _raise_unreadable(error)
            raise
        finally:
            current_reading.reset(token)
        now = loop.time()
        if _is_sign_of_life(delta):
            silent_at = now + seconds
        yield delta
        silent_at += loop.time() - now  # time that the reader takes does not count


def stream_within_sync(
    stream: Iterator[Any], reading: Reading, seconds: float, check: Callable[[], object]
) -> Iterator[Any]:
    """Sync version of ``stream_within``: a thread reads the chunks, and is abandoned if the model is silent.

    Args:
        stream: The chunks.
        reading: Reads the chunks as they are parsed.
        seconds: Seconds for which the model may send nothing.
        check: Raises if the answer is no longer needed.

    Raises:
        SilentModel: The model was silent for too long.
    """
    pieces: SimpleQueue[tuple[Any, BaseException | None]] = SimpleQueue()
    is_over: list[bool] = []

    def take() -> None:
        try:
            for piece in _read_with(stream, reading):
                pieces.put((piece, None))
                if is_over:
                    return
            pieces.put((_END, None))
        except BaseException as error:  # noqa: BLE001 - raised again in the waiting thread
            pieces.put((_END, error))
        finally:
            close = getattr(stream, "close", None)
            if close is not None:
                close()

    taking: Future[Any] = MODEL_CALLS.submit(copy_context().run, take)
    try:
        silent_at = time.monotonic() + seconds
        while True:
            piece, error = _next_of(pieces, silent_at, seconds, check)
            if error is not None:
                raise error
            if piece is _END:
                return
            now = time.monotonic()
            if _is_sign_of_life(piece):
                silent_at = now + seconds
            yield piece
            silent_at += time.monotonic() - now  # time that the reader takes does not count
    finally:
        is_over.append(True)
        taking.cancel()


def _next_of(pieces: "SimpleQueue[Any]", silent_at: float, seconds: float, check: Callable[[], object]) -> Any:
    while True:
        try:
            return pieces.get(timeout=max(0.0, min(silent_at - time.monotonic(), POLL_SECONDS)))
        except Empty:
            check()
            _check_time(silent_at, seconds)


def _read_with(stream: Iterator[Any], reading: Reading) -> Iterator[Any]:
    """Pass on the chunks of an answer, with the reading set while each is parsed."""
    while True:
        token = current_reading.set(reading)
        try:
            delta = next(stream)
        except StopIteration:
            return
        except Exception as error:
            _raise_unreadable(error)
            raise
        finally:
            current_reading.reset(token)
        yield delta


def _raise_unreadable(error: BaseException) -> None:
    unreadable = unreadable_in(error)
    if unreadable is not None:
        raise unreadable from error


def within_sync(ask: Callable[[], Any], seconds: float, check: Callable[[], object]) -> Any:
    """Wait in sync code for a model's answer: a thread makes the call, and is abandoned if it takes too long.

    Args:
        ask: Makes the call and returns the answer.
        seconds: How long the call may take.
        check: Raises if the answer is no longer needed.

    Raises:
        SilentModel: The call took longer.
    """
    asking: Future[Any] = MODEL_CALLS.submit(copy_context().run, ask)
    silent_at = time.monotonic() + seconds
    try:
        while not wait_for([asking], max(0.0, min(silent_at - time.monotonic(), POLL_SECONDS))).done:
            check()
            _check_time(silent_at, seconds)
    finally:
        asking.cancel()  # no effect on a finished call
    return waited(asking)


def _check_time(silent_at: float, seconds: float) -> None:
    if time.monotonic() >= silent_at:
        raise SilentModel(seconds)


async def within(answer: Any, seconds: float, *, said: float | None = None) -> Any:
    """Await a model's answer within a time limit.

    Args:
        answer: The awaitable.
        seconds: How long it may take.
        said: The number of seconds to report in an error, if different.

    Raises:
        SilentModel: It took longer.
    """
    limit = asyncio.timeout(max(seconds, 0))
    try:
        async with limit:
            return await answer
    except TimeoutError as error:
        if limit.expired():
            raise SilentModel(said if said is not None else seconds) from error
        raise


def _is_sign_of_life(delta: Any) -> bool:
    """Return whether a chunk of an answer shows that the model is working."""
    return bool(says_something(delta) or delta.tool_calls or delta.reasoning_content or delta.response_usage)
