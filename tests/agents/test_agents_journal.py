"""A run that is taken up again goes on where it stood, wherever that was."""

import asyncio
import json
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, cast

import pytest
from agno.agent import Agent
from agno.db.base import SessionType
from agno.db.in_memory import InMemoryDb
from agno.exceptions import ModelProviderError, StopAgentRun
from agno.media import File, Image
from agno.models.message import Message
from agno.models.openai.like import OpenAILike
from agno.run import RunContext, RunStatus
from agno.run.agent import RunOutput
from agno.team import Team
from agno.tools.function import ToolResult
from agno.workflow import Parallel, Step, StepInput, StepOutput
from pydantic import BaseModel

from tests.agents.attempts import Handler, Task
from tests.agents.runs import flow
from tests.examples.provider import answering
from tests.support import wait_until
from worker.agents.errors import AgentFailed
from worker.agents.journal import Identity, Journal, rows
from worker.agents.runs.material import Material
from worker.current import idempotency_key
from worker.testing import Call, Pieces, ScriptedModel

RunAgent = Callable[..., Awaitable[Any]]


class World:
    """Where tools leave their effects, and models what they were asked."""

    def __init__(self) -> None:
        self.effects: list[str] = []
        self.models: list[ScriptedModel] = []

    def model(self, turns: Any, **options: Any) -> ScriptedModel:
        self.models.append(ScriptedModel(turns, **options))
        return self.models[-1]

    @property
    def asked(self) -> int:
        return sum(len(model.requests) for model in self.models)

    async def note(self, word: str) -> dict[str, str]:
        """Note a word."""
        self.effects.append(str(idempotency_key()))
        await asyncio.sleep(0)
        return {"noted": word}

    def note_in_thread(self, word: str) -> str:
        """Note a word, without the loop."""
        self.effects.append(str(idempotency_key()))
        return f"noted {word}"

    def think(self, title: str, thought: str) -> str:
        """Think."""
        self.effects.append(str(idempotency_key()))
        return f"{title}: {thought}"


def noting(word: str, number: str | None = None) -> Call:
    return Call("note", {"word": word}, number)


def one_after_another(world: World) -> Handler:
    turns = [noting("a"), ["So. ", Call("note_in_thread", {"word": "b"})], noting("c"), Pieces(["all ", "noted"])]
    agent = Agent(model=world.model(turns), tools=[world.note, world.note_in_thread])
    return lambda run_agent: run_agent(agent)


def all_at_once(world: World) -> Handler:
    turns = [[noting("a"), Call("note_in_thread", {"word": "b"}), noting("a")], [noting("d"), noting("e")], "done"]
    agent = Agent(model=world.model(turns), tools=[world.note, world.note_in_thread])
    return lambda run_agent: run_agent(agent)


def the_same_id_each_turn(world: World) -> Handler:
    agent = Agent(model=world.model([noting("a", "call_0"), noting("a", "call_0"), "done"]), tools=[world.note])
    return lambda run_agent: run_agent(agent)


def thinking(world: World) -> Handler:
    think = Call("think", {"title": "First", "thought": "look"})
    agent = Agent(model=world.model([think, noting("a"), "done"]), tools=[world.think, world.note])
    return lambda run_agent: run_agent(agent)


def delegate(member: str, work: str) -> Call:
    return Call("delegate_task_to_member", {"member_id": member, "task": work})


def a_team(world: World) -> Handler:
    work = [noting("a"), [noting("b"), noting("c")], "noted"]
    member = Agent(id="scribe", model=world.model(work), tools=[world.note])
    turns = [delegate("scribe", "first"), noting("x"), delegate("scribe", "second"), "both done"]
    team = Team(members=[member], model=world.model(turns), tools=[world.note])
    return lambda run_agent: run_agent(team)


def members_at_once(world: World) -> Handler:
    members: list[Any] = [
        Agent(id=name, model=world.model([noting(name), f"{name} is done"]), tools=[world.note]) for name in ("a", "b")
    ]
    turns = [[delegate("a", "one"), delegate("b", "two"), delegate("a", "three")], "all done"]
    team = Team(members=members, model=world.model(turns))
    return lambda run_agent: run_agent(team)


