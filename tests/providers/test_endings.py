"""What becomes of runs that loop, that a handler makes by itself, that a tool ends, and what each of them costs."""

import asyncio
from typing import Any

import pytest
from agno.agent import Agent
from agno.db.in_memory import InMemoryDb
from agno.exceptions import ModelProviderError, OutputCheckError, StopAgentRun
from agno.tools import tool
from agno.workflow import HumanReview, Step, StepOutput, Workflow

from tests.agents.runs import Log, Runner, flow
from tests.providers.answers import Refused, Reply, Says, Usage
from tests.providers.standin import WIRES, Request, StandIn
from worker import Task, run_agent
from worker.agents.errors import AgentFailed, ResultInvalid
from worker.registry import Registry
from worker.testing import Call, Pieces, ScriptedModel, run_handler
from worker.testing import running as stage
from worker.words.classification import classify

LOOK = Says(calls=[Call("look", {"x": 1})])


@pytest.fixture
def running() -> Runner:
    return Runner(Log())


def look(x: int) -> str:
    """Look."""
    return "nothing"


@pytest.fixture(params=["openai-chat", "openai-responses", "anthropic", "gemini", "bedrock", "mistral"])
def wire(request: pytest.FixtureRequest) -> Any:
    return WIRES[request.param]


async def ran(wire: Any, script: Any, **options: Any) -> tuple[Any, Log, StandIn]:
    log = Log()
    with StandIn(wire, script) as server:
        try:
            agent = Agent(model=server.model(), tools=[look], telemetry=False, **options)
            return await Runner(log)(agent), log, server
        finally:
            await server.close_clients()


async def test_after_the_limit_of_tool_calls_comes_one_answer_without_tools(wire: Any) -> None:
    def script(number: int, _: Request) -> Reply:
        return LOOK if number < 3 else Says(("Nothing found.",))

    result, log, server = await ran(wire, script, tool_call_limit=2)
    assert result.content == "Nothing found."
    assert len(server.requests) == 4
    assert [each["kind"] for each in log.data("note")] == ["incomplete"]
    assert "the limit on tool calls was reached (tool_limit)" in log.data("note")[0]["text"]


async def test_a_model_that_asks_for_tools_even_then_is_an_error_and_not_asked_again(wire: Any) -> None:
    with pytest.raises(AgentFailed, match="the limit on tool calls was reached") as caught:
        await ran(wire, [LOOK], tool_call_limit=2)
    known = classify(caught.value)
    assert (known.code, known.is_retryable) == ("limit", False)


