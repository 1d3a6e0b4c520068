"""What is said to a task: its agent reads it before its next model call, and each attempt reads it there."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import pytest
from agno.agent import Agent
from agno.models.message import Message
from agno.team import Team
from agno.workflow import Step, Workflow
from pydantic import BaseModel

from tests.contract.steps import AGENT, bring_to, claim, create, log, until, wish, worker
from tests.supervisor.stories import Handlers
from tests.support import wait_until
from tests.workers import handlers, no_spare_platform, working
from worker.contracts import Platform
from worker.current import run_in_hand
from worker.face.running import run_agent
from worker.face.task import Task
from worker.testing import Call, ScriptedModel
from worker.words.conversations import Mode
from worker.words.errors import Conflict, TaskNotFound, Unavailable, ValidationError
from worker.words.events import Note
from worker.words.ids import new_id
from worker.words.messages import TEXT_CHARACTERS, NewMessage, ReceivedMessage
from worker.words.statuses import TERMINAL
from worker.words.statuses import AgentExecutionStatus as Status
from worker.words.statuses import TaskUpdateEventType as Type
from worker.words.work import JournalEntry, WorkerCard

__all__ = ["handlers", "no_spare_platform"]

FRENCH = NewMessage(text="In French, please.")


def spoken(messages: list[Message]) -> list[str]:
    """Who said what, tools and the system left out."""
    return [f"{each.role}: {each.content}" for each in messages if each.role in ("user", "assistant") and each.content]


async def say(platform: Platform, task: Task) -> None:
    """Say it, and wait until the worker has heard that there is something."""
    run = run_in_hand.get()
    assert run is not None
    await platform.tasks.send(task.id, FRENCH)
    await wait_until(lambda: run.inbox.waits, "the worker hears of it")


class Tool:
    """A tool within which somebody says something to the task."""

    def __init__(self, say: Callable[[], Awaitable[Any]]) -> None:
        self._say = say
        self.has_heard = False

    async def look(self) -> str:
        """Look something up."""
        await self._say()
        self.has_heard = True
        return "found"


def last_said(messages: list[Message]) -> str:
    return "; ".join(spoken(messages))


@pytest.mark.parametrize("kind", ["agent", "team"])
async def test_a_running_agent_reads_it_before_its_next_model_call(
    platform: Platform, handlers: Handlers, kind: str
) -> None:
    tools: list[Tool] = []

    async def work(task: Task) -> Task:
        tools.append(Tool(partial(say, platform, task)))
        look = tools[0].look

        def script(messages: list[Message]) -> Any:
            return last_said(messages) if messages[-1].role != "user" or len(messages) > 2 else Call("look", {}, "c")

        if kind == "agent":
            return await run_agent(Agent(model=ScriptedModel(script), tools=[look]), task)
        member = Agent(name="member", model=ScriptedModel(["unasked"]))
        return await run_agent(Team(members=[member], model=ScriptedModel(script), tools=[look]), task)

    handlers.bind(work, AGENT)
    async with working(platform, handlers):
        task = await create(platform, "How are you?")
        done = await until(platform, task.id, Status.Completed, Status.Error)
    assert done.result == "user: How are you?; user: In French, please."
    assert [each.has_heard for each in tools] == [True]
    (event,) = [each for each in await log(platform, task.id) if each.type is Type.MessageReceived]
    assert ReceivedMessage.model_validate(event.data).text == "In French, please."
    assert not [each for each in await log(platform, task.id) if each.type is Type.Note]


class Greeting(BaseModel):
    """What is said."""

    text: str


@pytest.mark.parametrize("fails", [False, True], ids=["at once", "after a retry"])
@pytest.mark.parametrize("kind", ["agent", "team", "form", "workflow"])
async def test_what_comes_while_the_model_answers_is_answered_in_its_place(
    platform: Platform, handlers: Handlers, kind: str, *, fails: bool
) -> None:
    def script(messages: list[Message]) -> Any:
        is_french = messages[-1].content == FRENCH.text
        text = "Bonjour." if is_french else "Hello."
        return f'{{"text": "{text}"}}' if kind == "form" else text

    asked: list[int] = []

    async def work(task: Task) -> Task:
        async def interrupt(messages: list[Message]) -> None:
            asked.append(len(messages))
            if len(asked) == 1:
                await say(platform, task)
            elif len(asked) == 2 and fails:
                raise Unavailable("away")

        model = ScriptedModel(script, before=interrupt)
        agent = Agent(name="a", model=model)
        if kind == "team":
            agent = Team(name="t", members=[Agent(name="m", model=ScriptedModel(["unasked"]))], model=model)
        elif kind == "form":
            agent = Agent(name="a", model=model, output_schema=Greeting)
        elif kind == "workflow":
            agent = Workflow(name="w", steps=[Step(name="s", agent=agent)])
        return await run_agent(agent, task)

    handlers.bind(work, AGENT)
    async with working(platform, handlers):
        task = await create(platform, "How are you?", events_streaming=True)
        done = await until(platform, task.id, Status.Completed, Status.Error)
    assert done.result == ('{"text":"Bonjour."}' if kind == "form" else "Bonjour.")
    assert (done.execution_attempts, len(asked)) == ((2, 3) if fails else (1, 2))
    said = await log(platform, task.id)
    kinds = [Note.model_validate(each.data).kind for each in said if each.type is Type.Note]
    assert kinds == ([] if kind == "form" else ["discard"])


async def test_a_task_that_does_not_run_keeps_it(platform: Platform, handlers: Handlers) -> None:
    model = ScriptedModel(last_said)

    async def work(task: Task) -> Task:
        return await run_agent(Agent(model=model), task)

    handlers.bind(work, AGENT)
    task = await create(platform, "How are you?")
    await platform.tasks.send(task.id, FRENCH)
    await platform.tasks.send(task.id, NewMessage(text="And short."))
    async with working(platform, handlers):
        done = await until(platform, task.id, Status.Completed, Status.Error)
    assert done.result == "user: How are you?; user: In French, please.; user: And short."


async def test_a_retry_reads_it_at_the_same_place(platform: Platform, handlers: Handlers) -> None:
    asked: list[list[str]] = []
    said: list[str] = []

    async def work(task: Task) -> Task:
        async def say_once() -> None:
            said.append("")
            if len(said) == 1:
                await say(platform, task)

        def script(messages: list[Message]) -> Any:
            calls = sum(bool(each.tool_calls) for each in messages)
            if calls < 2:
                return [f"call {calls}", Call("look", {}, f"c{calls}")]
            asked.append(spoken(messages))
            if len(asked) == 1:
                raise Unavailable("away")
            return "done"

        return await run_agent(Agent(model=ScriptedModel(script), tools=[Tool(say_once).look]), task)

    handlers.bind(work, AGENT)
    async with working(platform, handlers):
        task = await create(platform, "How are you?")
        done = await until(platform, task.id, Status.Completed, Status.Error)
    assert (done.status, done.execution_attempts, len(said)) == (Status.Completed, 2, 2)
    assert asked == [["user: How are you?", "assistant: call 0", "user: In French, please.", "assistant: call 1"]] * 2


@pytest.mark.parametrize("how", ["continued", "retried", "asked once more"])
async def test_what_comes_too_late_is_told_and_read_the_next_time(
    platform: Platform, handlers: Handlers, how: str
) -> None:
    runs: list[int] = []

    async def work(task: Task) -> Task:
        runs.append(len(runs))
        done = await run_agent(Agent(name="a", model=ScriptedModel(last_said)), task)
        if len(runs) == 1:
            await say(platform, task)
            if how == "asked once more":
                return await run_agent(Agent(name="b", model=ScriptedModel(last_said)), task)
        return done

    handlers.bind(work, AGENT)
    async with working(platform, handlers):
        task = await create(platform, "How are you?")
        done = await until(platform, task.id, Status.Completed, Status.Error)
        if how == "continued":
            await platform.tasks.create(wish("And now?", id=task.id))
            done = await until(platform, task.id, Status.Completed, Status.Error, after=done.last_event)
        elif how == "retried":
            await platform.tasks.retry(task.id)
            done = await until(platform, task.id, Status.Completed, Status.Error, after=done.last_event)
        await platform.tasks.create(wish("Well?", id=task.id))
        last = await until(platform, task.id, Status.Completed, Status.Error, after=done.last_event)
    asked = "And now?" if how == "continued" else "How are you?"
    assert done.result == f"user: {asked}; user: In French, please."
    assert last.result == "user: Well?", "what was read once is not read in a later turn"
    notes = [Note.model_validate(each.data).text for each in await log(platform, task.id) if each.type is Type.Note]
    assert [each.partition(":")[0] for each in notes] == ["A message was not read"] * (how != "asked once more")


async def test_what_a_stopped_task_had_not_read_is_read_when_it_is_continued(
    platform: Platform, handlers: Handlers
) -> None:
    turns: list[list[str]] = []
    calls_tool = asyncio.Event()

    async def work(task: Task) -> Task:
        async def until_stopped() -> None:
            calls_tool.set()
            await asyncio.Event().wait()

        def script(messages: list[Message]) -> Any:
            turns.append(spoken(messages))
            return Call("look", {}, "c1") if len(turns) == 1 else "done"

        return await run_agent(Agent(model=ScriptedModel(script), tools=[Tool(until_stopped).look]), task)

    handlers.bind(work, AGENT)
    task = await create(platform, "How are you?")
    await platform.tasks.send(task.id, FRENCH)
    async with working(platform, handlers):
        await asyncio.wait_for(calls_tool.wait(), 20)
        await platform.tasks.send(task.id, NewMessage(text="And short."))
        await platform.tasks.stop(task.id)
        stopped = await until(platform, task.id, Status.Stopped)
        for asked in ("And now?", "Well?"):
            await platform.tasks.create(wish(asked, id=task.id))
            stopped = await until(platform, task.id, Status.Completed, Status.Error, after=stopped.last_event)
    assert turns == [
        ["user: How are you?", "user: In French, please."],
        ["user: And now?", "user: And short."],
        ["user: Well?"],
    ]


@pytest.mark.parametrize(
    "value",
    [
        '[{"kind":"said"}]',
        '{"kind":"said","value":5}',
        '{"kind":"said","value":[5,{"number":"x"},{"number":null},{"number":true},{}]}',
        '{"kind":"said","value":[{"number":1000000}]}',
    ],
)
async def test_a_malformed_record_of_what_was_read_is_stored_and_counts_no_message(
    platform: Platform, value: str
) -> None:
    await create(platform)
    (held,) = await claim(platform, await worker(platform))
    await platform.work.emit(held.task.id, held.attempt, [], [JournalEntry("k", value)])
    assert await platform.work.journal(held.task.id) == {"k": value}
    await platform.tasks.send(held.task.id, FRENCH)
    told = await platform.work.messages(held.task.id)
    assert [each.text for each in told] == [FRENCH.text]


async def test_a_record_of_what_was_read_that_is_no_json_is_refused(platform: Platform) -> None:
    await create(platform)
    (held,) = await claim(platform, await worker(platform))
    with pytest.raises(ValidationError):
        await platform.work.emit(held.task.id, held.attempt, [], [JournalEntry("k", '"kind":"said" and no JSON')])
    assert await platform.work.journal(held.task.id) == {}


@pytest.mark.parametrize("status", sorted(TERMINAL))
async def test_a_finished_task_takes_none(platform: Platform, status: Status) -> None:
    task = await bring_to(platform, status)
    with pytest.raises(Conflict):
        await platform.tasks.send(task.id, FRENCH)


async def test_what_cannot_be_sent_is_refused(platform: Platform) -> None:
    with pytest.raises(TaskNotFound):
        await platform.tasks.send("none", FRENCH)
    with pytest.raises((ValidationError, ValueError)):
        await platform.tasks.send((await create(platform)).id, NewMessage(text=""))


async def test_a_second_task_of_a_conversation_steers_the_first(platform: Platform) -> None:
    conversations: dict[str, Mode] = {AGENT: "steer"}
    await platform.work.register(WorkerCard(id=new_id(), name="w", agents=(AGENT,), conversations=conversations))
    first = await create(platform, "How are you?", conversation_id="talk")
    second = await create(platform, "In French, please.", conversation_id="talk")
    assert second.id == first.id
    (event,) = [each for each in await log(platform, first.id) if each.type is Type.MessageReceived]
    assert ReceivedMessage.model_validate(event.data).text == "In French, please."
    long = await create(platform, "x" * (TEXT_CHARACTERS + 1), conversation_id="talk")
    assert (long.id != first.id, long.waiting_for is not None) == (True, True), "more than a message holds is not cut"
    await platform.tasks.stop(first.id)
    await platform.tasks.stop(long.id)
    assert (await create(platform, "Again.", conversation_id="talk")).id != first.id


async def test_a_repeated_wish_steers_once(platform: Platform) -> None:
    conversations: dict[str, Mode] = {AGENT: "steer"}
    await platform.work.register(WorkerCard(id=new_id(), name="w", agents=(AGENT,), conversations=conversations))
    first = await create(platform, "How are you?", conversation_id="talk")
    new = wish("In French, please.", conversation_id="talk")
    same = await asyncio.gather(*(platform.tasks.create(new, key="k") for _ in range(3)))
    same.append(await platform.tasks.create(new, key="k"))
    other = await platform.tasks.create(new, key="another")
    assert {each.id for each in [*same, other]} == {first.id}
    assert [each.type for each in await log(platform, first.id)].count(Type.MessageReceived) == 2
    await platform.tasks.stop(first.id)
    assert (await platform.tasks.create(new, key="k")).id == first.id, "also where that one has ended by now"


async def test_its_owner_alone_reads_them(platform: Platform) -> None:
    task = await create(platform)
    await platform.tasks.send(task.id, FRENCH)
    by = await worker(platform)
    (given,) = await claim(platform, by)
    assert given.task.messages_sent == 1
    assert [each.text for each in await platform.work.messages(task.id)] == [FRENCH.text]
    assert await platform.work.messages(task.id, 1) == []