def a_team_in_a_team(world: World) -> Handler:
    scribe = Agent(id="scribe", model=world.model([noting("a"), "noted"]), tools=[world.note])
    inner = Team(id="inner", members=[scribe], model=world.model([delegate("scribe", "deep"), "inner said"]))
    outer = Team(members=[inner], model=world.model([delegate("inner", "wide"), "outer said"]))
    return lambda run_agent: run_agent(outer)


def a_workflow(world: World) -> Handler:
    agent = Agent(id="same", model=world.model([noting("a"), noting("b"), "noted"]), tools=[world.note])
    other = Agent(name="other", model=world.model([noting("z"), "fine"]), tools=[world.note])
    steps = flow(Step(name="one", agent=agent), Step(name="two", agent=agent), other)
    return lambda run_agent: run_agent(steps)


def a_repair(world: World) -> Handler:
    def turn(messages: list[Any]) -> Any:
        if messages[-1].role == "user" and any(each.role == "assistant" for each in messages):
            return '{"city": "Bern"}'
        return "not what you want" if messages[-1].role == "tool" else noting("a")

    agent = Agent(model=world.model(turn), tools=[world.note])
    return lambda run_agent: run_agent(agent)


def several_agents(world: World) -> Handler:
    class City(BaseModel):
        city: str

    first = Agent(model=world.model([noting("a"), "one"]), tools=[world.note])
    second = Agent(model=world.model([noting("b"), '{"city": "Bern"}']), tools=[world.note], output_schema=City)

    async def handle(run_agent: RunAgent) -> Any:
        await run_agent(first)
        await run_agent(first)
        return await run_agent(second)

    return handle


STORIES: list[tuple[Callable[[World], Handler], dict[str, Any]]] = [
    (one_after_another, {}),
    (one_after_another, {"events_streaming": True}),
    (all_at_once, {}),
    (the_same_id_each_turn, {}),
    (thinking, {}),
    (a_team, {"events_streaming": True}),
    (members_at_once, {}),
    (a_team_in_a_team, {}),
    (a_workflow, {}),
    (a_repair, {"output_schema": {"type": "object", "required": ["city"]}}),
    (several_agents, {}),
]


@pytest.mark.parametrize(("story", "wishes"), STORIES, ids=lambda each: getattr(each, "__name__", "") or "")
async def test_wherever_it_dies_it_goes_on_from_there(
    story: Callable[[World], Handler], wishes: dict[str, Any]
) -> None:
    whole, world = Task(**wishes), World()
    result = await whole.attempted(story(world))
    calls, effects = len(whole.rows_of("model")), len(world.effects)
    assert (calls, len(set(world.effects))) == (world.asked, effects)
    for moment in range(whole.writes):
        again, other = Task(**wishes), World()
        handler = story(other)
        assert await again.attempted(handler, dies_at=moment) is None, moment
        models, tools = len(again.rows_of("model")), len(_effects(again))
        asked, done = other.asked, len(other.effects)
        second = await again.attempted(handler)
        assert (second.content, second.tokens, second.used_tools) == (result.content, result.tokens, result.used_tools)
        assert other.asked - asked == calls - models, f"dead at write {moment}: completed model calls are not repeated"
        assert len(other.effects) - done == effects - tools, f"dead at write {moment}: nor are completed tool calls"
        assert len(set(other.effects)) == effects, f"dead at write {moment}: what is repeated has the same key"
        assert _stripped(again) == _stripped(whole), f"dead at write {moment}: each event is told once"
        assert again.notes() in ([], ["discard"]), moment


def _effects(task: Task) -> list[Any]:
    return [row for row in task.rows_of("tool") if "redone" not in row["value"]]


