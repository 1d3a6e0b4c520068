"""One layer retries: the worker. What Agno, its steps and the providers' clients do by default does not multiply it."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from agno.agent import Agent
from agno.models.anthropic import Claude
from agno.models.aws import AwsBedrock
from agno.models.openai import OpenAIChat
from agno.team import Team
from agno.workflow import Step, Workflow

from tests.providers.answers import Refused, Reply, Says
from tests.providers.standin import WIRES, Request, StandIn
from tests.supervisor.stories import Handlers, Serve, create, done, finished
from worker import Task, run_agent
from worker.engine.engine import Engine
from worker.testing import Call, ScriptedModel
from worker.words.events import Note, TaskUpdateEvent
from worker.words.retry import RetryPolicy
from worker.words.statuses import AgentExecutionStatus as Status

AGAIN = RetryPolicy(attempts=3, base=0.01)


@pytest.fixture(autouse=True)
def no_outages(environment: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is counted here are a task's own tries: nothing waits for a provider that is away."""
    monkeypatch.setenv("WORKER_OUTAGE_MINUTES", "0")


async def notes(engine: Engine, task_id: str) -> list[str]:
    events: list[TaskUpdateEvent] = [each async for each in engine.tasks.events(task_id)]
    return [each.data.text for each in events if isinstance(each.data, Note)]


async def outcome(engine: Engine, handlers: Handlers, serve: Serve, agent: Callable[[], Any]) -> Any:
    async def handler(task: Task) -> Task:
        return await run_agent(agent(), task)

    handlers.bind(handler, retries=AGAIN)
    async with serve():
        return await done(engine)


def refusing(status: int, **more: Any) -> Callable[[int, Request], Reply]:
    return lambda _number, _request: Refused(status, **more)


def openai(server: StandIn, **more: Any) -> OpenAIChat:
    return OpenAIChat(id="m", api_key="k", base_url=f"{server.url}/v1", **more)


def claude(server: StandIn, **more: Any) -> Claude:
    return Claude(id="m", api_key="k", client_params={"base_url": server.url, **more})


@pytest.mark.parametrize(("wire", "model"), [("openai-chat", openai), ("anthropic", claude)])
@pytest.mark.parametrize("options", [{}, {"max_retries": 1}], ids=["default", "configured"])
async def test_a_rate_limit_costs_a_request_a_try(
    engine: Engine, handlers: Handlers, serve: Serve, *, wire: str, model: Any, options: dict[str, int]
) -> None:
    with StandIn(WIRES[wire], refusing(429, headers={"retry-after": "0"})) as server:
        kept = model(server, **options)
        task = await outcome(engine, handlers, serve, lambda: Agent(model=kept))
        assert (task.status, task.error_code) == (Status.Error, "rate_limited")
        assert len(server.requests) == (6 if options else 3)


async def awaited(agent: Agent) -> Any:
    return await agent.arun("go")


async def streamed(agent: Agent) -> Any:
    return "".join([str(getattr(each, "content", None)) async for each in agent.arun("go", stream=True)])


async def plain(agent: Agent) -> Any:
    return await asyncio.to_thread(agent.run, "go")


async def plain_stream(agent: Agent) -> Any:
    return await asyncio.to_thread(
        lambda: "".join(str(getattr(each, "content", None)) for each in agent.run("go", stream=True))
    )


@pytest.mark.parametrize("way", [awaited, streamed, plain, plain_stream])
@pytest.mark.parametrize(("options", "requests"), [({}, 3), ({"max_retries": 1}, 6)], ids=["default", "configured"])
async def test_nor_do_clients_where_a_handler_runs_its_agent_itself(
    engine: Engine, handlers: Handlers, serve: Serve, *, way: Any, options: dict[str, int], requests: int
) -> None:
    with StandIn(WIRES["openai-chat"], refusing(429, headers={"retry-after": "0"})) as server:
        model = openai(server, **options)

        async def handler(task: Task) -> Any:
            return await way(Agent(model=model))

        handlers.bind(handler, retries=AGAIN)
        async with serve():
            task = await done(engine)
            if model.async_client is not None:
                await model.async_client.close()
            if model.client is not None:
                model.client.close()
    assert (task.status, task.error_code) == (Status.Error, "rate_limited")
    assert len(server.requests) == requests


