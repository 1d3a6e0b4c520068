"""The same over a real client and a real connection: what a provider's server does, and what a run makes of it."""

import asyncio
import json
import threading
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from agno.agent import Agent
from agno.models.openai.like import OpenAILike

from tests.agents.runs import Log, Runner
from tests.providers.surroundings import leftovers
from tests.support import is_retryable, retry_after, wait_until
from worker.agents.errors import AgentFailed
from worker.agents.models.models import forget_shared_models
from worker.agents.running import close_shared

__all__ = ["leftovers"]

Answer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def serving(answer: Answer) -> AsyncGenerator[Agent]:
    """An agent whose model is behind a server that reads a request's head and then does as it is told."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        await answer(reader, writer)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    model = OpenAILike(id="m", base_url=f"http://127.0.0.1:{port}/v1", api_key="none", max_retries=0)
    try:
        yield Agent(model=model)
    finally:
        client: Any = model.async_client
        if client is not None:
            await client.close()
        server.close()


async def test_a_rate_limit_is_retryable_when_the_server_says_so(running: Runner) -> None:
    async def refuse(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        body = b'{"error": {"message": "Rate limit reached for m", "code": "rate_limit_exceeded"}}'
        head = f"HTTP/1.1 429 Too Many Requests\r\nretry-after: 17\r\ncontent-length: {len(body)}\r\n"
        writer.write(head.encode() + b"content-type: application/json\r\nconnection: close\r\n\r\n" + body)
        await writer.drain()

    async with serving(refuse) as agent:
        with pytest.raises(AgentFailed, match="Rate limit reached for m") as caught:
            await running(agent)
    assert caught.value.status_code == 429
    assert is_retryable(caught.value)
    assert retry_after(caught.value) == 17
    assert "Traceback" not in str(caught.value)


async def test_cancelling_closes_the_connection_of_the_call_in_flight(running: Runner) -> None:
    asked, hung_up = asyncio.Event(), asyncio.Event()

    async def hang(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        asked.set()
        await reader.read()
        hung_up.set()

    async with serving(hang) as agent:
        going = asyncio.create_task(running(agent))
        await asyncio.wait_for(asked.wait(), 10)
        began = time.monotonic()
        going.cancel()
        with pytest.raises(asyncio.CancelledError):
            await going
        await wait_until(hung_up.is_set, "the connection is closed", 2)
        assert time.monotonic() - began < 1


async def test_runs_share_the_models_client(running: Runner) -> None:
    async def break_off(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.transport.abort()

    async with serving(break_off) as agent:
        clients = list[Any]()
        for _ in range(2):
            with pytest.raises(AgentFailed) as caught:
                await running(agent)
            assert is_retryable(caught.value), "a broken connection is worth another try"
            model: Any = agent.model
            clients.append(model.async_client)
        assert clients[0] is clients[1] is not None


class Keeping(BaseHTTPRequestHandler):
    """A provider that answers each request and keeps the connection, as providers do."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        frame: dict[str, Any] = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m"}
        choice = {"index": 0, "delta": {"role": "assistant", "content": "hello"}, "finish_reason": "stop"}
        body = f"data: {json.dumps({**frame, 'choices': [choice]})}\n\ndata: [DONE]\n\n".encode()
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:  # pyright: ignore[reportIncompatibleMethodOverride] - its names
        """Say nothing."""


@pytest.fixture
def keeping() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Keeping) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/v1"
        server.shutdown()


@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.usefixtures("leftovers")  # two of its loops end without closing their clients
@pytest.mark.parametrize("whose", ["the user's", "the default"])
def test_one_agent_works_on_one_event_loop_after_another(
    keeping: str, whose: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    monkeypatch.setenv("OPENAI_BASE_URL", keeping)
    monkeypatch.setenv("WORKER_MODEL", "openai-chat:m")
    model = OpenAILike(id="m", api_key="k", base_url=keeping) if whose == "the user's" else None
    agent = Agent(name="ann", model=model, telemetry=False)

    async def answer(*, closes: bool) -> str | None:
        try:
            return (await Runner(Log())(agent)).content
        finally:
            if closes:  # as a worker does, and a platform of tests
                await close_shared()

    for closes in (False, False, True, True):
        assert asyncio.run(answer(closes=closes)) == "hello"
    assert agent.model is model
    forget_shared_models()  # and with them the connections that the first two loops have left open