def _stripped(task: Task) -> Counter[str]:
    """Events without the ids that a model makes up, and in any order, since parallel ones come in any."""
    kept = ("tool_name", "payload", "result", "is_error", "title", "agent_id", "query")
    told = [(kind, {name: data.get(name) for name in kept}) for kind, data in task.said() if kind != "note"]
    return Counter(repr(each) for each in told)


async def test_a_run_that_dies_again_and_again_gets_on_a_little_each_time() -> None:
    task, world = Task(), World()
    handler, lives = a_team(world), 1
    while await task.attempted(handler, dies_at=1) is None:
        lives += 1
        assert lives < 60
    assert len(set(world.effects)) == 7
    assert world.asked <= 3 * lives


async def test_a_tool_is_kept_while_its_sibling_is_still_at_work() -> None:
    task, stuck = Task(), asyncio.Event()
    ran: Counter[str] = Counter()

    async def quick() -> str:
        ran["quick"] += 1
        return "quick"

    async def slow() -> str:
        ran["slow"] += 1
        if ran["slow"] == 1:
            stuck.set()
            await asyncio.Event().wait()
        return "slow"

    agent = Agent(model=ScriptedModel([[Call("slow"), Call("quick")], "done"]), tools=[quick, slow])
    first = asyncio.create_task(task.attempted(lambda run_agent: run_agent(agent)))
    await stuck.wait()
    await wait_until(lambda: task.rows_of("tool"), "the quick tool's row is stored")
    assert task.last_run is not None
    task.last_run.stopping.set("drain")
    with pytest.raises(asyncio.CancelledError):
        await first
    assert (await task.attempted(lambda run_agent: run_agent(agent))).content == "done"
    assert ran == {"quick": 1, "slow": 2}


async def test_what_was_completed_is_stored_before_a_cancel_is_let_through() -> None:
    task, asked = Task(), asyncio.Event()

    async def hang(messages: list[Any]) -> None:
        if len(messages) > 2 and not asked.is_set():
            asked.set()
            await asyncio.Event().wait()

    world = World()
    agent = Agent(model=world.model([noting("a"), "done"], before=hang), tools=[world.note])
    first = asyncio.create_task(task.attempted(lambda run_agent: run_agent(agent)))
    await asked.wait()  # the tool has ended, its row may still be on its way
    first_run = task.last_run
    assert first_run is not None
    first_run.stopping.set("drain")
    with pytest.raises(asyncio.CancelledError):
        await first
    assert len(task.rows_of("tool")) == 1
    assert (await task.attempted(lambda run_agent: run_agent(agent))).content == "done"
    assert len(world.effects) == 1


async def test_a_members_call_ends_with_its_run() -> None:
    task, asked, ended = Task(), asyncio.Event(), asyncio.Event()

    async def hang(_: object) -> None:
        asked.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    member = Agent(id="slow", model=ScriptedModel(["never"], before=hang))
    team = Team(members=[member], model=ScriptedModel([delegate("slow", "it"), "never"]))
    first = asyncio.create_task(task.attempted(lambda run_agent: run_agent(team)))
    await asked.wait()
    assert task.last_run is not None
    task.last_run.stopping.set("stopped")
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(first, 1)
    assert ended.is_set()


async def test_a_retryable_error_goes_on_where_it_stood() -> None:
    task, world = Task(), World()
    failures = [ModelProviderError("overloaded", status_code=529)]

    def turn(messages: list[Any]) -> Any:
        if len(messages) > 2 and failures:
            return failures.pop()
        return noting("a") if len(messages) == 2 - (messages[0].role != "system") else "done"

    agent = Agent(model=world.model(turn), tools=[world.note])
    with pytest.raises(AgentFailed, match="overloaded"):
        await task.attempted(lambda run_agent: run_agent(agent))
    result = await task.attempted(lambda run_agent: run_agent(agent))
    assert result.content == "done"
    assert (world.asked, len(world.effects)) == (3, 1)
    assert result.tokens.prompt_tokens == 20


