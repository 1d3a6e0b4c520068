"""Streamed answers: how long a model may be silent, and what is kept of the chunks."""

import asyncio
from collections.abc import AsyncIterator
from copy import deepcopy
from dataclasses import fields
from typing import Any

import pytest
from agno.models.base import MessageData
from agno.models.response import ModelResponse
from hypothesis import given
from hypothesis import strategies as st

from worker.agents.answers.errors import SilentModel
from worker.agents.answers.reading import Reading
from worker.agents.instrumentation.model_calls.model_answers import NOT_IN_PIECES, append_piece, pack
from worker.agents.instrumentation.model_calls.silence import read_stream
from worker.agents.translation.values import unpacked
from worker.testing import ScriptedModel

SILENCE = 0.2

DELTAS = st.builds(
    ModelResponse,
    role=st.sampled_from([None, "assistant"]),
    content=st.sampled_from([None, "", "a", "b "]),
    reasoning_content=st.sampled_from([None, "hm", "c"]),
    provider_data=st.sampled_from([None, {}, {"id": "1"}, {"id": "2"}, {"blocks": ["x"]}]),
    redacted_reasoning_content=st.sampled_from([None, None, None, "r"]),
)


async def read(chunks: AsyncIterator[Any], silence: float = SILENCE, *, reader_seconds: float = 0) -> int:
    """Read an answer with a reader that takes its time, and return the number of chunks."""
    count = 0
    async with asyncio.timeout(30):
        async for _ in read_stream(chunks, ScriptedModel([]), Reading(streamed=True), silence):
            count += 1
            await asyncio.sleep(reader_seconds)
    return count


async def nothing() -> AsyncIterator[ModelResponse]:
    """A model that never answers."""
    await asyncio.Event().wait()
    yield ModelResponse()


def message_of(deltas: list[ModelResponse]) -> dict[str, Any]:
    """What Agno makes of the chunks of an answer."""
    data = MessageData()
    for each in map(deepcopy, deltas):  # Agno changes them
        for _ in ScriptedModel([])._populate_stream_data(data, each):  # pyright: ignore[reportPrivateUsage]
            pass
    return {each.name: getattr(data, each.name) for each in fields(data) if each.name != "response_metrics"}


@given(st.lists(DELTAS, max_size=12))
def test_joined_chunks_are_the_same_message(deltas: list[ModelResponse]) -> None:
    kept: list[dict[str, Any]] = []
    for each in deltas:
        append_piece(kept, pack(each, NOT_IN_PIECES))
    assert message_of([ModelResponse(**unpacked(each)) for each in kept]) == message_of(deltas)


@pytest.mark.parametrize(
    "each", [{"content": "a"}, {"content": "a", "provider_data": {"id": "1"}}, {"reasoning_content": "a"}]
)
def test_a_row_holds_one_chunk_however_many_a_text_came_in(each: dict[str, Any]) -> None:
    kept: list[dict[str, Any]] = []
    for _ in range(10):
        append_piece(kept, pack(ModelResponse(**each), NOT_IN_PIECES))
    assert len(kept) == 1
    assert "a" * 10 in kept[0].values()


async def test_each_chunk_with_text_gives_the_model_its_time_again() -> None:
    async def chunks() -> AsyncIterator[ModelResponse]:
        for _ in range(4):
            await asyncio.sleep(0.3)  # the model's pace
            yield ModelResponse(content="a")

    assert await read(chunks(), 1) == 4


async def test_a_chunk_without_text_does_not() -> None:
    async def chunks() -> AsyncIterator[ModelResponse]:
        while True:
            await asyncio.sleep(SILENCE / 10)
            yield ModelResponse()

    with pytest.raises(SilentModel):
        await read(chunks())


async def test_the_time_that_the_reader_takes_is_not_the_models() -> None:
    async def chunks() -> AsyncIterator[ModelResponse]:
        for _ in range(3):
            await asyncio.sleep(0)
            yield ModelResponse()

    assert await read(chunks(), reader_seconds=1.5 * SILENCE) == 3


async def test_a_reader_that_takes_long_leaves_the_model_its_rest_of_the_time() -> None:
    async def chunks() -> AsyncIterator[ModelResponse]:
        yield ModelResponse()
        async for each in nothing():
            yield each

    with pytest.raises(SilentModel):
        await read(chunks(), reader_seconds=1.5 * SILENCE)


async def test_a_cancelled_run_is_cancelled() -> None:
    reading = asyncio.create_task(read(nothing(), 3600))
    await asyncio.sleep(0)
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading


async def test_a_silence_leaves_its_task_uncancelled() -> None:
    with pytest.raises(SilentModel):
        await read(nothing())
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0
