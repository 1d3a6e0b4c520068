"""The rest of files that were cut is one call away: what run_agent gives an agent to read on with."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote

import pytest
from agno.agent import Agent
from agno.team import Team
from agno.workflow import Step

from tests.agents.runs import flow
from worker.agents.models.capabilities import declare_capabilities
from worker.current import Run, run_in_hand
from worker.engine.engine import Engine
from worker.face import bridge
from worker.face.running import run_agent
from worker.face.task import Task
from worker.face.tasks import Tasks
from worker.testing import Call, ScriptedModel
from worker.words.work import Demand, WorkerCard

pytestmark = pytest.mark.usefixtures("place")

LOG = "".join(f"2026-05-01 12:00:00 INFO request {number}\n" for number in range(3_000))
FILE = f"data:text/plain;name=server.log,{quote(LOG)}"
SHORT = "data:text/plain,short"
NAME = "server.log"


def calling(*calls: Call) -> ScriptedModel:
    """A model that makes calls, one after another, and says what the last one answered."""

    def say(messages: list[Any]) -> Any:
        results = [each for each in messages if each.role == "tool"]
        return calls[len(results)] if len(results) < len(calls) else str(results[-1].content)

    return ScriptedModel(say)


def reading(*more: Call, **arguments: Any) -> ScriptedModel:
    """A model that reads in a file, and says what it read."""
    arguments = {"name": NAME, "from": 50_000, "to": 50_040} | arguments
    return calling(Call("read_file", arguments), *more)


def tools_of(model: ScriptedModel) -> list[str]:
    return sorted(each["function"]["name"] for each in model.requests[0].tools)


@pytest.fixture(autouse=True)
async def attempt(engine: Engine) -> AsyncIterator[Any]:
    """An attempt at a task with a long file, in hand."""
    bridge.adopt(asyncio.get_running_loop(), engine)
    await engine.work.register(WorkerCard(id="w", name="w", any_agent=True))

    async def claimed(*files: str) -> Task:
        await Tasks().acreate("agent", "What happened?", list(files))
        (assignment,) = await engine.work.assignments("w", lambda: Demand(1, others=1), 10)
        run_in_hand.set(Run(assignment.task.id, "agent", engine.work, attempt=assignment.attempt))
        return Task.of(assignment.task)

    yield claimed
    await bridge.release()


async def log_of(task: Task, kind: str) -> list[Any]:
    events = bridge.aiterate(lambda platform: platform.tasks.events(task.id, follow=False))
    return [event.data async for event in events if event.type == kind]


async def test_an_agent_reads_on_in_a_file_that_was_cut_and_the_log_has_it(attempt: Any) -> None:
    model = reading(Call("search_file", {"name": NAME, "text": "REQUEST 1999\n"}))
    task = await run_agent(Agent(model=model), await attempt(FILE))
    asked = model.requests[0].user
    assert "is cut: the message contains its first" in asked
    assert asked.endswith(
        "Read the rest with read_file(name, from, to), which counts characters, or find text with"
        " search_file(name, text)."
    )
    assert tools_of(model) == ["read_file", "search_file"]
    assert LOG[50_000:50_040] in str(model.requests[1].messages[-1].content)
    assert f"contains it in 1 place:]\n[at {LOG.index('request 1999')}] " in str(task.result)
    assert task.used_tools == ["read_file", "search_file"]
    assert [each.tool_name for each in await log_of(task, "tool_call_request")] == ["read_file", "search_file"]
    (answer, _) = await log_of(task, "tool_call_result")
    assert (answer.payload["from"], answer.is_error) == (50_000, False)
    (note,) = await log_of(task, "note")
    assert note.text.startswith("server.log is cut: the message contains its first ")


@pytest.mark.parametrize(
    ("file", "wanted", "given"),
    [(SHORT, None, False), (SHORT, True, True), (FILE, False, False), (FILE, None, True)],
)
async def test_who_is_given_the_tools(attempt: Any, file: str, wanted: bool | None, given: bool) -> None:
    model = ScriptedModel(["Done."])
    await run_agent(Agent(model=model), await attempt(file), file_tools=wanted)
    assert tools_of(model) == (["read_file", "search_file"] if given else [])


async def test_a_model_that_calls_no_tools_is_given_none_unless_its_agent_has_some(attempt: Any) -> None:
    def look() -> str:
        """Look."""
        return "seen"

    declare_capabilities("toolless", tools=False)
    mute, told = ScriptedModel(["Done."], id="toolless"), ScriptedModel(["Done."], id="toolless")
    task = await attempt(FILE)
    await run_agent(Agent(model=mute), task)
    await run_agent(Agent(model=told, tools=[look]), task)
    assert tools_of(mute) == []
    assert tools_of(told) == ["look", "read_file", "search_file"]
    assert "read_file" not in mute.requests[0].user


async def test_tools_of_the_same_names_keep_them(attempt: Any) -> None:
    def read_file(name: str) -> str:
        """Read a file of the user's."""
        return f"the user's {name}"

    model = ScriptedModel([Call("read_file", {"name": "x"}), "Done."])
    agent = Agent(model=model, tools=[read_file])
    await run_agent(agent, await attempt(FILE))
    assert tools_of(model) == ["read_attached_file", "read_file", "search_file"]
    assert str(model.requests[1].messages[-1].content) == "the user's x"
    assert agent.tools == [read_file]


async def test_a_team_and_the_steps_of_a_workflow_read_too(attempt: Any) -> None:
    led, step = reading(), reading()
    task = await attempt(FILE)
    member = Agent(name="m", model=ScriptedModel([]))
    assert LOG[50_000:50_040] in str((await run_agent(Team(members=[member], model=led), task)).result)
    assert LOG[50_000:50_040] in str((await run_agent(flow(Step(name="s", agent=Agent(model=step))), task)).result)


@pytest.mark.parametrize(
    "given", [{"from": "x"}, {"from": [1]}, {"name": "other"}, {"name": {"a": 1}}, {"to": 10**400}]
)
async def test_arguments_that_make_no_sense_are_an_answer(attempt: Any, given: Any) -> None:
    task = await run_agent(Agent(model=reading(**given)), await attempt(FILE))
    assert str(task.result).startswith("[")
    assert len(str(task.result)) < 21_000


async def test_the_rest_of_a_long_result_is_read_the_same_way(attempt: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def fetch() -> str:
        """Fetch a page."""
        return LOG

    monkeypatch.setenv("WORKER_TOOL_RESULT_CHARACTERS", "1000")
    part = {"name": "result of fetch 1", "from": 1000, "to": 1900}
    model = calling(Call("fetch", {}), Call("read_file", part))
    task = await run_agent(Agent(model=model, tools=[fetch]), await attempt(SHORT), file_tools=True)
    assert "read_file(name='result of fetch 1', from=1000) continues.]" in str(model.requests[1].messages[-1].content)
    assert LOG[1000:1900] in str(task.result)