async def test_without_its_last_answer_a_run_asks_the_model_again() -> None:
    task, world = Task(), World()
    agent = Agent(model=world.model([noting("a"), "wrong"]), tools=[world.note])
    await task.attempted(lambda run_agent: run_agent(agent))
    task.forget_last_answer()
    await task.attempted(lambda run_agent: run_agent(agent))
    assert (world.asked, len(world.effects)) == (3, 1)


async def test_a_call_that_is_made_again_is_told_again() -> None:
    task, world, failures = Task(), World(), [ValueError("no idea")]

    def turn(messages: list[Any]) -> Any:
        if messages[-1].role != "tool":
            return noting("a", "c-1")
        return failures.pop() if failures else "done"

    agent = Agent(model=world.model(turn), tools=[world.note])
    with pytest.raises(AgentFailed):
        await task.attempted(lambda run_agent: run_agent(agent))
    task.forget_last_answer()
    both = ["tool_call_request", "tool_call_result"]
    for _ in range(2):  # the second time, all of it is replayed
        await task.attempted(lambda run_agent: run_agent(agent))
        assert len(world.effects) == 2
        assert [kind for kind, _ in task.said()] == both * 2


async def test_a_changed_tool_drops_the_journal_from_there_and_says_so() -> None:
    task, world = Task(), World()
    model = world.model([noting("a", "c-1"), noting("b", "c-2"), "done"])
    other = Agent(model=world.model(["other"]))

    def handler(tools: list[Any]) -> Handler:
        agent = Agent(model=model, tools=tools)

        async def handle(run_agent: RunAgent) -> Any:
            before = await run_agent(other)
            await run_agent(agent)
            return before, await run_agent(other)

        return handle

    await task.attempted(handler([world.note]))
    assert (world.asked, len(world.effects)) == (5, 2)
    await task.attempted(handler([world.note, world.think]))
    assert world.asked == 5 + 3 + 1, "the run before is answered from the journal; it and what follows is done anew"
    assert len(world.effects) == 4, "also a call of the same id"
    assert task.notes() == ["journal"]
    events = [kind for kind, _ in task.said()]
    assert (events.count("tool_call_request"), events.count("tool_call_result")) == (4, 4), "and told anew"
    await task.attempted(handler([world.note, world.think]))
    assert [kind for kind, _ in task.said()] == events, "once"
    assert (world.asked, len(world.effects)) == (9, 4), "what was done anew is what counts from now on"


async def test_what_is_asked_is_taken_as_it_was_before_the_model_had_it() -> None:
    async def fill_in(messages: list[Message]) -> None:
        for each in messages:
            if isinstance(each.content, list):
                each.content[0]["text"] = "a provider's own form of it"

    task, world = Task(), World()
    model = world.model([noting("a"), "done"], before=fill_in)

    def agent() -> Agent:
        parts = [{"type": "text", "text": "Look at this first."}]
        return Agent(model=model, tools=[world.note], additional_input=[Message(role="user", content=parts)])

    await task.attempted(lambda run_agent: run_agent(agent()))
    await task.attempted(lambda run_agent: run_agent(agent()))
    assert (world.asked, task.notes()) == (2, [])


@pytest.mark.parametrize("change", ["model", "message", "file"])
async def test_another_model_or_message_or_file_is_asked_anew(change: str) -> None:
    task, world = Task(), World()
    models = [world.model(["one"], id="first"), world.model(["two"], id="second" if change == "model" else "first")]
    second = Material("other" if change == "message" else "q", [File(content=b"2" if change == "file" else b"1")])
    await task.attempted(lambda run_agent: run_agent(Agent(model=models[0]), Material("q", [File(content=b"1")])))
    result = await task.attempted(lambda run_agent: run_agent(Agent(model=models[1]), second))
    assert (result.content, task.notes()) == ("two", ["journal"])


async def test_the_same_file_is_the_same_message() -> None:
    task, world = Task(), World()
    agent = Agent(model=world.model(["one"]))
    for _ in range(2):
        await task.attempted(lambda run_agent: run_agent(agent, Material("q", [File(content=b"%PDF-1.7")])))
    assert world.asked == 1


