"""The hooks in Agno: what they do outside a run, and what is said where Agno has moved a place."""

import asyncio
import functools
import importlib
import threading
from pathlib import Path
from typing import Any

import pytest
from agno.agent import Agent
from agno.db.in_memory import InMemoryDb
from agno.models.base import Model

from tests.agents.attempts import Task
from tests.agents.programs import World, memories_with_a_model_of_their_own
from tests.agents.runs import Log, Runner
from worker.agents.instrumentation import missing
from worker.testing import Call, ScriptedModel
from worker.words.errors import ConfigurationError

hooks: Any = importlib.import_module("worker.agents.instrumentation.install")


def test_this_version_of_agno_has_every_place() -> None:
    assert missing() == []


async def test_a_place_that_agno_has_moved_is_named_before_anything_is_run(monkeypatch: pytest.MonkeyPatch) -> None:
    gone = hooks.Hook("agno.models.base", "Model", "_was_here", hooks.HOOKS[0].make)
    monkeypatch.setattr(hooks, "HOOKS", (*hooks.HOOKS, gone))
    monkeypatch.setattr(hooks, "_installed", {})
    model = ScriptedModel(["never asked"])
    with pytest.raises(ConfigurationError, match=r"Agno 3\.\S+ has no agno\.models\.base\.Model\._was_here") as raised:
        await Runner(Log())(Agent(model=model))
    assert "Install an Agno version" in raised.value.description
    assert model.requests == []
    assert missing() == ["agno.models.base.Model._was_here"]


async def test_no_run_begins_before_every_hook_is_in_place(monkeypatch: pytest.MonkeyPatch) -> None:
    reached, goes_on = threading.Event(), threading.Event()

    def slow(original: Any) -> Any:
        reached.set()
        assert goes_on.wait(30)
        return original

    fast = hooks.Hook("agno.models.base", "Model", "response", _as_it_is)
    monkeypatch.setattr(hooks, "HOOKS", (fast, hooks.Hook("agno.models.base", "Model", "aresponse", slow)))
    monkeypatch.setattr(hooks, "_installed", {})
    first = asyncio.create_task(hooks.installed())
    await asyncio.to_thread(reached.wait, 30)
    second = asyncio.create_task(hooks.installed())
    done, _ = await asyncio.wait([second], timeout=0.05)
    goes_on.set()
    await asyncio.gather(first, second)
    assert not done


async def test_a_failure_on_the_way_leaves_agno_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(original: Any) -> Any:
        raise RuntimeError("no")

    broken = hooks.Hook("agno.models.base", "Model", "aresponse", fails)
    replaced = hooks.Hook("agno.models.base", "Model", "response", _replaced)
    monkeypatch.setattr(hooks, "HOOKS", (replaced, broken))
    monkeypatch.setattr(hooks, "_installed", {})
    before = Model.response
    for _ in range(2):
        with pytest.raises(RuntimeError, match="no"):
            await hooks.installed()
    assert Model.response is before


async def test_outside_a_run_agno_is_as_it_was() -> None:
    def add(a: int, b: int) -> int:
        """Add."""
        return a + b

    def agent() -> Agent:
        turns = [Call("add", {"a": 1, "b": 2}), "It is 3."]
        return Agent(name="ann", model=ScriptedModel(turns), tools=[add], db=InMemoryDb())

    async def events(agent: Agent) -> list[str]:
        items: Any = agent.arun("x", stream=True, stream_events=True)
        return [each.event async for each in items]

    hooks.install()
    during = await events(agent())
    for (module, owner, name), original in hooks._installed.items():
        place = importlib.import_module(module)
        place = getattr(place, owner) if owner else place
        assert getattr(place, name) is not original
    result = agent().run("x")
    assert (result.content, during[0], during[-1]) == ("It is 3.", "RunStarted", "RunCompleted")


async def test_tool_calls_of_agnos_helpers_are_labelled_as_theirs(tmp_path: Path) -> None:
    task, world = Task(), World(tmp_path)
    result = await task.attempted(lambda run_agent: run_agent(memories_with_a_model_of_their_own(world)))
    called = {event.data["tool_name"]: event.data.get("graph_node_id") for event in task.events if "tool" in event.type}
    assert called == {"note": None, "add_memory": "agno.memory"}
    assert result.used_tools == ["note"]


def _as_it_is(original: Any) -> Any:
    return original


def _replaced(original: Any) -> Any:
    return functools.partial(original)
