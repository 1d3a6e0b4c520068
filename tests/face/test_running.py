import asyncio
import threading
from base64 import b64encode
from collections.abc import AsyncIterator
from typing import Any

import pytest
from agno.agent import Agent
from agno.db.in_memory import InMemoryDb
from agno.run import RunContext
from agno.tools import tool
from agno.workflow import Step, StepOutput, Workflow
from pydantic import BaseModel

from tests.inputs.recordings import mp4, wav
from tests.support import wait_until
from worker.agents.models.capabilities import declare_capabilities
from worker.current import Run, run_in_hand
from worker.engine.engine import Engine
from worker.face import bridge
from worker.face.running import run_agent, run_agent_sync
from worker.face.task import Task
from worker.face.tasks import Tasks
from worker.testing import Call, ScriptedModel
from worker.words.errors import LeaseLost, ValidationError
from worker.words.statuses import AgentExecutionStatus
from worker.words.tasks import Tokens
from worker.words.work import Demand, WorkerCard

pytestmark = pytest.mark.usefixtures("place")


def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


def adder() -> Agent:
    return Agent(model=ScriptedModel([Call("add", {"a": 1, "b": 2}), "It is 3."]), tools=[add])


async def kinds(task: Task) -> list[str]:
    events = bridge.aiterate(lambda platform: platform.tasks.events(task.id, follow=False))
    return [str(event.type) async for event in events if not event.type.startswith("task_")]


class TestInAScript:
    """Without a worker."""

    async def test_result_tokens_and_tools_are_set_and_nothing_is_emitted(self) -> None:
        task = await Tasks().acreate("agent", "1 + 2?")
        assert await run_agent(adder(), task) is task
        assert (task.result, task.used_tools) == ("It is 3.", ["add"])
        assert task.tokens == Tokens(prompt_tokens=20, completion_tokens=10)
        assert await kinds(task) == []
        assert (await Task.aload(task.id)).result is None
        await task.asave()
        assert (await Task.aload(task.id)).tokens == task.tokens

    async def test_tokens_of_several_agents_add_up_and_the_last_result_stands(self) -> None:
        task = await Tasks().acreate("agent", "1 + 2?")
        await run_agent(adder(), task)
        await task.asave()
        await run_agent(Agent(model=ScriptedModel(["Three."])), task)
        assert (task.result, task.used_tools) == ("Three.", ["add"])
        assert task.tokens == Tokens(prompt_tokens=30, completion_tokens=15)

    async def test_what_an_earlier_life_of_the_task_used_does_not_count(self) -> None:
        task = await Tasks().acreate("agent", "1 + 2?")
        await run_agent(adder(), task)
        task.status = AgentExecutionStatus.Completed
        await task.asave()
        again = await Task.aload((await task.aretry()).id)
        await run_agent(Agent(model=ScriptedModel(["Three."])), again)
        assert (again.tokens, again.used_tools) == (Tokens(prompt_tokens=10, completion_tokens=5), [])

    def test_the_sync_twin_blocks(self) -> None:
        task = Tasks().create("agent", "1 + 2?")
        assert run_agent_sync(adder(), task).result == "It is 3."

    async def test_the_message_holds_what_the_model_can_take(self) -> None:
        task = await Tasks().acreate("agent", "Count.", ["data:text/csv,a%0A1", "http://127.0.0.1:9/lost.csv"])
        model = ScriptedModel(["One."])
        await run_agent(Agent(model=model), task)
        (request,) = model.requests
        assert request.user.startswith("Count.\n\nFiles:\n")
        assert '"content": "a\\n1"' in request.user
        assert "lost.csv could not be read" in request.user

    async def test_a_model_hears_and_sees_recordings_and_another_is_told_of_them(self) -> None:
        sound, film = wav(), mp4(b"vide")
        files = [f"data:x/y;base64,{b64encode(content).decode()}" for content in (sound, film)]
        task = await Tasks().acreate("agent", "What is it?", files)
        hearing, deaf = ScriptedModel(["Silence."]), ScriptedModel(["Nothing."], id="deaf")
        declare_capabilities("deaf", pdfs=True, images=True, audio=["audio/mpeg"])
        await run_agent(Agent(model=hearing), task)
        asked = hearing.requests[0].messages[-1]
        assert [each.content for each in (*(asked.audio or ()), *(asked.videos or ()))] == [sound, film]
        assert [each.content for each in (*task.get_audio(), *task.get_videos())] == [sound, film]
        await run_agent(Agent(model=deaf), task)
        asked = deaf.requests[0].messages[-1]
        assert (asked.audio or [], asked.videos or []) == ([], [])
        assert "the model does not accept audio/wav, only audio/mpeg." in str(asked.content)
        assert "the model does not accept video." in str(asked.content)


