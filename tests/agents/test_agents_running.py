import asyncio
import logging
import threading
import time
from typing import Any

import pytest
from agno.agent import Agent
from agno.exceptions import ModelProviderError
from agno.media import File, Image
from agno.run.agent import RunOutput
from agno.tools import tool

from tests.agents.runs import Log, Runner, task
from tests.support import is_retryable, retry_after, wait_until
from worker.agents.errors import AgentFailed
from worker.agents.running import run
from worker.agents.runs.material import Material
from worker.contracts import Work
from worker.current import Run, run_in_hand
from worker.testing import Call, Pieces, ScriptedModel
from worker.words.errors import ConfigurationError, LeaseLost
from worker.words.tasks import AgentExecutionInput, Tokens, User

TINY_PNG = b"\x89PNG\r\n\x1a\n" + bytes(20)


def add(a: int, b: int) -> dict[str, int]:
    return {"sum": a + b}


def fail() -> str:
    raise ValueError("the file is gone")


async def forever(_: object) -> None:
    await asyncio.Event().wait()


async def test_a_plain_answer_is_the_result_and_tells_no_event(running: Runner) -> None:
    result = await running(Agent(model=ScriptedModel(["forty-two"], cache_read_tokens=3)))
    assert result.content == "forty-two"
    assert result.tokens == Tokens(prompt_tokens=10, completion_tokens=5, cache_read_tokens=3)
    assert (result.used_tools, result.paused) == ([], None)
    assert result.run_id.startswith("task-1.0."), "the task's id, and which of its turns it is"
    assert 0 < result.duration < 10
    assert running.log.batches == []


async def test_an_empty_answer_is_no_result(running: Runner) -> None:
    with pytest.raises(AgentFailed, match="The model's answer is empty") as caught:
        await running(Agent(model=ScriptedModel([""])))
    assert is_retryable(caught.value)


async def test_a_tool_call_is_told_with_its_arguments_and_the_very_result(running: Runner) -> None:
    result = await running(Agent(model=ScriptedModel([Call("add", {"a": 1, "b": 2}, "call-7"), "3"]), tools=[add]))
    assert result.content == "3"
    assert result.used_tools == ["add"]
    assert result.tokens.prompt_tokens == 20
    asked, answered = running.log.events
    request = {"request_id": "call-7", "operation_id": "call-7", "tool_call_id": "call-7", "tool_name": "add"}
    assert asked.data == {**request, "payload": {"a": 1, "b": 2}}
    assert answered.data == {**asked.data, "result": {"sum": 3}, "is_error": False}


async def test_parallel_tools_are_all_told_before_the_model_goes_on(running: Runner) -> None:
    turn = [Call("add", {"a": 1, "b": 1}, "x"), Call("add", {"a": 2, "b": 2}, "y")]
    result = await running(Agent(model=ScriptedModel([turn, "done"]), tools=[add]))
    assert result.used_tools == ["add"]
    assert running.log.types == ["tool_call_request"] * 2 + ["tool_call_result"] * 2
    assert sorted(data["result"]["sum"] for data in running.log.data("tool_call_result")) == [2, 4]


async def test_a_raising_tool_is_told_as_an_error_and_the_run_goes_on(running: Runner) -> None:
    result = await running(Agent(model=ScriptedModel([Call("fail"), "I could not read it"]), tools=[fail]))
    assert result.content == "I could not read it"
    (told,) = running.log.data("tool_call_result")
    assert told["is_error"] is True
    assert told["result"] == "the file is gone"


async def test_a_result_that_is_no_json_becomes_text(running: Runner) -> None:
    def strange() -> Any:
        return {"at": object, "much": float("inf"), "set": {1}}

    await running(Agent(model=ScriptedModel([Call("strange"), "ok"]), tools=[strange]))
    (told,) = running.log.data("tool_call_result")
    assert told["result"] == {"at": "<class 'object'>", "much": None, "set": [1]}


class RateLimitedError(Exception):
    status_code = 429

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.response = type("Response", (), {"headers": {"retry-after": "17"}})()


async def test_a_model_error_carries_the_providers_message_and_the_real_exception(running: Runner) -> None:
    limit = ModelProviderError("Rate limit reached for gpt-5", status_code=429)
    limit.__cause__ = RateLimitedError("slow down")
    with pytest.raises(AgentFailed) as caught:
        await running(Agent(model=ScriptedModel([Call("add", {"a": 1, "b": 2}), limit]), tools=[add]))
    assert caught.value.description == "Rate limit reached for gpt-5"
    assert caught.value.status_code == 429
    assert is_retryable(caught.value)
    assert retry_after(caught.value) == 17
    assert running.log.types == ["tool_call_request", "tool_call_result"], "what happened before is told"


