"""An outage, an exhausted quota or a revoked key is not the task's fault: tasks wait, and one of them probes."""

from contextlib import suppress
from typing import Any

import pytest
from agno.agent import Agent
from agno.models.openai import OpenAIChat

from tests.providers.answers import Refused, Reply, Says
from tests.providers.standin import WIRES, Request, StandIn
from tests.supervisor.stories import Handlers, Serve, create, finished
from tests.support import wait_until
from worker import Task, run_agent
from worker.engine.engine import Engine
from worker.engine.verbs.providers import look
from worker.testing import ScriptedModel
from worker.words.errors import NotFound
from worker.words.notices import Notice, ProviderAway, ProviderBack
from worker.words.providers import ProviderState
from worker.words.retry import RetryPolicy
from worker.words.statuses import AgentExecutionStatus as Status
from worker.words.tasks import TaskRecord

pytestmark = pytest.mark.usefixtures("environment")

AGAIN = RetryPolicy(attempts=3, base=0.01)
SECONDS = 60  # far above what it takes, on a machine that does other things


class Provider:
    """A provider that refuses until it is mended."""

    def __init__(self, refusal: Refused) -> None:
        self.refusal: Refused | None = refusal
        self.asked = 0

    def __call__(self, _number: int, _request: Request) -> Reply:
        self.asked += 1
        return self.refusal or Says(("here",))


def handler_for(handlers: Handlers, server: StandIn, **more: Any) -> None:
    agent = Agent(model=OpenAIChat(id="m", api_key="k", base_url=f"{server.url}/v1"), **more)

    async def handler(task: Task) -> Task:
        return await run_agent(agent, task)

    handlers.bind(handler, retries=AGAIN)


async def away(engine: Engine, waiting: int) -> ProviderState:
    """The one provider that is away, once so many tasks wait for it."""

    async def seen() -> bool:
        listed = await engine.tasks.providers()
        return bool(listed) and listed[0].is_away and listed[0].waiting == waiting

    await wait_until(seen, f"{waiting} tasks wait", SECONDS)
    (state,) = await engine.tasks.providers()
    return state


async def all_finished(engine: Engine, tasks: list[TaskRecord]) -> list[TaskRecord]:
    return [await finished(engine, each) for each in tasks]


async def test_tasks_outlive_an_outage_that_none_of_their_tries_would(
    engine: Engine, handlers: Handlers, serve: Serve, notices: list[Notice]
) -> None:
    provider = Provider(Refused(503, message="be right back"))
    with StandIn(WIRES["openai-chat"], provider) as server:
        handler_for(handlers, server)
        tasks = [await create(engine) for _ in range(4)]
        async with serve():
            state = await away(engine, 4)
            waiting = await engine.tasks.get(tasks[0].id)
            assert (waiting.status, waiting.error_code, waiting.available_at) == (Status.Pending, "unavailable", None)
            assert (state.error_code, state.message) == ("unavailable", "be right back")
            assert state.ends_at is not None
            provider.refusal = None
            ended = await all_finished(engine, tasks)
        assert {(each.status, each.result, each.error_code) for each in ended} == {(Status.Completed, "here", None)}
        assert await engine.tasks.providers() == []
        assert len([each for each in notices if isinstance(each, ProviderAway)]) == 1
        assert [each for each in notices if isinstance(each, ProviderBack)]


@pytest.mark.parametrize(
    ("refusal", "code"),
    [
        (Refused(429, message="You exceeded your quota", code="insufficient_quota"), "quota"),
        (Refused(401, message="Incorrect API key", code="invalid_api_key"), "auth"),
    ],
    ids=["quota", "key"],
)
async def test_an_exhausted_quota_costs_no_task_and_few_requests(
    engine: Engine, handlers: Handlers, serve: Serve, refusal: Refused, code: str
) -> None:
    provider = Provider(refusal)
    with StandIn(WIRES["openai-chat"], provider) as server:
        handler_for(handlers, server)
        first = await create(engine)
        async with serve():
            state = await away(engine, 1)
            assert (state.error_code, state.ends_at) == (code, None)
            tasks = [first, *[await create(engine) for _ in range(10)]]
            await away(engine, 11)
            assert provider.asked <= 4, "one call, and probes"
            assert [(await engine.tasks.get(each.id)).errors for each in tasks] == [0] * 11
            provider.refusal = None
            with suppress(NotFound):  # a probe was faster
                await engine.tasks.resume_provider(state.id)
            ended = await all_finished(engine, tasks)
        assert {each.status for each in ended} == {Status.Completed}


