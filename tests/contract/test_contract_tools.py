"""Tools that workers have: announced with their schemas, and called from elsewhere, however the platform is reached."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from tests.contract.steps import AGENT, card, claim, finish, log
from worker.contracts import Platform
from worker.engine.timings import EngineTimings
from worker.words.errors import AgentNotFound, ToolNotFound
from worker.words.operations import failed, operation_of, result_text
from worker.words.statuses import AgentExecutionStatus as Status
from worker.words.task_lists import TaskQuery
from worker.words.tools import ToolInvocationResult, ToolRecord
from worker.words.work import Assignment, WorkerCard

SCHEMA = {"type": "object", "properties": {"region": {"type": "string"}}, "required": ["region"]}
TOTAL = ToolRecord(name="total", description="Add up.", parameters=SCHEMA, timeout=20)


async def with_tools(platform: Platform, *tools: ToolRecord) -> WorkerCard:
    by = replace(card(AGENT), tools=tools)
    await platform.work.register(by)
    return by


async def asked(platform: Platform, by: WorkerCard, **options: Any) -> tuple["asyncio.Task[Any]", Assignment]:
    """A call that somebody waits for, and what the worker got."""
    call = asyncio.create_task(platform.tasks.invoke_tool(AGENT, "total", {"region": "north"}, **options))
    (assignment,) = await claim(platform, by)
    return call, assignment


async def test_an_agent_has_the_tools_of_the_workers_that_are_here(platform: Platform) -> None:
    others = ToolRecord(name="other", agent_ids=("somebody",))
    by = await with_tools(platform, TOTAL, others)
    assert (await platform.tasks.get_agent(AGENT)).announced_tools == [TOTAL]
    (listed,) = await platform.tasks.list_agents()
    assert listed.announced_tools == [TOTAL]
    await platform.work.register(replace(by, tools=(TOTAL.model_copy(update={"description": "Anew."}),)))
    assert [each.description for each in (await platform.tasks.get_agent(AGENT)).announced_tools] == ["Anew."]
    await platform.work.leave(by.id)
    assert (await platform.tasks.get_agent(AGENT)).announced_tools == []


async def test_a_worker_calls_a_tool_for_whoever_asks(platform: Platform) -> None:
    by = await with_tools(platform, TOTAL)
    call, assignment = await asked(platform, by)
    assert operation_of(assignment.task) == ("total", {"region": "north"})
    answered = ToolInvocationResult(tool_id="total", result={"sum": 3}, is_success=True, execution_time=0.25)
    await finish(platform, assignment, result=result_text(answered))
    result = await call
    assert (result.is_success, result.result, result.execution_time) == (True, {"sum": 3}, 0.25)
    assert (result.tool_id, result.payload) == ("total", {"region": "north"})
    assert [str(each.type) for each in await log(platform, assignment.task.id)][-1] == "task_finished"


@pytest.mark.parametrize("ends", ["raised", "crashed", "stopped", "another handler"])
async def test_a_call_that_fails_says_why(platform: Platform, ends: str) -> None:
    by = await with_tools(platform, TOTAL)
    call, assignment = await asked(platform, by)
    if ends == "raised":
        result = failed(500, "no such region", "total", {})
        await finish(platform, assignment, Status.Error, result=result_text(result))
    elif ends == "crashed":
        await finish(platform, assignment, Status.Failed, result="its worker died")
    elif ends == "stopped":
        await platform.tasks.stop(assignment.task.id)
    else:
        await finish(platform, assignment, result="I am an agent, and cannot do that.")
    words = {"raised": "no such region", "crashed": "died", "stopped": "stopped", "another handler": "no tool 'total'"}
    came = await call
    assert (came.is_success, came.is_error) == (False, True)
    assert words[ends] in (came.error or "")


async def test_the_same_key_is_the_same_call(platform: Platform) -> None:
    by = await with_tools(platform, TOTAL)
    first, assignment = await asked(platform, by, key="task-1:tool:total:0")
    again = asyncio.create_task(
        platform.tasks.invoke_tool(AGENT, "total", {"region": "north"}, key="task-1:tool:total:0")
    )
    await finish(
        platform, assignment, result=result_text(ToolInvocationResult(tool_id="total", result=3, is_success=True))
    )
    assert [(await each).result for each in (first, again)] == [3, 3]
    assert await claim(platform, by, seconds=0.01) == []


async def test_what_is_not_there_is_not_found(platform: Platform) -> None:
    with pytest.raises(AgentNotFound):
        await platform.tasks.invoke_tool("nobody", "total", {})
    await with_tools(platform, TOTAL)
    with pytest.raises(ToolNotFound):
        await platform.tasks.invoke_tool(AGENT, "other", {})


@pytest.mark.parametrize("timings", [EngineTimings(tool_margin=0.05)], ids=["impatient"])
async def test_a_call_that_nobody_takes_ends_in_time(platform: Platform) -> None:
    await with_tools(platform, TOTAL.model_copy(update={"timeout": 0.05}))
    result = await platform.tasks.invoke_tool(AGENT, "total", {"region": "north"})
    assert (result.status_code, result.is_success) == (504, False)
    (task,) = await platform.tasks.find(TaskQuery())
    assert task.status is Status.Stopped
