"""What makes vectors: Agno's embedders by name, on each event loop with connections of its own."""

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from importlib.util import find_spec
from typing import Any

import pytest
from agno.knowledge.embedder.openai import OpenAIEmbedder

from worker.knowledge import embed, embed_all, embedders, named
from worker.words.errors import ConfigurationError, ModuleException

NAME = "openai:text-embedding-3-small"


@asynccontextmanager
async def provider(monkeypatch: pytest.MonkeyPatch, status: int = 200) -> AsyncGenerator[list[Any]]:
    """An API of OpenAI's form, whose vectors are as long as the texts; what it was asked for."""
    asked: list[Any] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(int(line.split(b":")[1]) for line in head.lower().split(b"\r\n") if b"content-length" in line)
        body = json.loads(await reader.readexactly(length))
        texts = body["input"] if isinstance(body["input"], list) else [body["input"]]
        asked.append(texts)
        data = [
            {"object": "embedding", "index": at, "embedding": [float(len(each)), 1.0]} for at, each in enumerate(texts)
        ]
        usage = {"prompt_tokens": 1, "total_tokens": 1}
        content = json.dumps({"object": "list", "model": "m", "data": data, "usage": usage}).encode()
        writer.write(b"HTTP/1.1 %d x\r\ncontent-type: application/json\r\nconnection: close\r\n" % status)
        writer.write(b"content-length: %d\r\n\r\n%s" % (len(content), content))
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-a-test")
    monkeypatch.setenv("OPENAI_BASE_URL", f"http://127.0.0.1:{port}/v1")
    embedders._known.pop(NAME, None)
    try:
        yield asked
    finally:
        server.close()
        embedders._known.pop(NAME, None)


def test_the_small_one_in_its_wheel_needs_nobody() -> None:
    pytest.importorskip("wordllama", reason="the extra embedder")

    async def vectors() -> list[tuple[float, ...]]:
        return await embed_all("wordllama", ["The cat sat on the mat.", "A kitten on a rug.", "Shares fell.", " "])

    cat, kitten, shares, nothing = asyncio.run(vectors())
    assert len(cat) == len(nothing) == 256

    def likeness(one: tuple[float, ...], other: tuple[float, ...]) -> float:
        return sum(a * b for a, b in zip(one, other, strict=True))

    assert likeness(cat, kitten) > likeness(cat, shares) + 0.1
    assert asyncio.run(embed("wordllama", "The cat sat on the mat.")) == pytest.approx(cat, abs=1e-6)


def test_an_embedder_that_is_not_there_says_what_to_do() -> None:
    with pytest.raises(ConfigurationError, match=r"includes only the model"):
        asyncio.run(embed_all("wordllama:another", ["x"]))
    if find_spec("wordllama") is None:
        with pytest.raises(ConfigurationError, match=r"pip install 'agno-worker\[embedder\]'"):
            asyncio.run(embed_all("wordllama", ["x"]))


def test_texts_go_in_one_request_on_whatever_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    async def twice() -> None:
        async with provider(monkeypatch) as asked:
            assert await embed_all(NAME, ["a", "bb", "ccc"]) == [(1.0, 1.0), (2.0, 1.0), (3.0, 1.0)]
            assert await embed(NAME, "dddd") == (4.0, 1.0)
            assert asked == [["a", "bb", "ccc"], ["dddd"]]

    for _ in range(2):
        asyncio.run(twice())


async def test_a_question_without_a_vector_is_none_and_passages_without_are_an_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with provider(monkeypatch, status=400):
        assert await embed(NAME, "a") is None
        with pytest.raises(Exception, match="400"):
            await embed_all(NAME, ["a"])

    class Slow(OpenAIEmbedder):
        async def async_get_embedding(self, text: str) -> list[float]:
            await asyncio.Event().wait()
            return [float(len(text))]

    assert await embed(named(Slow(api_key="sk"), "slow"), "a", seconds=0.01) is None


async def test_what_is_no_vector_is_refused() -> None:
    class Broken(OpenAIEmbedder):
        async def async_get_embedding(self, text: str) -> list[float]:
            return [float("nan")] if text else []

    name = named(Broken(api_key="sk"), "broken")
    for text in ("a", ""):
        with pytest.raises(ModuleException, match="invalid vector"):
            await embed_all(name, [text])
    with pytest.raises(ConfigurationError, match="no embedder"):
        await embed_all("nobody:model", ["a"])


@pytest.mark.parametrize(
    "name", ["huggingface:http://127.0.0.1:9/steal", "sentence-transformers:/tmp/model", "fastembed:somebody/model"]
)
async def test_what_a_knowledge_base_names_is_no_address_and_nothing_to_be_loaded(name: str) -> None:
    with pytest.raises(ConfigurationError, match=r"has no embedder|would have to be loaded"):
        await embed_all(name, ["x"])


def test_the_operator_names_what_is_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    name = "sentence-transformers:small"
    monkeypatch.setenv("WORKER_EMBEDDER", name)
    monkeypatch.setitem(embedders.KNOWN, "sentence-transformers", ("agno.knowledge.embedder.openai", "OpenAIEmbedder"))
    try:
        assert getattr(embedders._embedder_named(name), "id", None) == "small"
    finally:
        embedders._known.pop(name, None)