async def test_unfinished_text_is_taken_back_once() -> None:
    task, world, said = Task(events_streaming=True), World(), asyncio.Event()

    async def hang(_: object) -> None:
        if not said.is_set():
            await wait_until(lambda: task.text.endswith("the "), "the first piece is told")
            said.set()
            await asyncio.Event().wait()

    turns = [["Let me see. ", noting("a")], Pieces(["the ", "answer"])]
    agent = Agent(model=world.model(turns, between=hang), tools=[world.note])
    first = asyncio.create_task(task.attempted(lambda run_agent: run_agent(agent)))

    await asyncio.wait_for(said.wait(), 5)
    assert task.last_run is not None
    task.last_run.stopping.set("drain")
    with pytest.raises(asyncio.CancelledError):
        await first
    for _ in range(2):
        await task.attempted(lambda run_agent: run_agent(agent))
    assert task.text == "Let me see. the the answer"
    assert task.notes() == ["discard"]
    assert [str(event.type) for event in task.events].index("note") == 4


async def test_session_state_files_and_images_come_back() -> None:
    task, seen = Task(), list[Any]()

    async def remember(run_context: RunContext, word: str) -> ToolResult:
        """Remember."""
        state = run_context.session_state
        assert state is not None
        state.setdefault("words", []).append(word)
        return ToolResult(content=f"kept {word}", images=[Image(content=b"png", id="i")], files=[File(content=b"f")])

    def last(messages: list[Any]) -> Any:
        return "done"

    failing = [ModelProviderError("overloaded", status_code=529)]

    def turn(messages: list[Any]) -> Any:
        calls = sum(each.role == "assistant" for each in messages)
        if calls == 2 and failing:
            raise failing.pop()
        return Call("remember", {"word": "ab"[calls]}) if calls < 2 else last(messages)

    def look(run_output: Any, run_context: RunContext) -> None:
        seen.append((run_context.session_state, run_output.images, run_output.files, run_output.tools))

    model = ScriptedModel(turn)
    agent = Agent(model=model, tools=[remember], post_hooks=[look], session_state={"begun": True})
    with pytest.raises(AgentFailed):
        await task.attempted(lambda run_agent: run_agent(agent))
    await task.attempted(lambda run_agent: run_agent(agent))
    ((state, images, files, tools),) = seen
    assert state["words"] == ["a", "b"]
    assert [image.content for image in images] == [b"png", b"png"]
    assert [file.content for file in files] == [b"f", b"f"]
    assert [tool.result for tool in tools] == ["kept a", "kept b"]
    media = [each.images for each in model.requests[-1].messages if each.images]
    assert [image.content for (image,) in media] == [b"png", b"png"]


@pytest.mark.parametrize("called", [("put", "take"), ("take", "put")])
async def test_what_one_tool_of_a_turn_undoes_of_another_stays_undone(called: tuple[str, str]) -> None:
    task, seen, has_put = Task(), list[Any](), asyncio.Event()
    failing = [ModelProviderError("busy", status_code=503)]

    async def put(run_context: RunContext) -> str:
        """Put it in."""
        assert run_context.session_state is not None
        run_context.session_state["basket"].append("milk")
        return "in"

    async def take(run_context: RunContext) -> str:
        """Take it out."""
        assert run_context.session_state is not None
        await has_put.wait()
        run_context.session_state["basket"].remove("milk")
        return "out"

    def turn(messages: list[Any]) -> Any:
        if messages[-1].role != "tool":
            return [Call(each) for each in called]
        if failing:
            raise failing.pop()
        return "done"

    def look(run_context: RunContext) -> None:
        seen.append(run_context.session_state)

    agent = Agent(model=ScriptedModel(turn), tools=[put, take], post_hooks=[look], session_state={"basket": []})
    first = asyncio.create_task(task.attempted(lambda run_agent: run_agent(agent)))
    await wait_until(lambda: task.rows_of("tool"), "the first tool's row is stored")
    has_put.set()
    with pytest.raises(AgentFailed):
        await first
    await task.attempted(lambda run_agent: run_agent(agent))
    assert [state["basket"] for state in seen] == [[]]