@pytest.mark.parametrize(
    ("raised", "retryable"),
    [
        (ModelProviderError("bad key", status_code=401), False),
        (ModelProviderError("overloaded", status_code=529), True),
        (ModelProviderError("insufficient_quota", status_code=429), False),
        (ConnectionResetError("peer left"), True),
        (ValueError("a bug"), False),
    ],
)
async def test_whether_another_try_is_worth_it_is_what_the_real_exception_says(
    running: Runner, raised: Exception, *, retryable: bool
) -> None:
    with pytest.raises(AgentFailed) as caught:
        await running(Agent(model=ScriptedModel([raised])))
    assert caught.value.description == str(raised)
    assert is_retryable(caught.value) is retryable


async def test_text_is_streamed_only_if_the_task_wants_it_and_pieces_are_joined(running: Runner) -> None:
    agent = Agent(model=ScriptedModel([Pieces(["one ", "two ", "three"])]))
    assert (await running(agent)).content == "one two three"
    assert running.log.events == []
    await running(agent, events_streaming=True)
    assert running.log.data("chunk") == ["one two three"]


async def test_a_piece_of_text_is_told_while_the_model_still_thinks(running: Runner) -> None:
    go_on = asyncio.Event()
    agent = Agent(model=ScriptedModel([Pieces(["early", "late"])], between=lambda _: go_on.wait()))
    going = asyncio.create_task(running(agent, events_streaming=True))
    await wait_until(lambda: running.log.data("chunk") == ["early"], "the first piece is told", 5)
    go_on.set()
    assert (await going).content == "earlylate"
    assert running.log.data("chunk") == ["early", "late"]


async def test_text_before_a_tool_call_is_told_before_it(running: Runner) -> None:
    model = ScriptedModel([["Let me see. ", Call("add", {"a": 1, "b": 2})], "3"])
    await running(Agent(model=model, tools=[add]), events_streaming=True)
    assert running.log.types == ["chunk", "tool_call_request", "tool_call_result", "chunk"]


async def test_reasoning_tools_are_told_as_thoughts(running: Runner) -> None:
    from agno.tools.reasoning import ReasoningTools

    think = Call("think", {"title": "First", "thought": "look closely", "action": "read", "confidence": 0.5})
    analyze = Call("analyze", {"title": "Then", "result": "it is 3", "analysis": "adds up", "confidence": 0.9})
    result = await running(Agent(model=ScriptedModel([think, analyze, "3"]), tools=[ReasoningTools()]))
    assert running.log.types == ["think", "analyze"]
    thought, analysis = (event.data for event in running.log.events)
    assert (thought["title"], thought["thought"], thought["action"]) == ("First", "look closely", "read")
    assert (analysis["result"], analysis["analysis"], analysis["confidence"]) == ("it is 3", "adds up", 0.9)
    assert result.used_tools == []


async def test_a_tool_that_needs_a_person_pauses_the_run(running: Runner) -> None:
    @tool(requires_confirmation=True)
    def pay(amount: int) -> str:
        return f"paid {amount}"

    result = await running(Agent(model=ScriptedModel([Call("pay", {"amount": 5}, "call-9"), "no"]), tools=[pay]))
    assert result.content is None
    assert result.paused is not None
    assert result.paused["wait_node_id"] == "call-9"
    (requirement,) = result.paused["requirements"]
    assert requirement["tool_execution"]["tool_args"] == {"amount": 5}
    assert result.tokens.prompt_tokens == 10


async def test_files_images_session_and_user_reach_agno(running: Runner) -> None:
    seen: list[RunOutput] = []

    def look(run_output: RunOutput) -> None:
        seen.append(run_output)

    agent = Agent(model=ScriptedModel(["ok"]), post_hooks=[look])
    material = Material("see", [File(content=b"%PDF-1.7", mime_type="application/pdf")], [Image(content=TINY_PNG)])
    record = task(conversation_id="talk-1")
    record.input = AgentExecutionInput(text="see", user=User(id="ann"))
    result = await run(agent, record, material, running.log.emit)
    (output,) = seen
    assert (output.run_id, output.session_id, output.user_id) == (result.run_id, "talk-1", "ann")
    assert output.input is not None
    assert len(output.input.files or ()) == len(output.input.images or ()) == 1


async def test_cancelling_ends_a_hanging_model_call_at_once(running: Runner) -> None:
    model = ScriptedModel(["never"], before=forever)
    going = asyncio.create_task(running(Agent(model=model)))
    await asyncio.sleep(0)
    await wait_until(lambda: len(asyncio.all_tasks()) > 1, "the run goes on", 5)
    asked = time.monotonic()
    going.cancel()
    with pytest.raises(asyncio.CancelledError):
        await going
    assert time.monotonic() - asked < 1