class TestInARun:
    """Within an attempt, on a worker's own loop."""

    @pytest.fixture(autouse=True)
    async def adopted(self, engine: Engine) -> AsyncIterator[None]:
        bridge.adopt(asyncio.get_running_loop(), engine)
        yield
        await bridge.release()

    async def claimed(self, engine: Engine, *arguments: Any, **options: Any) -> tuple[Task, Run]:
        await engine.work.register(WorkerCard(id="w", name="w", any_agent=True))
        await Tasks().acreate("agent", *arguments, **options)
        (assignment,) = await engine.work.assignments("w", lambda: Demand(1, others=1), 10)
        run = Run(assignment.task.id, "agent", engine.work, attempt=assignment.attempt)
        run_in_hand.set(run)
        return Task.of(assignment.task), run

    async def test_what_the_agent_does_is_told(self, engine: Engine) -> None:
        task, run = await self.claimed(engine, "1 + 2?")
        await run_agent(adder(), task)
        await run_agent(Agent(model=ScriptedModel(["Three."])), task)
        assert await kinds(task) == ["tool_call_request", "tool_call_result"]
        assert (run.agent_runs, task.result) == (2, "Three.")
        assert task.tokens == Tokens(prompt_tokens=30, completion_tokens=15)

    async def test_a_file_that_cannot_be_read_is_told_once_an_attempt(self, engine: Engine) -> None:
        task, _ = await self.claimed(engine, "x", ["http://127.0.0.1:9/lost.csv"])
        for _ in range(2):
            await run_agent(Agent(model=ScriptedModel(["Done."])), task)
        events = [event async for event in engine.tasks.events(task.id, follow=False)]
        notes = [event.data for event in events if event.type == "note"]
        assert len(notes) == 1
        assert "lost.csv could not be read" in str(notes[0])

    async def test_what_a_task_asks_for_and_nobody_does_is_told_once(self, engine: Engine) -> None:
        options: dict[str, Any] = {"mcp_servers": [{"url": "https://mcp.example"}], "harness_cli": "some"}
        task, _ = await self.claimed(engine, "x", **options)
        for _ in range(2):
            await run_agent(Agent(model=ScriptedModel(["Done."])), task)
        events = [event async for event in engine.tasks.events(task.id, follow=False)]
        notes = [event.data.text for event in events if event.type == "note"]
        assert [text.partition(" is ignored: ")[0] for text in notes] == ["mcp_servers", "harness_cli"]

    async def test_files_whose_content_is_not_wanted_are_named_and_not_read(self, engine: Engine) -> None:
        url = "http://127.0.0.1:9/lost.csv"
        task, _ = await self.claimed(engine, "sum it up", [url], disable_attachment_injection=True)
        model = ScriptedModel(["Done."])
        await run_agent(Agent(model=model), task)
        assert str(model.requests[0].messages[-1].content) == f"sum it up\n\nFiles:\n{url}"
        assert await kinds(task) == []

    async def test_a_stale_attempt_cannot_tell_anything(self, engine: Engine) -> None:
        task, _ = await self.claimed(engine, "1 + 2?")
        await engine.tasks.stop(task.id)
        with pytest.raises(LeaseLost):
            await run_agent(adder(), task)

    async def test_a_sync_handler_in_a_thread_runs_agents_too(self, engine: Engine) -> None:
        task, _ = await self.claimed(engine, "1 + 2?")
        await asyncio.to_thread(run_agent_sync, adder(), task)
        assert task.result == "It is 3."
        assert await kinds(task) == ["tool_call_request", "tool_call_result"]

    async def test_a_handler_with_a_loop_of_its_own_runs_agents_too(self, engine: Engine) -> None:
        task, _ = await self.claimed(engine, "1 + 2?")
        await asyncio.to_thread(lambda: asyncio.run(run_agent(adder(), task)))  # type: ignore[arg-type] # a coroutine
        assert await kinds(task) == ["tool_call_request", "tool_call_result"]

    async def test_an_async_handler_that_blocks_the_loop_does_not_wait_for_itself(self, engine: Engine) -> None:
        task, run = await self.claimed(engine, "1 + 2?")
        run_agent_sync(adder(), task)
        assert (task.result, run.agent_runs) == ("It is 3.", 1)
        assert run_in_hand.get() is run
        assert await kinds(task) == ["tool_call_request", "tool_call_result"]

    async def test_stopping_ends_the_model_call_of_a_sync_handler(self, engine: Engine) -> None:
        task, run = await self.claimed(engine, "x")
        asked, ended = threading.Event(), threading.Event()

        async def hang(_: object) -> None:
            asked.set()
            try:
                await asyncio.Event().wait()
            finally:
                ended.set()

        def handle() -> str:
            try:
                run_agent_sync(Agent(model=ScriptedModel(["never"], before=hang)), task)
            except asyncio.CancelledError as error:
                return f"cancelled: {error}"
            return "done"

        handler = asyncio.create_task(asyncio.to_thread(handle))
        await wait_until(asked.is_set, "the model is asked")
        run.stopping.set("stopped")
        assert await handler == "cancelled: stopped"
        await wait_until(ended.is_set, "the model call has ended")
        assert task.result is None

    async def test_history_that_cannot_be_given_is_noted(self, engine: Engine) -> None:
        task, _ = await self.claimed(engine, "hello")
        flow = Workflow(name="flow", steps=[Step(name="a", executor=lambda _: StepOutput(content="done"))])
        await run_agent(flow, task, history=3)
        await run_agent(Agent(model=ScriptedModel(["ok"]), db=InMemoryDb()), task, history=3)
        events = [each async for each in engine.tasks.events(task.id, follow=False)]
        noted = [each.data.text for each in events if each.type == "note"]
        assert [text.partition(":")[0] for text in noted] == ["history= was ignored"] * 2, noted

    async def test_a_run_that_waits_for_a_person_leaves_the_task_paused(self, engine: Engine) -> None:
        @tool(requires_confirmation=True)
        def pay(amount: int) -> str:
            """Pay."""
            return f"paid {amount}"

        task, run = await self.claimed(engine, "pay 5")
        with pytest.raises(asyncio.CancelledError):  # what the handler does next is done when there is a result
            await run_agent(Agent(model=ScriptedModel([Call("pay", {"amount": 5}), "Paid."]), tools=[pay]), task)
        assert run.stopping.reason == "pause"
        assert run.stopping.cause["requests"][0]["tool_name"] == "pay"

    async def test_outside_an_attempt_it_says_so_on_the_task(self) -> None:
        @tool(requires_confirmation=True)
        def pay(amount: int) -> str:
            """Pay."""
            return f"paid {amount}"

        task = await Tasks().acreate("agent", "pay 5")
        await run_agent(Agent(model=ScriptedModel([Call("pay", {"amount": 5}), "Paid."]), tools=[pay]), task)
        assert (task.status, task.result) == (AgentExecutionStatus.Paused, None)
        assert task.hitl_request