async def test_a_failure_a_stop_and_odd_results_come_back_as_they_were() -> None:
    task, ran = Task(), Counter[str]()

    async def fail() -> str:
        ran["fail"] += 1
        raise ValueError("the file is gone")

    def pair() -> Any:
        ran["pair"] += 1
        return (1, {2: "two"})

    async def pieces() -> Any:
        ran["pieces"] += 1
        yield "pie"
        yield "ces"

    def sync_pieces() -> Any:
        ran["sync pieces"] += 1
        yield "more"

    async def stop() -> str:
        ran["stop"] += 1
        raise StopAgentRun("enough")

    calls = [Call("fail"), Call("pair"), Call("pieces"), Call("sync_pieces")]
    failures = [ModelProviderError("overloaded", status_code=529)]
    seen: list[Any] = []

    def turn(messages: list[Any]) -> Any:
        answers = sum(each.role == "assistant" for each in messages)
        if answers == 1:
            seen.append([each.content for each in messages if each.role == "tool"])
            if failures:
                raise failures.pop()
            return Call("stop")
        return calls

    agent = Agent(model=ScriptedModel(turn), tools=[fail, pair, pieces, sync_pieces, stop])
    with pytest.raises(AgentFailed):
        await task.attempted(lambda run_agent: run_agent(agent))
    await task.attempted(lambda run_agent: run_agent(agent))
    await task.attempted(lambda run_agent: run_agent(agent))
    assert seen == [["the file is gone", "(1, {2: 'two'})", "pieces", "more"]] * 2
    assert ran == {"fail": 1, "pair": 1, "pieces": 1, "sync pieces": 1, "stop": 1}
    results = [data["result"] for kind, data in task.said() if kind == "tool_call_result"]
    assert sorted(map(str, results)) == sorted(["the file is gone", "[1, {'2': 'two'}]", "pieces", "more", "enough"])


async def test_what_a_leader_was_told_of_a_members_failure_is_kept() -> None:
    task, world = Task(), World()
    down = [ConnectionError("gone"), ConnectionError("gone")]

    def member(messages: list[Any]) -> Any:
        return down.pop() if down else "works again"

    agent = Agent(id="weak", model=world.model(member))
    failing = [ModelProviderError("overloaded", status_code=529)]

    def leader(messages: list[Any]) -> Any:
        answers = sum(each.role == "assistant" for each in messages)
        if answers == 1 and failing:
            raise failing.pop()
        return delegate("weak", "try") if answers == 0 else f"told: {messages[-1].content}"

    team = Team(members=[agent], model=world.model(leader))
    with pytest.raises(AgentFailed):
        await task.attempted(lambda run_agent: run_agent(team))
    result = await task.attempted(lambda run_agent: run_agent(team))
    assert "works again" not in result.content
    assert task.notes() == ["missing"]
    assert len(world.models[0].requests) == 1


async def test_a_tool_that_fails_while_the_worker_leaves_suspends_the_run() -> None:
    task, ran = Task(), Counter[str]()

    async def fragile() -> str:
        ran["fragile"] += 1
        if task.leaving:
            raise ConnectionError("the child process got the signal too")
        return "fine"

    agent = Agent(model=ScriptedModel([Call("fragile"), "done"]), tools=[fragile])
    task.leaving = True
    with pytest.raises(asyncio.CancelledError):
        await task.attempted(lambda run_agent: run_agent(agent))
    assert not task.rows_of("tool")
    task.leaving = False
    assert (await task.attempted(lambda run_agent: run_agent(agent))).content == "done"
    assert ran == {"fragile": 2}


