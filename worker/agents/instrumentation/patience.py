"""How long a model may be silent, and the reading of what it says while its pieces are taken."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from typing import Any

from worker.agents.answers import Reading, SilentModel, reading_in_hand
from worker.agents.completeness import says_something

AT_ONCE = 5
"""How much longer than silence an answer may take that comes in one piece: 120 seconds become the 600 that the clients
of OpenAI and Anthropic allow such a request."""


async def heard_within(stream: AsyncIterator[Any], reading: Reading, seconds: float) -> AsyncGenerator[Any]:
    """Pass on the pieces of an answer, as long as the model is not silent for too long.

    A piece that says nothing is a sign of life of the connection, not of the model.

    Args:
        stream: The pieces.
        reading: Reads them as they are taken.
        seconds: For which the model may say nothing.

    Raises:
        SilentModel: It said nothing for so long.
    """
    loop = asyncio.get_running_loop()
    silent_at = loop.time() + seconds
    while True:
        token = reading_in_hand.set(reading)
        try:
            delta = await within(anext(stream), silent_at - loop.time(), said=seconds)
        except StopAsyncIteration:
            return
        finally:
            reading_in_hand.reset(token)
        now = loop.time()
        if _is_sign_of_life(delta):
            silent_at = now + seconds
        yield delta
        silent_at += loop.time() - now  # whoever reads may take its time


def read_with(stream: Iterator[Any], reading: Reading) -> Iterator[Any]:
    """Pass on the pieces of an answer that plain code takes, each read as it is taken."""
    while True:
        token = reading_in_hand.set(reading)
        try:
            delta = next(stream)
        except StopIteration:
            return
        finally:
            reading_in_hand.reset(token)
        yield delta


async def within(answer: Any, seconds: float, *, said: float | None = None) -> Any:
    """Await what a model answers.

    Args:
        answer: To be awaited.
        seconds: How long that may take.
        said: Seconds that an error speaks of, if they are others.

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
    """Whether a piece of an answer comes of the model."""
    return bool(says_something(delta) or delta.tool_calls or delta.reasoning_content or delta.response_usage)
