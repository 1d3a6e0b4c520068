"""Runs that a handler makes by itself, without `run_agent`: their bounds, and what the log says of them."""

import asyncio
import inspect
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
from agno.agent import Agent
from agno.db.in_memory import InMemoryDb
from agno.exceptions import ModelProviderError
from agno.memory import MemoryManager
from agno.models.response import ModelResponse

from worker import Task
from worker.testing import Call, HandlerRun, ScriptedModel, run_handler

pytestmark = pytest.mark.usefixtures("environment", "worker_platform")

Way = Callable[[Agent], Any]


def look(x: int) -> str:
    """Look."""
    return "nothing"


async def awaited(agent: Agent) -> Any:
    return (await agent.arun("go")).content


async def streamed(agent: Agent) -> Any:
    return "".join([str(getattr(each, "content", None) or "") async for each in agent.arun("go", stream=True)])


def plain(agent: Agent) -> Any:
    return agent.run("go").content


def plain_stream(agent: Agent) -> Any:
    return "".join(str(getattr(each, "content", None) or "") for each in agent.run("go", stream=True))


WAYS: dict[str, Way] = {each.__name__: each for each in (awaited, streamed, plain, plain_stream)}


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest) -> Way:
    return WAYS[request.param]


async def ran(way: Way, agent: Agent) -> HandlerRun:
    """A handler that runs the agent in this way."""

    async def coming(task: Task) -> Any:
        return await way(agent)

    def staying(task: Task) -> Any:
        return way(agent)

    return await run_handler(coming if inspect.iscoroutinefunction(way) else staying, text="x")


async def test_after_its_limit_of_tool_calls_an_agent_answers_and_ends(way: Way) -> None:
    model = ScriptedModel([*[Call("look", {"x": n}) for n in range(3)], "Nothing found."])
    run = await ran(way, Agent(model=model, tools=[look], tool_call_limit=2))
    assert (run.status, run.task.finish_reason) == ("completed", "tool_limit"), run.result
    assert str(run.result).endswith("Nothing found.")
    assert [bool(each.tools) for each in model.requests] == [True, True, True, False]
    assert any("is incomplete" in each for each in run.notes)


@pytest.mark.parametrize(("own", "calls"), [(None, 3), (5, 5)])
async def test_the_setting_bounds_agents_without_a_limit_of_their_own(
    way: Way, monkeypatch: pytest.MonkeyPatch, own: int | None, calls: int
) -> None:
    monkeypatch.setenv("WORKER_TOOL_CALLS", "3")
    seen: list[int] = []

    def seek(x: int) -> str:
        """Seek."""
        seen.append(x)
        return f"not at {x}"

    model = ScriptedModel([*[Call("seek", {"x": n}) for n in range(calls)], "Nowhere."])
    run = await ran(way, Agent(model=model, tools=[seek], tool_call_limit=own))
    assert (run.status, len(seen)) == ("completed", calls), run.result
    assert run.task.finish_reason == ("tool_limit" if own is None else "stop")


async def test_one_that_calls_tools_even_then_is_an_error(way: Way) -> None:
    model = ScriptedModel(lambda _: Call("look", {"x": 1}))
    run = await ran(way, Agent(model=model, tools=[look], tool_call_limit=2))
    assert (run.status, run.task.error_code) == ("error", "limit"), run.result
    assert len(model.requests) == 4