async def test_an_operator_may_have_them_end(engine: Engine, handlers: Handlers, serve: Serve) -> None:
    with StandIn(WIRES["openai-chat"], Provider(Refused(401, message="no such key", code="invalid_api_key"))) as server:
        handler_for(handlers, server)
        tasks = [await create(engine) for _ in range(3)]
        async with serve():
            state = await away(engine, 3)
            await engine.tasks.fail_provider(state.id)
            ended = await all_finished(engine, tasks)
    assert {(each.status, each.error_code) for each in ended} == {(Status.Error, "auth")}
    assert "no such key" in str(ended[0].result)


async def test_after_an_outage_that_lasts_too_long_they_end_as_errors(
    engine: Engine, handlers: Handlers, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORKER_OUTAGE_MINUTES", "0.02")
    with StandIn(WIRES["openai-chat"], Provider(Refused(503))) as server:
        handler_for(handlers, server)
        task = await create(engine)
        async with serve():
            ended = await finished(engine, task)
    assert (ended.status, ended.error_code) == (Status.Error, "unavailable")


async def test_other_keys_and_other_models_go_on(engine: Engine, handlers: Handlers, serve: Serve) -> None:
    provider = Provider(Refused(401, message="no such key", code="invalid_api_key"))
    with StandIn(WIRES["openai-chat"], provider) as server:
        refused = Agent(model=OpenAIChat(id="m", api_key="k", base_url=f"{server.url}/v1"))
        other = Agent(model=OpenAIChat(id="m", api_key="other", base_url=f"{server.url}/v1"))

        async def handler(task: Task) -> Task:
            return await run_agent(other if task.input.text == "other" else refused, task)

        handlers.bind(handler, retries=AGAIN)
        await create(engine)
        async with serve():
            await away(engine, 1)
            provider.refusal = None
            task = await create(engine, text="other")
            assert (await finished(engine, task)).status is Status.Completed


async def test_a_provider_that_nobody_asks_any_more_is_forgotten(
    engine: Engine, handlers: Handlers, serve: Serve
) -> None:
    refusal = Refused(401, "no such key", "invalid_api_key")
    an_hour_later = "update worker.providers set failed_at = now() - interval '2 hours', probe_at = null"
    with StandIn(WIRES["openai-chat"], Provider(refusal)) as server:
        agent = Agent(model=server.model())

        async def handler(task: Task) -> Task:
            return await run_agent(agent, task)

        handlers.bind(handler)
        task = await create(engine)
        async with serve():
            await away(engine, 1)
        await engine.core.rows(an_hour_later)
        await look(engine.core)
        assert await engine.tasks.providers(), "a task waits for it"
        await engine.tasks.stop(task.id)
        await look(engine.core)
        assert await engine.tasks.providers() == []
        await server.close_clients()


async def test_a_key_that_is_replaced_ends_the_wait(engine: Engine, handlers: Handlers, serve: Serve) -> None:
    def answer(_: int, request: Request) -> Reply:
        is_good = "good" in request.headers["authorization"]
        return Says(("here",)) if is_good else Refused(401, "no such key", "invalid_api_key")

    with StandIn(WIRES["openai-chat"], answer) as server:
        keys = ("revoked", "good")
        agents = [Agent(model=server.model(api_key=each)) for each in keys]

        async def handler(task: Task) -> Task:
            return await run_agent(agents[0], task)

        handlers.bind(handler, retries=AGAIN)
        tasks = [await create(engine) for _ in range(8)]
        async with serve():
            await away(engine, 8)
            del agents[0]
            ended = await all_finished(engine, tasks)

            async def is_over() -> bool:
                return not await engine.tasks.providers()

            await wait_until(is_over, "nothing is away any more", SECONDS)
        await server.close_clients()
    assert {each.status for each in ended} == {Status.Completed}


async def test_a_fallback_model_answers_while_the_first_is_away(
    engine: Engine, handlers: Handlers, serve: Serve
) -> None:
    with StandIn(WIRES["openai-chat"], Provider(Refused(503))) as server:
        handler_for(handlers, server, fallback_models=[ScriptedModel(["instead"] * 9)])
        tasks = [await create(engine) for _ in range(5)]
        async with serve():
            ended = await all_finished(engine, tasks)
        assert {(each.status, each.result) for each in ended} == {(Status.Completed, "instead")}
