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
from worker.agents.answers.unstreamed import answer_in
from worker.threads import MODEL_CALLS, waited

AT_ONCE = 5
"""The factor by which an answer that is not streamed may exceed the silence limit: 120 seconds become the 600 that the
clients of OpenAI and Anthropic allow for such a request."""

POLL_SECONDS = 0.25
"""How often sync code that waits for a model checks whether its run should end: a stop takes effect within a second."""

_END = object()


class SilenceLimit:
    """Limits how long a model may be silent within a streamed answer.

    One timer serves the whole answer: a timer for each chunk takes longer than the rest of our work on the chunk.

    Args:
        seconds: How long the model may send nothing. Only the time within the ``with`` block counts.

    Raises:
        SilentModel: At the end of the ``with`` block, if it took too long.
    """

    def __init__(self, seconds: float) -> None:
        self._loop = asyncio.get_running_loop()
        self._seconds = self._left = max(seconds, 0)
        self._until = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[Any] | None = None
        self._cancelled_before = 0
        self._is_up = False

    def restart(self) -> None:
        """Record a sign of life."""
        self._left = self._seconds

    def close(self) -> None:
        """Stop the timer."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def __enter__(self) -> None:
        self._task = task = asyncio.current_task()
        self._cancelled_before = task.cancelling() if task is not None else 0
        self._until = self._loop.time() + self._left
        if self._timer is None:
            self._timer = self._loop.call_at(self._until, self._look)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> None:
        task, self._task = self._task, None
        self._left = self._until - self._loop.time()
        if self._is_up and task is not None:
            self._is_up = False
            if task.uncancel() <= self._cancelled_before and kind is asyncio.CancelledError:
                raise SilentModel(self._seconds) from error

    def _look(self) -> None:
        self._timer = None
        if self._task is None:  # nobody waits; the next wait sets the timer again
            return
        if self._loop.time() < self._until:
            self._timer = self._loop.call_at(self._until, self._look)
        else:
            self._is_up = True
            self._task.cancel()


async def read_stream(stream: AsyncIterator[Any], model: Any, reading: Reading, seconds: float) -> AsyncGenerator[Any]:
    """Pass on the chunks of an answer as long as the model is not silent for too long.

    A chunk without content shows that the connection is alive, but not the model. If a document came instead of
    chunks, the answer that it contains is passed on.

    Args:
        stream: The chunks.
        model: The model.
        reading: Reads the chunks as they are parsed.
        seconds: Seconds for which the model may send nothing.

    Raises:
        SilentModel: The model was silent for too long.
        ModelProviderError: A document came that is not an answer.
    """
    limit = SilenceLimit(seconds)
    try:
        while True:
            token = current_reading.set(reading)
            try:
                with limit:
                    delta = await anext(stream)
            except StopAsyncIteration:
                break
            except Exception as error:
                _raise_unreadable(error)
                raise
            finally:
                current_reading.reset(token)
            if _is_sign_of_life(delta):
                limit.restart()
            yield delta
    finally:
        limit.close()
    if reading.has_only_document:
        yield answer_in(reading, model)


def read_stream_sync(
    stream: Iterator[Any], model: Any, reading: Reading, seconds: float, check: Callable[[], object]
) -> Iterator[Any]:
    """Sync version of ``read_stream``: a thread reads the chunks, and is abandoned if the model is silent.

    ``check`` raises if the answer is no longer needed.
    """
    yield from _chunks(stream, reading, seconds, check)
    if reading.has_only_document:
        yield answer_in(reading, model)


def _chunks(stream: Iterator[Any], reading: Reading, seconds: float, check: Callable[[], object]) -> Iterator[Any]:
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


async def within(answer: Any, seconds: float) -> Any:
    """Await a model's answer within a time limit.

    Args:
        answer: The awaitable.
        seconds: How long it may take.

    Raises:
        SilentModel: It took longer.
    """
    limit = asyncio.timeout(max(seconds, 0))
    try:
        async with limit:
            return await answer
    except TimeoutError as error:
        if limit.expired():
            raise SilentModel(seconds) from error
        raise


def _is_sign_of_life(delta: Any) -> bool:
    """Return whether a chunk of an answer shows that the model is working."""
    return bool(says_something(delta) or delta.tool_calls or delta.reasoning_content or delta.response_usage)
