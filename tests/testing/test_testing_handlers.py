"""``run_handler``: a handler on a task as a worker would run it."""

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from agno.agent import Agent
from agno.team import Team
from agno.workflow import Parallel, Step, StepInput, StepOutput, Workflow

from worker import Context, RetryPolicy, Task, Tasks, on, on_task, registry, run_agent
from worker.registry import Registry
from worker.testing import Call, HandlerRun, LocalPlatform, ScriptedModel, local_platform, run_handler, run_handler_sync
from worker.words.errors import ConfigurationError, ValidationError

pytestmark = pytest.mark.usefixtures("environment")


@pytest.fixture(autouse=True)
def own_registry(monkeypatch: pytest.MonkeyPatch) -> Registry:
    """Handlers that a test decorates are its own."""
    mine = Registry()
    monkeypatch.setattr(registry, "default", mine)
    return mine


@pytest.fixture
def platform(monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalPlatform]:
    """What the plugin's fixture is."""
    with local_platform() as platform:
        monkeypatch.setenv("DATABASE_URL", platform.url)
        yield platform


async def echo(task: Task) -> str:
    return f"{task.agent_id}: {task.input.text}"


async def test_an_undecorated_function_is_run_too() -> None:
    run = await run_handler(echo, text="x")
    assert (run.status, run.result, run.error, run.retry_in) == ("completed", "agent: x", None, None)
    assert [(event.number, event.type) for event in run.events] == [
        (1, "task_created"),
        (2, "task_updated"),
        (3, "task_finished"),
    ]
    assert (await run_handler(echo, text="x", agent_id="other")).result == "other: x"


async def test_a_decorated_one_brings_its_options() -> None:
    @on_task(agent_id=["first", "second"], timeout=0.05, retries=RetryPolicy(attempts=2, base=7))
    async def handler(task: Task) -> str:
        if task.input.text == "slow":
            await asyncio.Event().wait()
        if task.input.text == "busy":
            raise ConnectionError("busy")
        return task.agent_id

    assert (await run_handler(handler, text="x")).result == "first"
    assert (await run_handler(handler, text="x", agent_id="second")).result == "second"
    slow = await run_handler(handler, text="slow")
    assert (slow.status, slow.result) == ("failed", "time limit of 0.05 s")
    busy = await run_handler(handler, text="busy")
    assert busy.status == "pending"
    assert 0 <= (busy.retry_in or 0) <= 7
    assert isinstance(busy.error, ConnectionError)
    assert (await run_handler(handler, text="x", timeout=9)).status == "completed"


async def test_what_a_handler_raises_is_told_and_not_raised() -> None:
    async def handler(task: Task) -> str:
        task.internal_status = "half way"
        raise LookupError("nothing there")

    run = await run_handler(handler, text="x")
    assert (run.status, run.result, run.internal_status) == ("error", "nothing there", "half way")
    assert isinstance(run.error, LookupError)


async def test_sync_handlers_run_in_a_thread_and_are_given_what_they_ask_for() -> None:
    def handler(task: Task, context: Context) -> dict[str, object]:
        return {"thread": threading.current_thread() is not threading.main_thread(), "attempt": context.attempt}

    run = await run_handler(handler, text="x")
    assert run.result == '{"thread":true,"attempt":1}'


async def test_steps_saves_and_the_client_work_within() -> None:
    async def handler(task: Task, context: Context) -> str:
        task.internal_status = "counting"
        await task.asave()
        number = await context.step("count", lambda: 3)
        other = await Tasks().acreate(agent_id="nobody", prompt="x")
        return f"{number} {other.status}"

    run = await run_handler(handler, text="x")
    assert run.result == "3 pending"
    assert any(getattr(event.data, "internal_status", None) == "counting" for event in run.events[:-1])