async def test_an_agent_that_turns_in_a_circle_has_to_answer(running: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKER_TOOL_REPEATS", "4")
    model = ScriptedModel([Call("look", {"x": 1})] * 4 + ["Nothing."])
    assert (await running(Agent(model=model, tools=[look]))).content == "Nothing."
    assert [bool(each.tools) for each in model.requests] == [True] * 4 + [False]
    assert "tool_loop" in running.log.data("note")[0]["text"]


async def test_prompt_tokens_are_all_that_the_model_was_given(wire: Any) -> None:
    usage = Usage(fresh=7, output=3, read=20, written=4 if wire.name in ("anthropic", "bedrock") else 0)
    result, _, _ = await ran(wire, [Says(("fine",), usage=usage)])
    tokens = result.tokens
    assert (tokens.prompt_tokens, tokens.completion_tokens) == (27 + usage.written, 3)
    assert tokens.cache_write_tokens == usage.written
    if wire.name != "mistral":  # it caches nothing
        assert tokens.cache_read_tokens == 20


@pytest.mark.parametrize("streams", [True, False])
async def test_what_an_agent_said_before_it_failed_is_in_the_log(wire: Any, streams: bool) -> None:
    said = Says(("Here is half of it.",), calls=[Call("look", {"x": 1})])
    log = Log()
    with StandIn(wire, [said, Refused(400, "No.", "invalid_request_error")]) as server:
        agent = Agent(model=server.model(), tools=[look], telemetry=False)
        with pytest.raises(AgentFailed):
            await Runner(log)(agent, events_streaming=streams)
        await server.close_clients()
    notes = [each["text"] for each in log.data("note")]
    assert notes == ([] if streams else ["Before it failed, the agent said: Here is half of it."])
    assert "".join(log.data("chunk")) == ("Here is half of it." if streams else "")


async def test_a_result_without_the_wanted_form_is_in_the_log(running: Runner) -> None:
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    with pytest.raises(ResultInvalid):
        await running(Agent(model=ScriptedModel(["no number"] * 3)), output_format="json", output_schema=schema)
    assert running.log.data("note")[-1]["text"] == "Before it failed, the agent said: no number"


async def test_nothing_is_asked_after_a_workflows_step_that_failed(wire: Any) -> None:
    with StandIn(wire, [Refused(400, "No.", "invalid_request_error")]) as server:
        agents = [Agent(name=name, model=server.model(), telemetry=False) for name in ("ann", "bob")]
        with pytest.raises(AgentFailed, match=r"Step 'ann' failed: .*No"):
            await Runner(Log())(flow(*agents))
        await server.close_clients()
    assert len(server.requests) == 1


async def test_a_tool_that_stops_its_agent_has_the_last_word(running: Runner) -> None:
    def stop() -> str:
        """Stop."""
        raise StopAgentRun("The shop is closed.")

    result = await running(Agent(model=ScriptedModel([Call("stop", {})]), tools=[stop]))
    assert result.content == "The shop is closed."


async def test_text_that_an_output_check_rejects_is_taken_back(running: Runner) -> None:
    def check(run_output: Any) -> None:
        raise OutputCheckError("No names, please.")

    agent = Agent(model=ScriptedModel([Pieces(["Ann ", "did it."])]), post_hooks=[check])
    with pytest.raises(AgentFailed, match="No names, please"):
        await running(agent, events_streaming=True)
    assert running.log.types[-1] == "note"
    assert running.log.data("note")[-1]["kind"] == "discard"


@tool(requires_confirmation=True)
def danger(x: int) -> str:
    """Do it."""
    return "did it"


BARE: dict[str, Reply] = {
    "fine": Says(("fine",)),
    "refused": Refused(400, "No such model.", "model_not_found"),
    "waits": Says(calls=[Call("danger", {"x": 1})]),
}


@pytest.mark.usefixtures("environment")
@pytest.mark.parametrize("returned", ["output", "content", "streamed"])
async def test_a_run_that_a_handler_makes_by_itself_is_what_its_status_says(returned: str) -> None:
    for kind, reply in BARE.items():
        with StandIn(WIRES["openai-chat"], [reply]) as server:
            agent = Agent(model=server.model(), tools=[danger], telemetry=False)

            async def handler(task: Task, agent: Agent = agent) -> Any:
                if returned == "streamed":
                    texts = [getattr(each, "content", "") async for each in agent.arun("go", stream=True)]
                    return "".join(str(each or "") for each in texts)
                output = await agent.arun("go")
                return output if returned == "output" else output.content

            run = await run_handler(handler, text="x")
            await server.close_clients()
        if kind == "fine":
            assert (run.status, run.result) == ("completed", "fine")
            assert run.task.tokens is not None
            assert run.task.tokens.prompt_tokens == 10
        elif kind == "refused":
            assert (run.status, run.result, run.task.error_code) == ("error", "No such model.", "invalid_request")
            assert "outside run_agent ended in an error" in str([each.data for each in run.events])
        else:
            assert run.status == "paused", (returned, run.result)
            assert run.task.hitl_request


@pytest.mark.usefixtures("environment")
@pytest.mark.parametrize("continues", [False, True])
async def test_a_workflow_that_waits_has_no_content_and_is_no_result(continues: bool) -> None:
    review = HumanReview(requires_confirmation=True)
    step = Step(name="s", executor=lambda _: StepOutput(content="did it"), human_review=review)

    async def handler(task: Task) -> Any:
        workflow = Workflow(name="w", steps=[step], db=InMemoryDb(), telemetry=False)
        output = await workflow.arun("go")
        if continues:
            for each in output.step_requirements or []:
                each.confirm()
            await workflow.acontinue_run(output)
            return None
        return output.content

    run = await run_handler(handler, text="x")
    assert run.status == ("completed" if continues else "paused"), run.result


CUT = Says(["half of "], finish="length")
FILTERED = Says(finish="content_filter")

BECOMES = {
    (None, "cut"): ("completed", "length"),
    ("accept", "cut"): ("completed", "length"),
    ("retry", "cut"): ("pending", None),
    ("error", "cut"): ("error", "length"),
    (None, "filtered"): ("error", "content_filter"),
    ("accept", "filtered"): ("completed", "content_filter"),
    ("retry", "filtered"): ("pending", None),
    ("error", "filtered"): ("error", "content_filter"),
}


@pytest.mark.usefixtures("environment", "worker_platform")
@pytest.mark.parametrize(("incomplete", "answer"), BECOMES)
async def test_a_handler_says_what_becomes_of_an_answer_that_is_not_whole(
    incomplete: Any, answer: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry = Registry()
    with StandIn(WIRES["openai-chat"], lambda _number, _request: CUT if answer == "cut" else FILTERED) as server:

        async def handler(task: Task) -> Task:
            return await run_agent(Agent(model=server.model(), telemetry=False), task)

        registry.add(handler, "task_created", None, incomplete=incomplete)
        monkeypatch.setattr(stage.registry, "default", registry)
        run = await run_handler(handler, text="x")
    status, reason = BECOMES[incomplete, answer]
    assert run.status == status, run.result
    if status != "pending":
        assert run.task.finish_reason == reason
    if status == "completed":
        assert run.result == "".join(CUT.text if answer == "cut" else FILTERED.text)
        assert any("is incomplete" in each for each in run.notes)


@pytest.mark.usefixtures("environment", "worker_platform")
@pytest.mark.parametrize("ends", ["error", "time limit"])
async def test_what_was_paid_is_on_a_task_that_ends_badly(ends: str) -> None:
    async def turn(number: int) -> None:
        if number == 1 and ends == "time limit":
            await asyncio.sleep(60)

    def script(messages: list[Any]) -> Any:
        if len(messages) > 2 and ends == "error":
            raise ModelProviderError("no such thing", status_code=400)
        return Call("look", {"x": 1}) if len(messages) <= 2 else "done"

    model = ScriptedModel(script)
    asked = iter(range(9))

    async def before(*_: Any) -> None:
        await turn(next(asked))

    model.before = before

    async def handler(task: Task) -> Task:
        return await run_agent(Agent(model=model, tools=[look], telemetry=False), task)

    run = await run_handler(handler, text="x", timeout=1 if ends == "time limit" else None)
    assert run.status == ("failed" if ends == "time limit" else "error")
    assert run.task.tokens is not None
    assert (run.task.tokens.prompt_tokens, run.task.used_tools) == (10, ["look"])
