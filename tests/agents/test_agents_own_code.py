"""Transient errors of the user's own code within an agent are retried wherever they are raised; others are told."""

import asyncio
import inspect
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from agno.agent import Agent
from agno.db.in_memory import InMemoryDb
from agno.exceptions import ModelProviderError
from agno.knowledge.knowledge import Knowledge
from agno.memory import MemoryManager
from agno.team import Team
from agno.workflow import Step, Workflow

from worker import RetryPolicy, Task, run_agent
from worker.registry import Registry
from worker.testing import Call, ScriptedModel, run_handler
from worker.testing import running as stage

pytestmark = pytest.mark.usefixtures("environment", "worker_platform")


def away(*_: Any, **__: Any) -> Any:
    raise ConnectionError("db away")


async def away_async(*_: Any, **__: Any) -> Any:
    raise ConnectionError("db away")


def in_a_group(*_: Any, **__: Any) -> Any:
    raise ExceptionGroup("unhandled errors in a TaskGroup", [ConnectionError("db away")])


def defect(*_: Any, **__: Any) -> Any:
    raise ValueError("no such column")


class Base:
    """A knowledge base of the user's own, whose searches fail as a function says."""

    def __init__(self, fails: Any) -> None:
        self.fails = fails

    def build_context(self, **_: Any) -> str:
        return "There is a knowledge base."

    def get_tools(self, **_: Any) -> list[Any]:
        return []

    async def aget_tools(self, **_: Any) -> list[Any]:
        return []

    async def aretrieve(self, *_: Any, **__: Any) -> Any:
        found = self.fails()
        return await found if inspect.isawaitable(found) else found


class Store:
    """A vector store of Agno's Knowledge, without which that finds nothing."""

    def __init__(self, fails: Any) -> None:
        self.fails = fails

    def exists(self) -> bool:
        return True

    def search(self, **_: Any) -> Any:
        return self.fails()

    async def async_search(self, **_: Any) -> Any:
        found = self.fails()
        return await found if inspect.isawaitable(found) else found


class PlainStore(Store):
    """One that cannot be searched on an event loop."""

    async def async_search(self, **_: Any) -> Any:
        raise NotImplementedError


def knowledge(store: Any) -> Any:
    return Knowledge(name="handbook", vector_db=store)


def asking(**options: Any) -> Agent:
    turns = Call("search_knowledge_base", {"query": "x"}), "done"
    return Agent(id="a", model=ScriptedModel(turns), **options)


def agent(**options: Any) -> Agent:
    return Agent(id="a", model=ScriptedModel(["done"]), **options)


def team(**options: Any) -> Team:
    return Team(id="t", members=[agent()], model=ScriptedModel(["done"]), **options)


Make = Callable[[Any], Any]

ENDING: dict[str, Make] = {
    "tools": lambda code: agent(tools=code),
    "tools of a team": lambda code: team(tools=code),
    "instructions": lambda code: agent(instructions=code),
    "step": lambda code: Workflow(id="w", steps=[Step(name="s", executor=code)]),
}
PASSED_OVER: dict[str, Make] = {
    "pre-hook": lambda code: agent(pre_hooks=[code]),
    "post-hook": lambda code: agent(post_hooks=[code]),
    "pre-hook of a team": lambda code: team(pre_hooks=[code]),
    "dependencies": lambda code: agent(dependencies={"x": code}, add_dependencies_to_context=True),
    "retriever": lambda code: agent(knowledge_retriever=code, add_knowledge_to_context=True),
}


KNOWLEDGE: dict[str, tuple[str, Make]] = {
    "a base of one's own": ("the knowledge", lambda code: agent(knowledge=Base(code), add_knowledge_to_context=True)),
    "in the context": (
        "the knowledge handbook",
        lambda code: agent(knowledge=knowledge(Store(code)), add_knowledge_to_context=True),
    ),
    "by a tool": ("the knowledge handbook", lambda code: asking(knowledge=knowledge(Store(code)))),
    "a team's": (
        "the knowledge handbook",
        lambda code: team(knowledge=knowledge(Store(code)), add_knowledge_to_context=True),
    ),
}


