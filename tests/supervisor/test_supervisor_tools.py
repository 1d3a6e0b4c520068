"""Tools of a worker, called by another process: the log has the call, and the agent's handler is not asked."""

import asyncio
from collections import Counter
from typing import Any

import pytest
from agno.agent import Agent as AgnoAgent

from tests.supervisor.stories import Handlers, Serve, done
from worker import Context, Task, Tool, ToolsRepository, tool
from worker import registry as registries
from worker.engine.engine import Engine
from worker.testing import Call, ScriptedModel
from worker.words.retry import RetryPolicy
from worker.words.statuses import AgentExecutionStatus as Status
from worker.words.task_lists import TaskQuery

pytestmark = pytest.mark.usefixtures("environment")


@pytest.fixture(autouse=True)
def own_registry(handlers: Handlers, monkeypatch: pytest.MonkeyPatch) -> None:
    """The worker's handlers are this process's own: with them go its tools."""
    monkeypatch.setattr(registries, "default", handlers)

    @tool(timeout=5)
    async def total(region: str) -> dict[str, int]:
        """Add up the sales of a region."""
        if region == "nowhere":
            raise ValueError("no such region")
        return {region: 3}

    async def handler(task: Any) -> str:
        return "the handler"

    handlers.bind(handler)


async def test_a_worker_calls_its_tool_for_whoever_asks(engine: Engine, serve: Serve) -> None:
    async with serve():
        (announced,) = (await engine.tasks.get_agent("agent")).announced_tools
        assert (announced.name, announced.timeout) == ("total", 5)
        assert announced.parameters["required"] == ["region"]
        far = Tool.of(announced, None)  # as a process has it that has no such function
        assert not far.is_local
        result = await far.ainvoke("agent", {"region": "north"})
        assert (result.is_success, result.result) == (True, {"north": 3})
        failed = await far.ainvoke("agent", {"region": "nowhere"})
        assert (failed.status_code, failed.error) == (500, "no such region")
        unfit = await engine.tasks.invoke_tool("agent", "total", {"region": 3})
        assert (unfit.status_code, unfit.is_success) == (422, False)
        assert "region" in (unfit.error or "")
        third, second, first = await engine.tasks.find(TaskQuery())
        assert [each.status for each in (first, second, third)] == [Status.Completed, Status.Error, Status.Error]
        assert (first.title, second.error_code) == ("Tool total", "tool")
        kinds = [str(each.type) async for each in engine.tasks.events(first.id, follow=False)]
        assert (kinds.count("tool_call_request"), kinds.count("tool_call_result")) == (1, 1)


async def test_a_retry_calls_no_completed_call_again_but_those_that_keep_state(
    engine: Engine, serve: Serve, handlers: Handlers
) -> None:
    called: list[str] = []

    @tool
    async def sell(what: str) -> str:
        called.append(what)
        if what == "none":
            raise ValueError("sold out")
        return f"sold {what}"

    @tool(resume="redo")
    def connect() -> str:
        called.append("connect")
        return "connected"

    async def shop(task: Task, context: Context) -> str:
        tools = ToolsRepository(agent_id=task.agent_id)
        said = []
        for name, payload in (("connect", {}), ("sell", {"what": "tea"}), ("sell", {"what": "none"})):
            found = tools.get_tool_by_name(name)
            assert found is not None
            first, second = await asyncio.gather(
                found.ainvoke(task.agent_id, payload), asyncio.to_thread(found.invoke, task.agent_id, payload)
            )
            said += [first.result, second.result]
        if context.attempt == 1:
            raise ConnectionError("again, please")
        return ", ".join(said)

    handlers.bind(shop, "shop", retries=RetryPolicy(attempts=2, base=0.001))
    async with serve():
        task = await done(engine, "shop")
    assert task.result == "connected, connected, sold tea, sold tea, sold out, sold out"
    assert Counter(called) == {"connect": 4, "tea": 2, "none": 2}
    assert task.used_tools == ["connect", "sell"]
    kinds = Counter([str(each.type) async for each in engine.tasks.events(task.id, follow=False)])
    assert (kinds["tool_call_request"], kinds["tool_call_result"]) == (6, 6)


async def test_an_agent_uses_a_tool_that_another_worker_has(engine: Engine, serve: Serve) -> None:
    async with serve():
        (announced,) = (await engine.tasks.get_agent("agent")).announced_tools
        model = ScriptedModel([Call("total", {"region": "south"}), "It is 3."])
        agent = AgnoAgent(model=model, tools=[Tool.of(announced, None).for_agno("agent")], telemetry=False)
        output = await agent.arun("How much?")
        (used,) = output.tools or []
        assert "3" in str(used.result)


async def test_a_task_is_a_tools_call_only_if_both_its_source_and_its_input_say_so(
    engine: Engine, serve: Serve
) -> None:
    async with serve():
        assert (await done(engine, source="tool")).result == "the handler"
