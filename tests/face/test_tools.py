"""Tools of a process: how they are registered, called, told and given to Agno."""

import asyncio
import threading
import time
from typing import Any

import pytest
from agno.agent import Agent as AgnoAgent
from agno.tools.function import Function
from pydantic import BaseModel

from worker import Agent, Backend, Task, Tasks, on_tool_after, on_tool_before, on_tool_error, register_tool, tool
from worker import registry as registries
from worker.face import bridge
from worker.face.tools import ToolsRepository
from worker.registry import Registry
from worker.testing import Call, ScriptedModel
from worker.words.agents import AgentRecord
from worker.words.errors import ConfigurationError
from worker.words.statuses import TaskUpdateEventType

pytestmark = pytest.mark.usefixtures("place")


@pytest.fixture(autouse=True)
def registry(monkeypatch: pytest.MonkeyPatch) -> Registry:
    """The process's own registry, with nothing in it."""
    fresh = Registry()
    monkeypatch.setattr(registries, "default", fresh)
    return fresh


class Order(BaseModel):
    item: str
    count: int = 1


class Shop:
    """Something whose method is a tool."""

    def __init__(self) -> None:
        self.ordered: list[Order] = []

    def order(self, order: Order) -> str:
        """Order something."""
        self.ordered.append(order)
        return f"{order.count} {order.item}"


def total(region: str, year: int = 2024) -> dict[str, Any]:
    """Add up the sales of a region.

    Args:
        region: Which one.
        year: Of which year.
    """
    return {"region": region, "year": year}


async def told(task: Task) -> list[tuple[str, Any]]:
    seen = bridge.aiterate(lambda platform: platform.tasks.events(task.id, follow=False))
    return [(str(each.type), each.data) async for each in seen if each.type.startswith("tool_")]


async def made(agent_id: str = "agent-123") -> Agent:
    record = AgentRecord(id=agent_id, name="Ann", unique_name=agent_id)
    await bridge.across(lambda platform: platform.tasks.save_agent(record))
    return await Agent.aload(agent_id)


async def test_a_tool_is_what_agno_reads_of_it() -> None:
    assert tool(total) is total
    (found,) = (await made()).tools.list
    assert (found.id, found.name, found.is_local) == ("total", "total", True)
    assert found.description == "Add up the sales of a region."
    agnos = Function.from_callable(total)
    assert found.parameters["properties"] == agnos.parameters["properties"]
    assert found.parameters["required"] == ["region"]
    assert "Which one." in str(found.parameters)


async def test_a_tool_is_called_and_says_what_came_of_it() -> None:
    tool(total)
    repository = (await made()).tools
    found = repository.get_tool_by_name("total")
    assert found is not None
    assert repository.get_tool_by_id("total") is not None
    assert repository.get_tool_by_id("other") is None
    result = await found.ainvoke("agent-123", {"region": "north"}, tool_call_id="mine")
    assert result.is_success
    assert result.result == {"region": "north", "year": 2024}
    assert (result.error, result.status_code, result.tool_call_id) == (None, 200, "mine")
    assert 0 < result.execution_time < 5
    assert await asyncio.to_thread(found.invoke, "agent-123", {"region": "south"})
    assert found.invoke("agent-123", {"region": "south"}).result["region"] == "south"  # on a running loop, too


@pytest.mark.parametrize(
    ("payload", "field"),
    [({}, "region"), ({"region": 3}, "region"), ({"region": "n", "yaer": 1}, "yaer"), (3, "object")],
)
async def test_a_payload_that_does_not_fit_is_named_and_nothing_is_called(payload: Any, field: str) -> None:
    called: list[Any] = []

    @tool
    def strict(region: str, year: int = 1) -> None:
        called.append((region, year))

    result = await ToolsRepository().list[0].ainvoke("agent-123", payload)
    assert (result.is_success, result.is_error, result.status_code) == (False, True, 422)
    assert field in (result.error or "")
    assert not called


async def test_what_a_tool_raises_is_never_raised() -> None:
    @tool
    async def refuses() -> None:
        raise ValueError("no such region")

    @tool
    def leaves() -> None:
        raise SystemExit(3)

    @tool
    async def cancels() -> None:
        raise asyncio.CancelledError

    for found, word in zip(ToolsRepository().list, ("no such region", "3", "Cancelled"), strict=True):
        result = await found.ainvoke("agent-123")
        assert (result.is_success, result.status_code) == (False, 500)
        assert word in (result.error or "")


async def test_a_call_is_bounded_in_time() -> None:
    over = threading.Event()

    @tool(timeout=0.05)
    def blocks() -> None:
        over.wait(10)

    @tool(timeout=0.05)
    async def sleeps() -> None:
        await asyncio.sleep(10)

    try:
        for found in ToolsRepository().list:
            began = time.monotonic()
            result = await found.ainvoke("agent-123", {})
            assert (result.status_code, result.is_success) == (504, False)
            assert "0.05 s" in (result.error or "")
            assert time.monotonic() - began < 3
    finally:
        over.set()