def handler(make: Make, code: Any) -> Callable[[Task], Any]:
    async def handle(task: Task) -> Task:
        return await run_agent(make(code), task)

    return handle


@pytest.mark.parametrize("place", [*ENDING, *PASSED_OVER])
async def test_a_transient_error_is_retried_wherever_it_comes_from(place: str) -> None:
    for code in (away, away_async, in_a_group):
        run = await run_handler(handler((ENDING | PASSED_OVER)[place], code), text="x")
        assert (run.status, run.retry_in is None) == ("pending", False), (code, run.error)
        (attempt,) = await run.task.aattempts()
        assert str(attempt.error).endswith("db away")
        assert attempt.error_code == "unavailable"


@pytest.mark.parametrize("place", PASSED_OVER)
async def test_what_agno_goes_on_without_is_named_in_a_note(place: str) -> None:
    run = await run_handler(handler(PASSED_OVER[place], defect), text="x")
    assert (run.status, run.result) == ("completed", "done")
    assert run.notes == ["defect failed, and the run continued without it: no such column"]
    registry = Registry()
    registry.add(once := handler(PASSED_OVER[place], away), "task_created", None, retries=RetryPolicy(attempts=1))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stage.registry, "default", registry)
        last = await run_handler(once, text="x")
    assert last.status == "completed"
    assert last.notes == ["away failed, and the run continued without it: db away"]


@pytest.mark.parametrize("where", KNOWLEDGE)
async def test_knowledge_that_cannot_be_searched_is_searched_again_or_named(where: str) -> None:
    name, make = KNOWLEDGE[where]
    for code in (away, away_async):
        run = await run_handler(handler(make, code), text="x")
        assert (run.status, str((await run.task.aattempts())[0].error)[-7:]) == ("pending", "db away"), run.error
    lost = await run_handler(handler(make, lost_index), text="x")
    assert (lost.status, lost.result) == ("completed", "done")
    assert lost.notes == [f"{name} failed, and the run continued without it: no such index"]


class Memories(InMemoryDb):
    """A database that stores no memories."""

    def __init__(self, fails: Any) -> None:
        super().__init__()
        self.fails = fails

    def upsert_user_memory(self, *_: Any, **__: Any) -> Any:
        return self.fails()


def remembering(code: Any) -> Agent:
    turns = Call("add_memory", {"memory": "likes tea", "topics": ["drinks"]}), "remembered"
    db = Memories(code)
    manager = MemoryManager(model=ScriptedModel(turns), db=db)
    return agent(db=db, user_id="u", memory_manager=manager, update_memory_on_run=True)


async def test_memories_that_cannot_be_stored_are_stored_again_or_named() -> None:
    run = await run_handler(handler(remembering, away), text="x")
    assert (run.status, str((await run.task.aattempts())[0].error)[-7:]) == ("pending", "db away"), run.error
    lost = await run_handler(handler(remembering, lost_index), text="x")
    assert (lost.status, lost.result) == ("completed", "done")
    assert lost.notes == ["Agno's storing memory in db failed, and the run continued without it: no such index"]
    registry = Registry()
    registry.add(demanding := handler(remembering, lost_index), "task_created", None, required=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stage.registry, "default", registry)
        run = await run_handler(demanding, text="x")
    assert (run.status, str(run.result)[-37:]) == ("error", "failed, but is required: no such index"[-37:])


async def test_a_store_that_is_plain_is_heard_too() -> None:
    run = await run_handler(handler(lambda code: asking(knowledge=knowledge(PlainStore(code))), lost_index), text="x")
    assert run.notes == ["the knowledge handbook failed, and the run continued without it: no such index"]