async def test_a_cancelled_run_is_not_stored_as_cancelled(running: Runner) -> None:
    from agno.db.in_memory import InMemoryDb

    db, called = InMemoryDb(), asyncio.Event()

    async def hang(_: object) -> None:
        called.set()
        await forever(_)

    going = asyncio.create_task(running(Agent(id="agent-1", model=ScriptedModel(["x"], before=hang), db=db)))
    await called.wait()
    going.cancel()
    with pytest.raises(asyncio.CancelledError):
        await going
    others = asyncio.all_tasks() - {asyncio.current_task()}
    await asyncio.gather(*others, return_exceptions=True)
    stored: Any = db.get_sessions()
    assert not any("CANCELLED" in str(session) for session in stored)


async def test_a_run_whose_attempt_should_end_is_cancelled_from_any_thread(running: Runner) -> None:
    called = asyncio.Event()

    async def hang(_: object) -> None:
        called.set()
        await forever(_)

    run_record = Run("task-1", "agent-1", work=_no_work())

    async def within() -> None:
        run_in_hand.set(run_record)
        await running(Agent(model=ScriptedModel(["x"], before=hang)))

    going = asyncio.create_task(within())
    await called.wait()
    threading.Thread(target=run_record.stopping.set, args=("stopped",)).start()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(going, 1)


async def test_no_model_is_called_once_the_attempt_should_end(running: Runner) -> None:
    run_record = Run("task-1", "agent-1", work=_no_work())

    def stop() -> str:
        run_record.stopping.reason = "stopped"  # without the call-backs: only the check is left to notice
        return "stopping"

    model = ScriptedModel([Call("stop"), "never said"])

    async def within() -> None:
        run_in_hand.set(run_record)
        await running(Agent(model=model, tools=[stop]))

    with pytest.raises(asyncio.CancelledError):
        await asyncio.create_task(within())
    assert len(model.requests) == 1


async def test_a_lost_lease_ends_the_run_even_while_the_model_hangs() -> None:
    async def refuse(_: object) -> None:
        raise LeaseLost("task-1", 1)

    async def hang_later(messages: list[Any]) -> None:
        if len(messages) > 2:
            await forever(messages)

    model = ScriptedModel([Call("add", {"a": 1, "b": 2}), "never"], before=hang_later)
    mine = asyncio.current_task()
    with pytest.raises(LeaseLost):
        await run(Agent(model=model, tools=[add]), task(), Material("q"), refuse)
    assert mine is not None
    assert mine.cancelling() == 0
    await asyncio.sleep(0)  # no cancellation is left over


async def test_a_lost_lease_at_the_last_event_is_raised_too() -> None:
    async def refuse(_: object) -> None:
        raise LeaseLost("task-1", 1)

    agent = Agent(model=ScriptedModel([Pieces(["a", "b"])]))
    with pytest.raises(LeaseLost):
        await run(agent, task(events_streaming=True), Material("q"), refuse)


async def test_a_slow_log_does_not_hold_up_the_model(running: Runner) -> None:
    may_store, batches = asyncio.Event(), list[int]()

    async def slow(events: Any) -> None:
        await may_store.wait()
        batches.append(len(events))

    model = ScriptedModel([Call("add", {"a": 1, "b": 2}), Call("add", {"a": 3, "b": 4}), "end"])
    going = asyncio.create_task(run(Agent(model=model, tools=[add]), task(), Material("q"), slow))
    await wait_until(lambda: len(model.requests) == 3, "the model is at its last turn", 5)
    may_store.set()
    await going
    assert sum(batches) == 4
    assert len(batches) <= 2, "what came while the first was being stored goes in one go"


async def test_fifty_runs_of_one_agent_do_not_cross() -> None:
    everyone = asyncio.Barrier(50)

    async def together(messages: list[Any]) -> None:
        if len(messages) == 1:
            await everyone.wait()

    def turn(messages: list[Any]) -> Any:
        number = int(messages[0].content)
        return Call("add", {"a": number, "b": 1}) if len(messages) == 1 else f"it is {messages[-1].content}"

    agent = Agent(model=ScriptedModel(turn, before=together), tools=[add], instructions=None)
    logs = [Log() for _ in range(50)]
    results = await asyncio.gather(*(run(agent, task(id=f"t{n}"), Material(str(n)), logs[n].emit) for n in range(50)))
    for number, (result, log) in enumerate(zip(results, logs, strict=True)):
        assert result.content == f"it is {{'sum': {number + 1}}}" or result.content == f'it is {{"sum": {number + 1}}}'
        assert [data["result"] for data in log.data("tool_call_result")] == [{"sum": number + 1}]


async def test_what_is_no_agent_is_refused_by_name(running: Runner) -> None:
    with pytest.raises(ConfigurationError, match="not dict"):
        await running({})


def _no_work() -> Work:
    return object()  # type: ignore[return-value] - these runs emit to the log alone


async def test_agnos_log_lines_go_where_all_lines_go(caplog: pytest.LogCaptureFixture) -> None:
    from worker.agents import logs

    logs.take_over()  # pytest listens at the root, as a worker does
    logging.getLogger("agno").warning("a line of Agno's")
    assert "a line of Agno's" in caplog.text
    assert not logging.getLogger("agno").handlers