async def test_a_method_is_a_tool_with_its_object_and_models_come_as_models(registry: Registry) -> None:
    shop = Shop()
    register_tool(shop.order, name="buy", description="Buy something.")
    (found,) = ToolsRepository().list
    assert (found.name, found.description) == ("buy", "Buy something.")
    result = await found.ainvoke("agent-123", {"order": {"item": "tea", "count": 2}})
    assert result.result == "2 tea"
    assert shop.ordered == [Order(item="tea", count=2)]

    class Wrong:  # pyright: ignore[reportUnusedClass] - its decorator is what counts
        @tool
        def loose(self, a: int) -> int:
            return a

    with pytest.raises(ConfigurationError, match=r"test_tools\.py:\d+: .*loose is a method without an instance"):
        registry.check()


def test_what_cannot_be_a_tool_is_named_with_file_and_line(registry: Registry) -> None:
    tool(total)
    tool(name="total")(test_what_cannot_be_a_tool_is_named_with_file_and_line)
    tool(name="a b")(total)
    tool(timeout=0)(total)
    tool(resume="never")(total)  # type: ignore[call-overload]
    with pytest.raises(ConfigurationError) as caught:
        registry.check()
    for words in ("second tool is named 'total'", "not 'a b'", "timeout must be", "resume must be"):
        assert words in str(caught.value)


async def test_a_tool_is_its_agents_alone() -> None:
    tool(agent_ids=["ann"])(total)
    assert [each.name for each in (await made("ann")).tools.list] == ["total"]
    assert (await made("bob")).tools.list == []


async def test_a_call_is_in_the_log_of_its_task() -> None:
    tool(total)
    (found,) = ToolsRepository().list
    task = await Tasks().acreate("agent-123", "x")
    await found.ainvoke("agent-123", {"region": "north"}, task_id=task.id)
    await found.ainvoke("agent-123", {"region": 3}, task_id=task.id)
    (_, asked), (_, answered), (_, wrong), (_, refused) = await told(task)
    assert asked.request_id == answered.request_id != wrong.request_id == refused.request_id
    assert (asked.tool_name, asked.payload) == ("total", {"region": "north"})
    assert (answered.result, answered.is_error) == ({"region": "north", "year": 2024}, False)
    assert refused.is_error
    await Tasks().astop(task.id)
    assert (await found.ainvoke("agent-123", {"region": "north"}, task_id=task.id)).is_success  # without a log


async def test_hooks_are_called_around_a_call_and_cannot_break_it() -> None:
    seen: list[Any] = []
    tool(total)

    @on_tool_before
    async def before(tool: Any, payload: Any, *more: Any) -> None:
        seen.append(("before", tool.name, payload))
        raise RuntimeError("logged")

    @on_tool_after(configuration=None)
    def after(tool: Any, payload: Any, extension: Any, *more: Any) -> None:
        seen.append(("after", more[-1]["year"]))

    @on_tool_error
    def failed(tool: Any, payload: Any, extension: Any, *more: Any) -> None:
        seen.append(("error", str(more[-1])))

    (found,) = ToolsRepository().list
    assert (await found.ainvoke("agent-123", {"region": "n"}, payload_extension={"year": 7})).result["year"] == 7
    await found.ainvoke("agent-123", {})
    assert seen[:2] == [("before", "total", {"region": "n", "year": 7}), ("after", 7)]
    assert seen[3][0] == "error"
    assert "region" in seen[3][1]


@pytest.mark.parametrize("is_async", [True, False])
async def test_hooks_are_called_around_tools_that_an_agent_is_given_by_hand(is_async: bool) -> None:
    seen: list[Any] = []
    tool(total)

    @on_tool_before
    def before(tool: Any, payload: Any, *more: Any) -> None:
        seen.append(("before", tool.name, payload))

    @on_tool_after
    def after(tool: Any, payload: Any, extension: Any, *more: Any) -> None:
        seen.append(("after", more[-1]))

    agent = AgnoAgent(
        model=ScriptedModel([Call("total", {"region": "north"}), "Done."]), tools=ToolsRepository().functions
    )
    output = await agent.arun("x") if is_async else await asyncio.to_thread(agent.run, "x")
    assert output.content == "Done."
    assert seen == [("before", "total", {"region": "north"}), ("after", {"region": "north", "year": 2024})]


@pytest.mark.parametrize("is_async", [True, False])
async def test_a_plain_run_of_an_agent_is_visible(is_async: bool) -> None:
    tool(total)
    await made()
    task = await Tasks().acreate("agent-123", "x")
    model = ScriptedModel([Call("total", {"region": "north"}), "Done."])
    agent = AgnoAgent(**await Backend().aget_args(task=task, override={"model": model}))
    if is_async:
        await agent.arun("x")
    else:
        await asyncio.to_thread(agent.run, "x")
    (first, asked), (second, answered) = await told(task)
    assert (first, second) == (TaskUpdateEventType.ToolCallRequest, TaskUpdateEventType.ToolCallResult)
    assert asked.request_id == answered.request_id
    assert answered.result == {"region": "north", "year": 2024}