def lost_index(*_: Any, **__: Any) -> Any:
    raise RuntimeError("no such index")


@pytest.mark.parametrize("where", [*KNOWLEDGE, *PASSED_OVER])
async def test_what_is_required_and_fails_ends_the_task_as_an_error(where: str) -> None:
    make = PASSED_OVER.get(where) or KNOWLEDGE[where][1]
    registry = Registry()
    registry.add(demanding := handler(make, lost_index), "task_created", None, required=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stage.registry, "default", registry)
        run = await run_handler(demanding, text="x")
    assert run.status == "error"
    assert str(run.result).endswith("failed, but is required: no such index")
    assert run.notes == []


async def test_a_member_that_is_required_and_fails_ends_the_task_as_an_error() -> None:
    async def work(task: Task) -> Task:
        broken = Agent(id="ann", model=ScriptedModel([ModelProviderError("no such model", 404)]))
        turns = Call("delegate_task_to_member", {"member_id": "ann", "task": "x"}), "without ann"
        return await run_agent(Team(id="t", members=[broken], model=ScriptedModel(turns)), task)

    run = await run_handler(work, text="x")
    assert (run.result, run.notes) == ("without ann", ["ann failed, and the run continued without it: no such model"])
    registry = Registry()
    registry.add(work, "task_created", None, required=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stage.registry, "default", registry)
        run = await run_handler(work, text="x")
    assert (run.status, run.result) == ("error", "ann failed, but is required: no such model")


async def test_what_a_tool_raises_is_for_its_model() -> None:
    def fetch() -> str:
        """Fetch."""
        return away()

    async def handle(task: Task) -> Task:
        model = ScriptedModel([Call("fetch", {}), "there is none"])
        return await run_agent(Agent(id="a", model=model, tools=[fetch], tool_hooks=[hook]), task)

    async def hook(function_name: str, function_call: Any, arguments: dict[str, Any]) -> Any:
        await asyncio.sleep(0)
        return function_call(**arguments)

    run = await run_handler(handle, text="x")
    assert (run.status, run.result, run.notes) == ("completed", "there is none", [])


async def cancels_itself() -> AsyncIterator[str]:
    """Yield, and be cancelled."""
    yield "one "
    task = asyncio.current_task()
    assert task is not None
    task.cancel()
    await asyncio.sleep(0)
    yield "two"


async def is_cancelled() -> str:
    """Be cancelled."""
    raise asyncio.CancelledError


@pytest.mark.parametrize("bare", [False, True], ids=["run_agent", "its own run"])
async def test_a_tool_that_cancels_its_own_task_half_way_ends_its_run(bare: bool) -> None:
    agent = Agent(name="ann", model=ScriptedModel([Call("cancels_itself", {}), "done"]), tools=[cancels_itself])

    async def handler(task: Task) -> Any:
        return (await agent.arun("go")).content if bare else await run_agent(agent, task)

    async with asyncio.timeout(20):
        run = await run_handler(handler, text="x")
    assert (run.status, run.result) == ("error", "the run was cancelled by its own code")


@pytest.mark.parametrize("tool", [cancels_itself, is_cancelled])
async def test_a_member_that_is_cancelled_by_its_own_code_is_not_passed_over(tool: Any) -> None:
    member = Agent(id="ann", model=ScriptedModel([Call(tool.__name__, {}), "done"]), tools=[tool])
    delegates = Call("delegate_task_to_member", {"member_id": "ann", "task": "?"})
    team = Team(name="team", model=ScriptedModel([delegates, "done"]), members=[member])

    async def handler(task: Task) -> Task:
        return await run_agent(team, task)

    async with asyncio.timeout(20):
        run = await run_handler(handler, text="x")
    told = [each for each in run.notes if each.startswith("ann failed") and "cancelled" in each]
    assert told if run.status == "completed" else run.status == "error" and "cancelled" in str(run.result)