@pytest.mark.parametrize("streaming", [True, False])
@pytest.mark.parametrize(("attempts", "requests"), [(None, 3), ("2", 6)], ids=["default", "configured"])
async def test_bedrocks_clients_add_no_requests_unless_they_are_told_to(
    engine: Engine,
    handlers: Handlers,
    serve: Serve,
    monkeypatch: pytest.MonkeyPatch,
    *,
    streaming: bool,
    attempts: str | None,
    requests: int,
) -> None:
    if attempts is not None:
        monkeypatch.setenv("AWS_MAX_ATTEMPTS", attempts)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "x")
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    with StandIn(WIRES["bedrock"], refusing(429, code="ThrottlingException")) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL_BEDROCK_RUNTIME", server.url)

        async def handler(task: Task) -> Task:
            return await run_agent(Agent(model=AwsBedrock(id="m")), task)

        handlers.bind(handler, retries=AGAIN)
        async with serve():
            task = await finished(engine, await create(engine, events_streaming=streaming))
        assert (task.status, task.error_code) == (Status.Error, "rate_limited"), task.result
        assert len(server.requests) == requests


@pytest.mark.parametrize(("steps", "requests"), [({}, 3), ({"max_retries": 1}, 6)], ids=["default", "configured"])
async def test_a_step_adds_no_tries_unless_it_is_told_to(
    engine: Engine, handlers: Handlers, serve: Serve, steps: dict[str, Any], requests: int
) -> None:
    with StandIn(WIRES["openai-chat"], refusing(503)) as server:
        agent = Agent(name="a", model=openai(server))
        flow = Workflow(name="w", steps=[Step(name="s", agent=agent, **steps)])
        task = await outcome(engine, handlers, serve, lambda: flow)
        assert (task.status, task.error_code, len(server.requests)) == (Status.Error, "unavailable", requests)


def team(member: Agent) -> Team:
    return Team(
        name="T",
        members=[member],
        model=ScriptedModel([Call("delegate_task_to_member", {"member_id": "a", "task": "t"}), "ok"]),
    )


async def test_a_member_that_is_away_is_asked_again_before_its_leader_goes_on_without_it(
    engine: Engine, handlers: Handlers, serve: Serve
) -> None:
    def script(number: int, _: Request) -> Reply:
        return Refused(503) if number < 2 else Says(("here",))

    with StandIn(WIRES["openai-chat"], script) as server:
        member = Agent(id="a", name="a", model=openai(server))
        task = await outcome(engine, handlers, serve, lambda: team(member))
        assert (task.status, task.result, task.errors, len(server.requests)) == (Status.Completed, "ok", 2, 3)
        assert not [each for each in await notes(engine, task.id) if "continued without it" in each]


@pytest.mark.parametrize(("status", "requests"), [(503, 3), (401, 1)])
async def test_a_member_that_stays_away_is_named_in_a_note(
    engine: Engine, handlers: Handlers, serve: Serve, status: int, requests: int
) -> None:
    with StandIn(WIRES["openai-chat"], refusing(status, message="no luck")) as server:
        member = Agent(id="a", name="a", model=openai(server))
        task = await outcome(engine, handlers, serve, lambda: team(member))
        assert (task.status, task.result, len(server.requests)) == (Status.Completed, "ok", requests)
        (said,) = [each for each in await notes(engine, task.id) if "continued without it" in each]
        assert said.startswith("a failed")
        assert "no luck" in said


async def test_a_fallback_model_answers_at_once(engine: Engine, handlers: Handlers, serve: Serve) -> None:
    with StandIn(WIRES["openai-chat"], refusing(503)) as server:
        member = Agent(id="a", name="a", model=openai(server), fallback_models=[ScriptedModel(["instead"])])
        task = await outcome(engine, handlers, serve, lambda: team(member))
        assert (task.status, task.errors, len(server.requests)) == (Status.Completed, 0, 1)
