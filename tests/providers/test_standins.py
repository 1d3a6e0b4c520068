"""The stand-ins speak so that Agno and the provider's own client understand them."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from agno.agent import Agent

from tests.providers.answers import Fault, Refused, Reply, Says, Usage
from tests.providers.standin import WIRES, Request, StandIn
from worker.testing import Call


@pytest.fixture(params=WIRES)
def wire(request: pytest.FixtureRequest) -> Any:
    return WIRES[request.param]


@asynccontextmanager
async def serving(wire: Any, script: Any) -> AsyncGenerator[StandIn]:
    with StandIn(wire, script) as server:
        try:
            yield server
        finally:
            await server.close_clients()


async def answered(model: Any, *, streams: bool, tools: Any = ()) -> tuple[str, Any]:
    """What an agent of Agno's says, and the last it knows of the run."""
    agent = Agent(model=model, tools=list(tools), telemetry=False)
    if not streams:
        output = await agent.arun("go")
        return str(output.content), output
    last = None
    async for event in agent.arun("go", stream=True, stream_events=True, yield_run_output=True):
        last = event
    return str(getattr(last, "content", None)), last


@pytest.mark.parametrize("streams", [True, False], ids=["streaming", "whole"])
async def test_text_and_tokens(wire: Any, streams: bool) -> None:
    async with serving(wire, [Says(("The answer ", "is 42."), usage=Usage(fresh=7, output=3))]) as server:
        text, output = await answered(server.model(), streams=streams)
        assert text == "The answer is 42."
        assert (output.metrics.input_tokens, output.metrics.output_tokens) == (7, 3)
        assert [each.streams for each in server.requests] == [streams]


@pytest.mark.parametrize("streams", [True, False], ids=["streaming", "whole"])
async def test_a_tool_is_called_and_its_result_is_in_the_next_request(wire: Any, streams: bool) -> None:
    asked: list[str] = []

    def look(place: str) -> str:
        """Look somewhere."""
        asked.append(place)
        return "nothing there"

    def script(_: int, request: Request) -> Reply:
        return Says(("Done.",)) if request.results else Says(calls=[Call("look", {"place": "attic"})])

    async with serving(wire, script) as server:
        text, _ = await answered(server.model(), streams=streams, tools=[look])
        assert (text, asked) == ("Done.", ["attic"])
        assert [each.results for each in server.requests] == [0, 1]


def test_plain_code_is_answered_too(wire: Any) -> None:
    with StandIn(wire, [Says(("fine",))]) as server:
        assert Agent(model=server.model(), telemetry=False).run("go").content == "fine"


@pytest.mark.parametrize("at", [0, 1])
@pytest.mark.parametrize("streams", [True, False], ids=["streaming", "whole"])
async def test_a_broken_connection_is_an_error(wire: Any, streams: bool, at: int) -> None:
    async with serving(wire, [Says(("a", "b", "c"), fault=Fault("cut", at=at))]) as server:
        agent = Agent(model=server.model(), telemetry=False)
        if streams:
            events = [getattr(each, "event", "") async for each in agent.arun("go", stream=True, stream_events=True)]
            assert "RunError" in events
        else:
            assert (await agent.arun("go")).status == "ERROR"


async def test_an_error_status_is_an_error(wire: Any) -> None:
    async with serving(wire, [Refused(401, "No such key.", "UnrecognizedClientException")]) as server:
        output = await Agent(model=server.model(), telemetry=False).arun("go")
        assert output.status == "ERROR"
        assert len(server.requests) == 1
