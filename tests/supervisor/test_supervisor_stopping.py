"""A stop reaches a model call that is in flight: the provider sees its connection end, within a second."""

import asyncio
import time
from collections.abc import AsyncIterator

import pytest
from agno.agent import Agent
from agno.models.openai import OpenAIChat

from tests.server.serving import Serving
from tests.supervisor.stories import Handlers
from tests.support import wait_until
from tests.workers import working
from worker import Task, run_agent
from worker.contracts import Platform
from worker.engine.engine import Engine
from worker.remote.remote import Remote
from worker.words.statuses import AgentExecutionStatus as Status
from worker.words.tasks import AgentExecutionInput, NewTask

pytestmark = pytest.mark.usefixtures("environment")


class SilentProvider:
    """Takes a request and never answers it."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.left = asyncio.Event()

    async def hear(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        self.asked.set()
        while await reader.read(65536):
            continue
        self.left.set()
        writer.close()


@pytest.fixture(params=["engine", "over HTTP"])
async def platform(request: pytest.FixtureRequest, engine: Engine, database_url: str) -> AsyncIterator[Platform]:
    if request.param == "engine":
        yield engine
        return
    server = Serving(database_url).start()
    await server.started()
    remote = Remote(server.base)
    await remote.open()
    yield remote
    await remote.close()
    await asyncio.to_thread(server.stop)


@pytest.mark.parametrize("stream", [False, True])
async def test_the_model_call_in_flight_is_aborted_within_a_second(
    platform: Platform, handlers: Handlers, stream: bool
) -> None:
    provider = SilentProvider()
    server = await asyncio.start_server(provider.hear, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]

    async def handler(task: Task) -> Task:
        model = OpenAIChat(id="gpt", api_key="k", base_url=f"http://127.0.0.1:{port}/v1", max_retries=0)
        return await run_agent(Agent(model=model, telemetry=False), task)

    handlers.bind(handler)
    new = NewTask(agent_id="agent", input=AgentExecutionInput(text="go"), events_streaming=stream)
    async with server, working(platform, handlers):
        task = await platform.tasks.create(new)
        async with asyncio.timeout(60):
            await provider.asked.wait()
        began = time.monotonic()
        await platform.tasks.stop(task.id)
        await wait_until(provider.left.is_set, "the provider sees the connection end")
        assert time.monotonic() - began < 1
    stopped = await platform.tasks.get(task.id)
    assert (stopped.status, stopped.result, stopped.errors) == (Status.Stopped, None, 0)