async def test_files_are_paths_or_contents_by_name(tmp_path: Path) -> None:
    async def handler(task: Task) -> str:
        return " ".join(sorted(file["content"] for file in task.get_human_readable_files()))

    path = tmp_path / "one.txt"
    path.write_text("one")
    assert (await run_handler(handler, files=[path, "data:text/plain,two"])).result == "one two"
    assert (await run_handler(handler, files=[str(path)])).result == "one"
    assert (await run_handler(handler, files={"a.txt": "A", "b.txt": b"B"})).result == "A B"


async def test_a_model_takes_the_place_of_every_model(monkeypatch: pytest.MonkeyPatch) -> None:
    from agno.agent import Agent
    from agno.team import Team

    def add(a: int, b: int) -> int:
        return a + b

    async def handler(task: Task) -> Task:
        return await run_agent(Agent(model=ScriptedModel(["the agent's own"]), tools=[add]), task)

    run = await run_handler(handler, text="x", model=[Call("add", {"a": 1, "b": 2}), "Three."])
    assert (run.result, run.task.used_tools) == ("Three.", ["add"])
    assert [(call.tool_name, call.payload, call.result) for call in run.tool_calls] == [("add", {"a": 1, "b": 2}, 3)]
    assert (await run_handler(handler, text="x")).result == "the agent's own"

    async def unnamed(task: Task) -> Task:
        return await run_agent(Agent(), task)

    asked = ScriptedModel(["Yes."])
    options: dict[str, Any] = {"llm_model_provider": "openai", "llm_model_name": "gpt-5"}
    assert (await run_handler(unnamed, text="Really?", model=asked, **options)).result == "Yes."
    assert "Really?" in asked.requests[0].user
    unread = await run_handler(unnamed, text="x", model=["Hm."], files=["http://127.0.0.1:1/private"])
    assert (unread.result, len(unread.notes)) == ("Hm.", 1)

    async def team(task: Task) -> Task:
        members = [Agent(name="Member", role="answers")]
        return await run_agent(Team(members=list(members)), task)

    assert (await run_handler(team, text="x", model=["From the leader."])).result == "From the leader."


async def test_streamed_text_is_put_together() -> None:
    from agno.agent import Agent

    from worker.testing import Pieces

    async def handler(task: Task) -> Task:
        return await run_agent(Agent(), task)

    run = await run_handler(handler, text="x", model=[Pieces(["Hel", "lo"])], events_streaming=True)
    assert (run.text, run.result) == ("Hello", "Hello")


def test_the_sync_twin_takes_the_same_and_works_beside_a_loop() -> None:
    assert run_handler_sync(echo, text="x", agent_id="a").result == "a: x"

    async def beside() -> HandlerRun:
        return run_handler_sync(echo, text="y")

    assert asyncio.run(beside()).result == "agent: y"


async def test_several_at_once_wait_for_each_other() -> None:
    runs = await asyncio.gather(*(run_handler(echo, text=str(number)) for number in range(3)))
    assert [run.result for run in runs] == ["agent: 0", "agent: 1", "agent: 2"]


async def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ValidationError):
        await run_handler(echo)
    with pytest.raises(ValidationError, match="unknown option 'colour'"):
        await run_handler(echo, text="x", colour="red")
    with pytest.raises(ValidationError):
        await run_handler(echo, files=["no-such-file.pdf"])

    async def wants_more(task: Task, other: int) -> None: ...

    with pytest.raises(ConfigurationError, match="parameter 'other' of"):
        await run_handler(wants_more, text="x")

    @on("task_finished")
    async def listener(task: Task) -> None: ...

    with pytest.raises(ConfigurationError, match="handles task_finished"):
        await run_handler(listener, text="x")


async def test_with_a_platform_the_task_stays_until_the_test_ends(platform: LocalPlatform) -> None:
    run = await run_handler(echo, text="x")
    assert (await Tasks().aget(run.task.id)).result == "agent: x"