async def test_what_is_too_large_is_not_kept_and_an_event_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows, "VALUE_BYTES", 1000)
    task, ran = Task(), Counter[str]()

    async def large() -> str:
        ran["large"] += 1
        return "x" * 2000

    failures = [ModelProviderError("overloaded", status_code=529)]

    def turn(messages: list[Any]) -> Any:
        if messages[-1].role != "tool":
            return Call("large")
        return failures.pop() if failures else "done"

    agent = Agent(model=ScriptedModel(turn), tools=[large])
    with pytest.raises(AgentFailed):
        await task.attempted(lambda run_agent: run_agent(agent))
    await task.attempted(lambda run_agent: run_agent(agent))
    assert ran == {"large": 2}
    assert task.notes() == ["journal", "journal"]
    assert "large" in next(data["text"] for kind, data in task.said() if kind == "note")


async def test_what_postgresql_could_not_hold_as_text_is_kept_too() -> None:
    task, world = Task(), World()
    agent = Agent(model=world.model([noting("nul \0 and \ud800"), "done \0"]), tools=[world.note])
    for _ in range(2):
        assert (await task.attempted(lambda run_agent: run_agent(agent))).content == "done \0"
    assert (world.asked, len(world.effects)) == (2, 1)
    assert all(text.isascii() and "\0" not in text for row in task.rows.items() for text in row)


def test_a_tool_by_itself_has_no_key() -> None:
    assert idempotency_key() is None


async def test_a_key_names_its_task_and_call() -> None:
    task, world = Task(id="task-9"), World()
    agent = Agent(model=world.model([noting("a", "call-7"), "done"]), tools=[world.note])
    await task.attempted(lambda run_agent: run_agent(agent))
    assert world.effects[0].startswith("task-9:call-7:")


async def test_parallel_steps_of_one_agent_do_not_mix() -> None:
    task, world = Task(), World()
    agent = Agent(id="same", model=world.model([noting("a"), "noted"]), tools=[world.note])
    steps: list[Any] = [Step(name="one", agent=agent), Step(name="two", agent=agent)]
    both = flow(Parallel(*steps, name="both"))
    await task.attempted(lambda run_agent: run_agent(both))
    asked, done = world.asked, len(world.effects)
    await task.attempted(lambda run_agent: run_agent(both))
    assert (world.asked, len(world.effects), task.notes()) == (asked, done, [])


@pytest.mark.parametrize("maker", ["a step", "a function"])
async def test_who_stops_reading_at_a_runs_output_has_read_a_run_that_ended(maker: str) -> None:
    task, world = Task(), World()
    agent = Agent(name="ann", model=world.model(["one"]))
    outputs: list[RunOutput] = []

    async def call(step_input: StepInput) -> StepOutput:
        for _ in range(2):
            async for item in agent.arun(step_input.input, stream=True, yield_run_output=True):  # type: ignore[arg-type]
                if isinstance(item, RunOutput):
                    outputs.append(item)
                    break
        return StepOutput(content=" ".join(str(each.content) for each in outputs))

    async def handler(run_agent: RunAgent) -> Any:
        step = Step(name="call", executor=call) if maker == "a function" else Step(name="call", agent=agent)
        result = await run_agent(flow(step, db=db, store_executor_outputs=True))
        for _turn in range(20):  # abandoned iterators are closed by the loop
            await asyncio.sleep(0)
        return result

    db = InMemoryDb()
    result = await task.attempted(handler)
    stored = cast("Any", db.get_session(session_id=task.record.id, session_type=SessionType.WORKFLOW))
    outputs += stored.runs[0].step_executor_runs or []
    assert {each.status for each in outputs} == {RunStatus.completed}
    assert (result.content, world.asked) == (("one one", 2) if maker == "a function" else ("one", 1))


async def test_text_that_a_retry_gives_to_the_users_code_is_plain() -> None:
    task, world, kinds = Task(), World(), list[type]()
    agent = Agent(name="ann", model=world.model(["one"]))

    async def call(step_input: StepInput) -> StepOutput:
        output = await agent.arun(step_input.input)  # type: ignore[arg-type]
        kinds.append(type(output.content))
        if len(kinds) == 1:
            raise ModelProviderError("busy", 503)
        return StepOutput(content=output.content)

    with pytest.raises(AgentFailed):
        await task.attempted(lambda run_agent: run_agent(flow(Step(name="call", executor=call))))
    await task.attempted(lambda run_agent: run_agent(flow(Step(name="call", executor=call))))
    assert (kinds, world.asked) == ([str, str], 1)