class TestWhatARunIsGiven:
    """Keywords of run_agent."""

    async def test_another_text_takes_the_place_of_the_tasks(self) -> None:
        task = await Tasks().acreate("agent", "1 + 2?")
        model = ScriptedModel(["ok"])
        await run_agent(Agent(model=model), task, input="4 + 5?")
        assert model.requests[0].user == "4 + 5?"

    async def test_a_text_that_was_changed_on_the_task_is_used_and_not_saved(self) -> None:
        task = await Tasks().acreate("agent", "1 + 2?")
        model = ScriptedModel(["ok"])
        task.input.text = f"Shortly: {task.input.text}"
        await run_agent(Agent(model=model), task)
        await task.asave()
        assert model.requests[0].user == "Shortly: 1 + 2?"
        assert (await Task.aload(task.id)).input.text == "1 + 2?"
        assert (await Task.aload(task.id)).result == "ok"

    async def test_a_structured_input_reaches_a_workflow_as_it_is(self) -> None:
        seen: list[Any] = []

        def work(step_input: Any) -> StepOutput:
            seen.append((step_input.input, step_input.additional_data))
            return StepOutput(content="ok")

        task = await Tasks().acreate("agent", "1 + 2?")
        workflow = Workflow(name="w", steps=[Step(name="s", executor=work)])
        await run_agent(workflow, task, input={"a": 1}, additional_data={"b": 2})
        assert seen == [({"a": 1}, {"b": 2})]

    async def test_dependencies_state_and_output_schema_are_agnos(self) -> None:
        class Sum(BaseModel):
            total: int

        def note(run_context: RunContext) -> str:
            """Note something."""
            state = run_context.session_state or {}
            state["seen"] = state["start"] + 1
            return "noted"

        model = ScriptedModel([Call("note"), '{"total": 3}'])
        agent = Agent(model=model, tools=[note], add_dependencies_to_context=True)
        task = await Tasks().acreate("agent", "1 + 2?")
        await run_agent(
            agent, task, dependencies={"who": "Ada"}, session_state={"start": 41}, output_schema=Sum, metadata={"m": 1}
        )
        assert "Ada" in model.requests[0].user
        assert task.result == '{"total":3}'
        assert task.run_output.session_state["seen"] == 42
        assert task.run_output.metadata == {"m": 1}

    async def test_a_keyword_that_nobody_knows_is_refused(self) -> None:
        task = await Tasks().acreate("agent", "1 + 2?")
        for wrong in ("run_id", "stream_events", "yield_run_output"):
            with pytest.raises(ValidationError, match=wrong):
                await run_agent(adder(), task, **{wrong: True})