def test_a_platform_is_empty_each_time(environment: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(2):
        with local_platform() as platform:
            monkeypatch.setenv("DATABASE_URL", platform.url)
            assert Tasks().list(agent_id="a") == []
            Tasks().create(agent_id="a", prompt="x")
            assert len(Tasks().list(agent_id="a")) == 1


async def test_a_worker_serves_the_handlers_that_are_named(platform: LocalPlatform) -> None:
    on_task(agent_id="echo")(echo)

    @on_task(agent_id="broken")
    async def broken(task: Task) -> str:
        raise AssertionError("not asked for")

    async with platform.worker(echo, concurrency=1) as worker:
        left = await Tasks().acreate(agent_id="broken", prompt="x")
        task = await Tasks().acreate(agent_id="echo", prompt="x")
        await worker.idle()
    assert (await Tasks().aget(task.id)).result == "echo: x"
    assert (await Tasks().aget(left.id)).status == "pending"

    async def undecorated(task: Task) -> None: ...

    with pytest.raises(ConfigurationError, match="undecorated is not a handler"):
        async with platform.worker(undecorated):
            pass


class Panic(BaseException):
    """As other libraries have one."""


LEAVES: dict[str, tuple[BaseException, str]] = {
    "exit": (SystemExit(3), "the task's code called sys.exit(3)"),
    "panic": (Panic("enough"), "Panic: enough"),
    "cancelled": (asyncio.CancelledError(), "the run was cancelled by its own code"),
}


@pytest.mark.parametrize("at_once", [1, 2])
@pytest.mark.parametrize("way", LEAVES)
async def test_a_tool_that_leaves_ends_its_run_alone(way: str, at_once: int) -> None:
    error, said = LEAVES[way]

    def leave() -> None:
        """Leave."""
        raise error

    async def leave_async() -> None:
        """Leave."""
        raise error

    async def flow() -> AsyncIterator[str]:
        """Leave."""
        yield "one "
        raise error

    for tool in (leave, leave_async, flow):
        model = ScriptedModel([[Call(tool.__name__, {})] * at_once, "done"])

        async def handler(task: Task, tool: Any = tool, model: Any = model) -> Any:
            return await run_agent(Agent(model=model, tools=[tool]), task)

        run = await run_handler(handler, text="x", timeout=5)
        assert (run.status, run.result) == ("error", said), tool


@pytest.mark.parametrize("way", LEAVES)
async def test_a_step_that_leaves_beside_another_ends_the_run_alone(way: str) -> None:
    error, said = LEAVES[way]

    async def leave(step_input: StepInput) -> StepOutput:
        raise error

    async def stay(step_input: StepInput) -> StepOutput:
        return StepOutput(content="here")

    async def handler(task: Task) -> Any:
        steps: list[Any] = [Step(name="one", executor=leave), Step(name="two", executor=stay)]
        return await run_agent(Workflow(id="w", name="w", steps=[Parallel(*steps)]), task)

    for stream in (True, False):
        run = await run_handler(handler, text="x", timeout=5, events_streaming=stream)
        assert (run.status, run.result) == ("error", said)


@pytest.mark.parametrize("way", ["exit", "panic"])
async def test_a_member_whose_hook_leaves_beside_another_ends_the_run_alone(way: str) -> None:
    error, said = LEAVES[way]

    async def leave(run_input: Any) -> None:
        raise error

    async def handler(task: Task) -> Any:
        members: list[Any] = [
            Agent(id="ann", name="ann", model=ScriptedModel(["done"]), pre_hooks=[leave]),
            Agent(id="ben", name="ben", model=ScriptedModel(["done"])),
        ]
        turns = Call("delegate_task_to_members", {"task": "x"}), "done"
        team = Team(id="t", members=members, model=ScriptedModel(turns), delegate_to_all_members=True)
        return await run_agent(team, task)

    for stream in (True, False):
        run = await run_handler(handler, text="x", timeout=5, events_streaming=stream)
        assert (run.status, run.result) == ("error", said)