async def test_text_of_an_answer_from_agnos_cache_is_taken_back_before_it_is_told_again(tmp_path: Path) -> None:
    world, task = World(), Task(id="task-2", events_streaming=True)
    model = world.model(["the answer"], id="m")
    model.cache_response, model.cache_dir = True, str(tmp_path)

    async def until_told(run_output: RunOutput) -> None:
        await wait_until(lambda: bool(task.text), f"{run_output.content} is told")

    await Task().attempted(lambda run_agent: run_agent(Agent(model=model)))
    for dies_at in (1, None):
        agent = Agent(model=model, post_hooks=[until_told])
        await task.attempted(lambda run_agent, agent=agent: run_agent(agent), dies_at=dies_at)
    assert (task.text, task.notes(), world.asked) == ("the answer" * 2, ["discard"], 1)


async def test_a_providers_stream_comes_back_with_its_tool_calls() -> None:
    task, world = Task(events_streaming=True), World()
    async with answering(("note", {"word": "a"}), "It is |noted.") as provider:
        model: Any = OpenAILike(id="m", base_url=provider.base_url, api_key="none", max_retries=0)
        agent = Agent(model=model, tools=[world.note])
        first = await task.attempted(lambda run_agent: run_agent(agent))
        second = await task.attempted(lambda run_agent: run_agent(agent))
        await model.async_client.close()
    assert first.content == second.content == "It is noted."
    assert (first.tokens, first.used_tools) == (second.tokens, second.used_tools)
    assert first.tokens.prompt_tokens == 200
    assert (len(provider.requests), len(world.effects), task.text) == (2, 1, "It is noted.")
    assert [kind for kind, _ in task.said()] == ["tool_call_request", "tool_call_result"]


def test_a_row_is_json_that_postgresql_can_hold() -> None:
    kept = Journal("task", 2)
    scope = kept.open(kept.root, Identity("agent", "boss", str, str), "boss é")
    row = kept.row(scope, "tool", "3.call_2", {"result": {"b": ["\0", 1.0, None, 2**70], "a": "ü"}}, match="ab12")
    assert row is not None
    assert row.key == "task/boss ?/tool/3.call_2#2.2"
    assert row.value == (
        r'{"scope":"task/boss é","kind":"tool","at":"3.call_2","match":"ab12",'
        r'"value":{"result":{"b":["\u0000",1.0,null,1180591620717411303424],"a":"ü"}},'
        r'"opens":[{"key":"task/boss é","parent":"task","began":[2,1],"kind":"agent","config":"","input":"",'
        r'"name":"boss"}]}'
    ), "what PostgreSQL's text cannot hold stays escaped"
    half = kept.row(scope, "tool", "5.call_3", {"result": "\ud800"})
    assert half is not None
    assert half.value.isascii(), "nor half a surrogate pair"
    assert json.loads(half.value)["value"] == {"result": "\ud800"}


async def test_rows_of_an_earlier_form_are_passed_over_and_a_note_says_so() -> None:
    task, world = Task(), World()
    agent = Agent(id="a", model=world.model([noting("a"), "done"]), tools=[world.note])
    await task.attempted(lambda run_agent: run_agent(agent), dies_at=2)
    for kind, number in (("told", 98), ("model", 99)):
        row = {"run": f"{task.record.id}.0", "path": [], "kind": kind, "at": "", "match": "", "value": ["0" * 24]}
        task.rows[f"task-1.0/{kind}/#1.{number}"] = json.dumps(row)
    await task.attempted(lambda run_agent: run_agent(agent))
    assert (task.notes(), len(world.effects)) == (["journal"], 1)