async def test_one_that_turns_in_a_circle_has_to_answer(way: Way, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKER_TOOL_REPEATS", "3")
    model = ScriptedModel([*[Call("look", {"x": 1})] * 3, "Nothing."])
    run = await ran(way, Agent(model=model, tools=[look]))
    assert (run.status, run.task.finish_reason) == ("completed", "tool_loop"), run.result


async def test_what_it_uses_is_on_the_task(way: Way) -> None:
    run = await ran(way, Agent(model=ScriptedModel([Call("look", {"x": 1}), "done"]), tools=[look]))
    tokens = run.task.tokens
    assert tokens is not None
    assert (tokens.prompt_tokens, tokens.completion_tokens) == (20, 10)
    assert (run.task.used_tools, run.task.finish_reason) == (["look"], "stop")


async def test_a_run_that_its_reader_leaves_early_has_not_said_how_it_ended() -> None:
    agent = Agent(model=ScriptedModel([Call("look", {"x": 1}), "done"]), tools=[look])

    async def reading(_: Agent) -> str:
        async for each in agent.arun("go", stream=True, stream_events=True):
            if getattr(each, "event", None) == "ToolCallCompleted":
                break
        return "left"

    run = await ran(reading, agent)
    assert (run.result, run.task.used_tools, run.task.finish_reason) == ("left", ["look"], None)


async def test_a_tools_result_that_is_too_long_for_its_model_is_cut(way: Way, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKER_TOOL_RESULT_CHARACTERS", "100")

    def fetch() -> str:
        """Fetch."""
        return "x" * 1_000

    model = ScriptedModel([Call("fetch", {}), "done"])
    run = await ran(way, Agent(model=model, tools=[fetch]))
    (result,) = [each.content for each in model.requests[-1].messages if each.role == "tool"]
    assert str(result).startswith("x" * 100 + "\n[Cut here: these are the first 100 of 1,000 characters.")
    assert any("too long for the model" in each for each in run.notes)


async def test_calls_that_agno_refuses_are_in_the_log(way: Way) -> None:
    no_json: Any = "x = 1"
    model = ScriptedModel([Call("puut", {"x": 1}), Call("look", no_json), "done"])
    run = await ran(way, Agent(model=model, tools=[look]))
    results = [each.data.model_dump() for each in run.events if each.type == "tool_call_result"]
    assert [(each["tool_name"], each["is_error"]) for each in results] == [("puut", True), ("look", True)]


async def test_without_a_user_it_has_nobodys_memories(way: Way) -> None:
    db = InMemoryDb()
    keeping = ScriptedModel(lambda _: Call("add_memory", {"memory": "likes tea", "topics": []}))
    manager = MemoryManager(model=keeping, db=db)
    agent = Agent(name="ann", model=ScriptedModel(["done"]), db=db, memory_manager=manager, update_memory_on_run=True)
    run = await ran(way, agent)
    assert run.status == "completed"
    assert not keeping.requests
    assert [each for each in run.notes if "has no user" in each]
    assert agent.update_memory_on_run, "the user's own agent stays as it is"


async def test_what_its_agents_go_on_without_is_noted(way: Way) -> None:
    def retrieve(query: str, **_: Any) -> Any:
        raise ConnectionError("no route to the index")

    model = ScriptedModel([Call("search_knowledge_base", {"query": "tea"}), "done"])
    run = await ran(way, Agent(model=model, knowledge_retriever=retrieve, search_knowledge=True))
    assert run.status == "completed"
    if way in (awaited, streamed):  # Agno asks it in another way from plain code
        assert any("no route to the index" in each and "continued without it" in each for each in run.notes)


class Mute(ScriptedModel):
    """A model whose plain calls never come to an end by themselves."""

    def __init__(self, *_: Any) -> None:
        super().__init__(["never"])
        self.asked, self.ends = threading.Event(), threading.Event()

    def invoke(self, *_: Any, **__: Any) -> ModelResponse:  # pyright: ignore[reportIncompatibleMethodOverride] - any
        self.asked.set()
        self.ends.wait(60)
        return ModelResponse(role="assistant", content="late")

    def invoke_stream(self, *_: Any, **__: Any) -> Iterator[ModelResponse]:  # pyright: ignore[reportIncompatibleMethodOverride]
        self.asked.set()
        self.ends.wait(60)
        yield ModelResponse(role="assistant", content="late")


@pytest.mark.parametrize("way", [plain, plain_stream])
async def test_plain_code_does_not_wait_for_ever_either(way: Way, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKER_MODEL_SILENCE_SECONDS", "0.3")
    model = Mute()
    try:
        run = await ran(way, Agent(model=model))
    finally:
        model.ends.set()
    assert (run.status, run.task.error_code) == ("pending", "timeout")


async def test_a_refused_key_is_not_its_tasks_fault(way: Way) -> None:
    model = ScriptedModel(lambda _: ModelProviderError("no such key", status_code=401))
    run = await ran(way, Agent(model=model))
    assert (run.status, run.task.error_code, run.task.errors) == ("pending", "auth", 0), run.result


async def texts(agent: Agent) -> str:
    """The text alone, without Agno's other events."""
    items: Any = agent.arun("go", stream=True)
    return "".join([each.content or "" async for each in items if each.event == "RunContent"])


def plain_texts(agent: Agent) -> str:
    items: Any = agent.run("go", stream=True)
    return "".join(each.content or "" for each in items if each.event == "RunContent")


class Breaking(ScriptedModel):
    """Says a part of its answer, and breaks off."""

    async def ainvoke_stream(self, *_: Any, **__: Any) -> AsyncIterator[ModelResponse]:  # pyright: ignore[reportIncompatibleMethodOverride]
        yield ModelResponse(role="assistant", content="The total")
        raise ModelProviderError("away", status_code=503)

    def invoke_stream(self, *_: Any, **__: Any) -> Iterator[ModelResponse]:  # pyright: ignore[reportIncompatibleMethodOverride]
        yield ModelResponse(role="assistant", content="The total")
        raise ModelProviderError("away", status_code=503)


@pytest.mark.parametrize("way", [texts, plain_texts])
async def test_the_text_that_a_failed_run_has_streamed_is_no_result(way: Way) -> None:
    for model in (Breaking([]), ScriptedModel(lambda _: ModelProviderError("away", status_code=503))):
        run = await ran(way, Agent(model=model))
        assert (run.status, run.task.error_code) == ("pending", "unavailable"), run.result


async def test_the_same_text_of_a_later_run_is_a_result() -> None:
    async def handler(task: Task) -> str:
        await texts(Agent(model=Breaking([])))
        return await texts(Agent(model=ScriptedModel(["The total"])))

    run = await run_handler(handler, text="x")
    assert (run.status, run.result) == ("completed", "The total")


async def test_a_fallback_model_answers_in_its_place(way: Way) -> None:
    model = ScriptedModel(lambda _: ModelProviderError("away", status_code=503))
    run = await ran(way, Agent(model=model, fallback_models=[ScriptedModel(["instead"])]))
    assert run.status == "completed"
    assert "instead" in str(run.result)


IMPORTS = """
import asyncio, sys, threading
import agno.agent
from worker.agents.outputs import watch_bare_runs

on_loop = []

def note(event, arguments):
    if event == "import" and threading.current_thread() is threading.main_thread():
        on_loop.append(arguments[0])

sys.addaudithook(note)
asyncio.run(watch_bare_runs())
print([each for each in on_loop if each.startswith("agno.")])
"""


async def test_the_first_task_of_a_worker_does_not_hold_the_loop_while_agno_is_imported() -> None:
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", IMPORTS, stdout=asyncio.subprocess.PIPE)
    output, _ = await asyncio.wait_for(process.communicate(), 120)
    assert output.decode().strip() == "[]"
