"""Tasks that wait for a person, with a worker: asked, answered, gone on with, however the platform is reached."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from agno.agent import Agent
from agno.tools import tool

from tests.contract.steps import AGENT, create, log, until
from tests.supervisor.stories import Handlers
from tests.support import wait_until
from tests.workers import handlers, no_spare_platform, working
from worker.contracts import Platform
from worker.face.context import Context
from worker.face.running import run_agent, run_agent_sync
from worker.face.task import Task
from worker.testing import Call, ScriptedModel
from worker.words.requests import InputAnswer, InputRequest, ReceivedAnswer, open_requests
from worker.words.statuses import AgentExecutionStatus as Status
from worker.words.statuses import TaskUpdateEventType as Type

__all__ = ["handlers", "no_spare_platform"]

YES = InputAnswer(approve=True)
CALLS: list[str] = []


@pytest.fixture(autouse=True)
def _calls() -> None:
    CALLS.clear()


@tool(requires_confirmation=True)
def pay(amount: int) -> str:
    """Pay an amount."""
    CALLS.append(f"pay {amount}")
    return f"paid {amount}"


def payer() -> Agent:
    return Agent(name="payer", model=ScriptedModel([Call("pay", {"amount": 5}, "pay-1"), "All is paid."]), tools=[pay])


async def paused(platform: Platform, task_id: str) -> list[InputRequest]:
    task = await until(platform, task_id, Status.Paused, Status.Error, Status.Failed)
    assert task.status is Status.Paused, task.result
    return open_requests(task.hitl_request)


@pytest.mark.parametrize("kind", ["async", "sync"])
async def test_an_agents_tool_is_called_once_it_is_approved(platform: Platform, handlers: Handlers, kind: str) -> None:
    async def work(task: Task) -> Task:
        return await run_agent(payer(), task)

    def work_sync(task: Task) -> Task:
        return run_agent_sync(payer(), task)

    handlers.bind(work if kind == "async" else work_sync, AGENT)
    async with working(platform, handlers):
        task = await create(platform)
        (request,) = await paused(platform, task.id)
        assert (request.tool_name, request.arguments, CALLS) == ("pay", {"amount": 5}, [])
        await platform.tasks.answer(task.id, [YES])
        done = await until(platform, task.id, Status.Completed, Status.Error)
    assert (done.status, done.result, CALLS) == (Status.Completed, "All is paid.", ["pay 5"])
    assert done.tokens is not None
    assert done.tokens.prompt_tokens == 20, "the first question is not asked again"


async def test_a_handler_asks_and_goes_on_after_its_steps(platform: Platform, handlers: Handlers) -> None:
    async def prepare() -> str:
        CALLS.append("prepare")
        return "a letter"

    async def work(task: Task, context: Context) -> str:
        letter = await context.step("prepare", prepare)
        if not await context.ask(f"May {letter} be sent?"):
            return "not sent"
        to = await context.ask("To whom?", choices=["Ann", "Bob"])
        return f"sent to {to}"

    handlers.bind(work, AGENT)
    async with working(platform, handlers):
        task = await create(platform)
        (request,) = await paused(platform, task.id)
        assert (request.kind, request.question, request.agent) == ("question", "May a letter be sent?", AGENT)
        await platform.tasks.answer(task.id, [YES])
        await wait_until(lambda: len(CALLS) >= 1, "the step is done")
        second = await _next(platform, task.id, request)
        assert second.choices == ["Ann", "Bob"]
        await platform.tasks.answer(task.id, [InputAnswer(value="Bob")])
        done = await until(platform, task.id, Status.Completed)
    assert (done.result, CALLS) == ("sent to Bob", ["prepare"])


async def _next(platform: Platform, task_id: str, before: InputRequest) -> InputRequest:
    async with asyncio.timeout(10):
        async for event in platform.tasks.events(task_id):
            if event.type is Type.InputRequested and InputRequest.model_validate(event.data).id != before.id:
                break
    (found,) = await paused_again(platform, task_id)
    return found


async def paused_again(platform: Platform, task_id: str) -> list[InputRequest]:
    task = await platform.tasks.get(task_id)
    return open_requests(task.hitl_request)


async def test_a_plain_handler_asks_for_a_value(platform: Platform, handlers: Handlers) -> None:
    schema = {"type": "object", "properties": {"days": {"type": "integer"}}, "required": ["days"]}

    def work(task: Task, context: Context) -> dict[str, Any]:
        return {"answer": context.ask_sync("How long?", schema=schema)}

    handlers.bind(work, AGENT)
    async with working(platform, handlers):
        task = await create(platform)
        await paused(platform, task.id)
        await platform.tasks.answer(task.id, [InputAnswer(value={"days": 3})])
        done = await until(platform, task.id, Status.Completed)
        declined = await create(platform)
        await paused(platform, declined.id)
        await platform.tasks.answer(declined.id, [InputAnswer(approve=False)])
        none = await until(platform, declined.id, Status.Completed)
    assert done.result == '{"answer":{"days":3}}'
    assert none.result == '{"answer":null}'


async def test_nobodys_answer_in_time_counts_as_no(platform: Platform, handlers: Handlers) -> None:
    async def work(task: Task, context: Context) -> str:
        return "yes" if await context.ask("Well?", timeout=timedelta(seconds=0.1)) else "no"

    handlers.bind(work, AGENT)
    async with working(platform, handlers):
        task = await create(platform)
        done = await until(platform, task.id, Status.Completed)
    assert done.result == "no"


async def test_waiting_does_not_count_against_the_time_limit_and_handlers_hear_of_it(
    platform: Platform, handlers: Handlers
) -> None:
    heard: list[Any] = []

    async def work(task: Task, context: Context) -> str:
        return "yes" if await context.ask("Well?") else "no"

    def asked(task: Task, event: Any) -> None:
        heard.append(event.data)

    handlers.bind(work, AGENT, timeout=5)
    handlers.bind(asked, AGENT, Type.InputRequested)
    handlers.bind(asked, AGENT, Type.InputReceived)
    async with working(platform, handlers):
        task = await create(platform)
        (request,) = await paused(platform, task.id)
        await platform.tasks.answer(task.id, [YES])
        done = await until(platform, task.id, Status.Completed)
        await wait_until(lambda: len(heard) == 2, "both events were delivered")
    assert done.result == "yes"
    assert isinstance(heard[0], InputRequest)
    assert isinstance(heard[1], ReceivedAnswer)
    assert heard[0].id == heard[1].id == request.id
    assert [event.type for event in await log(platform, task.id)].count(Type.InputRequested) == 1
