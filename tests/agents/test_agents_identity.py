"""The journal answers only the question that was asked: whoever asks, in whatever order, whatever is left out."""

import asyncio
import contextlib
import itertools
import os
import re
import sys
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import pytest
from agno.agent import Agent
from agno.db.base import SessionType
from agno.db.in_memory import InMemoryDb
from agno.exceptions import ModelProviderError
from agno.memory import MemoryManager
from agno.models.message import Message
from agno.team import Team
from agno.workflow import Step, StepOutput, Steps, Workflow

from tests.agents.attempts import Handler, Task
from tests.agents.made_up import resumes_wherever_it_dies
from tests.agents.runs import flow
from worker.agents.errors import AgentFailed
from worker.agents.runs.material import Material
from worker.testing import Call, ScriptedModel


@pytest.mark.parametrize("seed", range(30))
async def test_a_handler_made_up_at_random_resumes_wherever_it_dies(seed: int) -> None:
    await resumes_wherever_it_dies(seed, most_deaths=12)


# who is asked


RunAgent = Callable[..., Awaitable[Any]]


def answers(*names: str, asked: list[str]) -> list[Agent]:
    """Agents of one name that are told apart by their instructions alone."""

    def agent(name: str) -> Agent:
        def turn(_: list[Message]) -> str:
            asked.append(name)
            return name

        return Agent(name="ann", instructions=f"You are {name}.", model=ScriptedModel(turn))

    return [agent(each) for each in names]


async def text(run_agent: RunAgent, agent: Any, given: str = "q") -> str:
    return (await run_agent(agent, Material(given))).content


async def test_a_handler_that_skips_what_is_done_gets_the_answers_of_what_it_asks() -> None:
    task, asked = Task(), list[str]()
    one, two, three = answers("one", "two", "three", asked=asked)

    async def handle(run_agent: RunAgent) -> list[str]:
        if "one" not in task.saved:
            task.saved["one"] = await text(run_agent, one)
        return [task.saved["one"], await text(run_agent, two), await text(run_agent, three)]

    assert await task.attempted(handle) == ["one", "two", "three"]
    assert await task.attempted(handle) == ["one", "two", "three"]
    assert (asked, task.notes()) == (["one", "two", "three"], [])


@pytest.mark.parametrize("way", ["loop", "comprehension", "generator"])
async def test_a_loop_may_leave_out_what_its_handler_knows_to_be_done(way: str) -> None:
    task, asked, done = Task(), list[str](), set[str]()
    agents = dict(zip(("one", "two"), answers("one", "two", asked=asked), strict=True))

    async def handle(run_agent: RunAgent) -> list[str]:
        todo = [agent for name, agent in agents.items() if name not in done]
        match way:
            case "loop":
                said: list[str] = []
                for agent in todo:
                    said.append(await text(run_agent, agent))  # noqa: PERF401 - the loop is what is tried
                return said
            case "comprehension":
                return [await text(run_agent, agent) for agent in todo]
            case _:
                return [each async for each in (await text(run_agent, agent) for agent in todo)]

    assert await task.attempted(handle, dies_at=1) is None
    done.add("one")  # in a store of the handler's own, of which its task knows nothing
    assert await task.attempted(handle) == ["two"]


async def test_one_place_makes_another_run_once_something_is_saved() -> None:
    task, asked = Task(), list[str]()
    draft, review = answers("draft", "review", asked=asked)

    async def handle(run_agent: RunAgent) -> str:
        said = await text(run_agent, review if "draft" in task.saved else draft)
        task.saved.setdefault("draft", said)
        return said

    assert await task.attempted(handle) == "draft"
    assert await task.attempted(handle) == "review"
    assert asked == ["draft", "review"]


async def test_runs_that_are_gathered_get_their_own_answers_in_any_order() -> None:
    task, asked = Task(), list[str]()
    agents = answers("one", "two", "three", asked=asked)

    def handler(order: list[int]) -> Handler:
        async def handle(run_agent: RunAgent) -> list[str]:
            answered = await asyncio.gather(*(text(run_agent, agents[index]) for index in order))
            return [answered[order.index(index)] for index in range(3)]

        return handle

    for order in ([0, 1, 2], [2, 0, 1], [1, 2, 0]):
        assert await task.attempted(handler(order)) == ["one", "two", "three"]
    assert (sorted(asked), task.notes()) == (["one", "three", "two"], [])


async def test_a_run_beside_one_that_is_skipped_repeats_nothing() -> None:
    task, asked = Task(), list[str]()
    done, broken_off, new = answers("done", "broken off", "new", asked=asked)

    def handler(*agents: Agent) -> Handler:
        async def handle(run_agent: RunAgent) -> list[str]:
            return await asyncio.gather(*(text(run_agent, each) for each in agents))

        return handle

    await task.attempted(handler(done, broken_off))
    task.rows = {key: row for key, row in task.rows.items() if "ann.2/run" not in key}
    task.saved["done"] = True
    assert await task.attempted(handler(new, broken_off)) == ["new", "broken off"]
    assert (asked, task.notes()) == (["done", "broken off", "new"], [])


@pytest.mark.parametrize("kind", ["runs", "unfinished runs"])
async def test_branches_meet_again_in_the_order_in_which_they_finished(kind: str) -> None:
    """What is asked next depends on it: the first attempt was busy for ann, and no other is."""
    task, told, looked, bob_is_done = Task(), list[str](), list[str](), asyncio.Event()
    failing = [ModelProviderError("busy", 503)]

    async def after_bob(_: list[Message]) -> None:
        await bob_is_done.wait()

    def tell(messages: list[Message]) -> Any:
        told.append(str(next(each.content for each in messages if each.role == "user")))
        if messages[-1].role != "tool":
            return Call("look")
        if failing:
            raise failing.pop()
        return "told"

    def look() -> str:
        """Look."""
        looked.append("looked")
        return "seen"

    async def handle(run_agent: RunAgent) -> str:
        met = list[str]()

        async def one(name: str, before: Any = None) -> None:
            met.append(await text(run_agent, Agent(name=name, model=ScriptedModel([name], before=before))))
            if name == "bob":
                bob_is_done.set()

        await asyncio.gather(one("ann", after_bob), one("bob"))
        return await text(run_agent, Agent(name="last", model=ScriptedModel(tell), tools=[look]), " and ".join(met))

    with pytest.raises(AgentFailed):
        await task.attempted(handle)
    if kind == "unfinished runs":
        task.rows = {key: row for key, row in task.rows.items() if '"kind":"run"' not in row}
    assert await task.attempted(handle) == "told"
    assert (told, looked, task.notes()) == (["bob and ann"] * 3, ["looked"], [])


@pytest.mark.parametrize(
    "difference",
    [
        {"instructions": "Be another."},
        {"instructions": ["Be", "another."]},
        {"description": "Another."},
        {"expected_output": "Another."},
        {"system_message": "Another."},
        {"output_schema": {"type": "object"}},
        {"tools": [print]},
        {"tools": [{"type": "function", "function": {"name": "search"}}]},
        {"dependencies": {"customer": "another"}},
        {"session_state": {"customer": "another"}},
        {"additional_input": ["another"]},
        {"knowledge_filters": {"customer": "another"}},
    ],
    ids="-".join,
)
async def test_one_name_may_be_that_of_different_agents(difference: dict[str, Any]) -> None:
    task = Task()
    settings = [{}, difference]

    def handler(left_out: int | None) -> Handler:
        async def handle(run_agent: RunAgent) -> dict[int, str]:
            answered: dict[int, str] = {}
            for number, each in enumerate(settings):
                if number != left_out:
                    said = '{"a": 1}' if "output_schema" in each else str(number)
                    agent = Agent(name="ann", model=ScriptedModel([said]), **each)
                    answered[number] = await text(run_agent, agent)
            return answered

        return handle

    whole = await task.attempted(handler(None))
    assert whole.keys() == {0, 1}
    for left_out in (0, 1):
        assert await task.attempted(handler(left_out)) == {1 - left_out: whole[1 - left_out]}
    assert task.notes() == []


@pytest.mark.parametrize("kind", ["team", "workflow", "workflow of functions", "team in a team"])
async def test_what_a_run_is_made_of_tells_it_from_others_down_to_its_last_member(kind: str) -> None:
    task = Task()

    def subject(number: int) -> Any:
        agent = Agent(name="ann", instructions=f"You are {number}.", model=ScriptedModel([str(number)]))
        if kind == "workflow":
            return Workflow(name="it", steps=[Steps(name="all", steps=[Step(name="one", agent=agent)])])
        if kind == "workflow of functions":
            return Workflow(name="it", steps=[Step(name="one", executor=lambda _: StepOutput(content=str(number)))])
        turns = [Call("delegate_task_to_member", {"member_id": "ann", "task": "t"}), str(number)]
        team = Team(name="in", model=ScriptedModel(turns), members=[agent])
        return team if kind == "team" else Team(name="it", model=ScriptedModel([str(number)]), members=[team])

    def handler(numbers: list[int]) -> Handler:
        async def handle(run_agent: RunAgent) -> list[str]:
            return [await text(run_agent, subject(number)) for number in numbers]

        return handle

    assert await task.attempted(handler([1, 2])) == ["1", "2"]
    assert await task.attempted(handler([2])) == ["2"]
    assert task.notes() == []


async def test_tools_that_one_function_makes_are_told_apart_by_whom_they_are_made_for() -> None:
    task, world = Task(), list[str]()

    def tools_for(customer: str) -> list[Any]:
        def look_up() -> str:
            """Look up the customer."""
            world.append(customer)
            return customer

        return [look_up]

    def said(messages: list[Message]) -> Any:
        return messages[-1].content if messages[-1].role == "tool" else Call("look_up")

    def handler(customers: list[str]) -> Handler:
        async def handle(run_agent: RunAgent) -> list[str]:
            agents = [Agent(name="ann", model=ScriptedModel(said), tools=tools_for(each)) for each in customers]
            return [await text(run_agent, each) for each in agents]

        return handle

    assert await task.attempted(handler(["a", "b"])) == ["a", "b"]
    assert await task.attempted(handler(["b", "a"])) == ["b", "a"]
    assert (world, task.notes()) == (["a", "b"], [])


async def test_of_two_equal_runs_each_keeps_its_events_wherever_the_second_dies() -> None:
    async def handle(run_agent: RunAgent) -> None:
        for _ in range(2):
            lead = ScriptedModel([Call("delegate_task_to_member", {"member_id": "ann", "task": "t"}), "done"])
            member: Any = Agent(name="ann", model=ScriptedModel(["done"]))
            await run_agent(Team(name="crew", model=lead, members=[member]))
            await run_agent(flow(Agent(name="bob", model=ScriptedModel(["done"]))))

    whole = Task()
    await whole.attempted(handle)
    kinds = [str(event.type) for event in whole.events]
    assert {kind: kinds.count(kind) for kind in ("sub_agent_trigger", "step")} == {"sub_agent_trigger": 2, "step": 4}
    for moment in range(whole.writes):
        task = Task()
        await task.attempted(handle, dies_at=moment)
        await task.attempted(handle)
        assert Counter(str(event.type) for event in task.events) == Counter(kinds), f"dead at write {moment}"


# what a deploy changes


async def test_a_named_agent_whose_prompt_a_deploy_has_changed_goes_on_where_it_stood() -> None:
    task, ran = Task(), Counter[str]()

    def look() -> str:
        """Look."""
        ran["look"] += 1
        return "seen"

    failing = [ModelProviderError("busy", 503)]

    def turn(messages: list[Message]) -> Any:
        ran["asked"] += 1
        if messages[-1].role != "tool":
            return Call("look")
        if failing:
            raise failing.pop()
        return str(messages[0].content)

    def handler(prompt: str) -> Handler:
        async def handle(run_agent: RunAgent) -> str:
            return await text(
                run_agent, Agent(name="ann", instructions=prompt, model=ScriptedModel(turn), tools=[look])
            )

        return handle

    with pytest.raises(AgentFailed):
        await task.attempted(handler("Be brief."))
    assert await task.attempted(handler("Be very brief.")) == "Be very brief."
    assert (ran, task.notes()) == ({"look": 1, "asked": 3}, [])


async def test_after_a_deploy_two_agents_of_one_name_are_not_taken_for_each_other() -> None:
    task, asked = Task(), list[str]()

    def handler(*names: str) -> Handler:
        async def handle(run_agent: RunAgent) -> list[str]:
            return [await text(run_agent, each) for each in answers(*names, asked=asked)]

        return handle

    assert await task.attempted(handler("one", "two")) == ["one", "two"]
    assert await task.attempted(handler("two, changed", "one, changed")) == ["two, changed", "one, changed"]
    assert task.notes() == ["journal"], "they are asked anew, and a note says so"


def _noting(name: str | None) -> Agent:
    def note() -> str:
        """Note."""
        return "noted"

    return Agent(name=name, model=ScriptedModel([Call("note"), "done"]), tools=[note])


def _asking(name: str) -> Agent:
    async def ask() -> str:
        """Ask."""
        return str((await _noting(name).arun("q")).content)

    return Agent(name="outer", model=ScriptedModel([Call("ask"), "done"]), tools=[ask])


RENAMED: dict[str, tuple[Callable[[], Any], Callable[[], Any]]] = {
    "an agent": (lambda: _noting("ann"), lambda: _noting("bob")),
    "an agent that gets a name": (lambda: _noting(None), lambda: _noting("bob")),
    "an agent that becomes a workflow": (lambda: _noting("ann"), lambda: flow(_noting("ann"), name="ann")),
    "a workflow": (lambda: flow(_noting("ann")), lambda: flow(_noting("ann"), name="another")),
    "a step": (
        lambda: flow(Step(name="one", agent=_noting("ann"))),
        lambda: flow(Step(name="two", agent=_noting("ann"))),
    ),
    "an agent in a step": (
        lambda: flow(Step(name="one", agent=_noting("a"))),
        lambda: flow(Step(name="one", agent=_noting("b"))),
    ),
    "an agent within a tool": (lambda: _asking("ann"), lambda: _asking("bob")),
}


@pytest.mark.parametrize("loop", [False, True], ids=["alone", "in a loop"])
@pytest.mark.parametrize("what", RENAMED)
async def test_what_a_deploy_has_renamed_is_done_again_and_a_note_says_so(what: str, *, loop: bool) -> None:
    task = Task()

    def handler(make: Callable[[], Any]) -> Handler:
        async def handle(run_agent: RunAgent) -> str:
            if loop:
                return "".join([await text(run_agent, make()) for _ in range(1)])
            return await text(run_agent, make())

        return handle

    before, after = RENAMED[what]
    answered = 2 if what == "an agent within a tool" else 1
    while len(task.rows_of("model")) < answered:
        assert await task.attempted(handler(before), dies_at=task.writes + 1) is None
    assert await task.attempted(handler(after)) == "done"
    assert task.notes() == ["journal"]


async def test_a_namesake_that_is_run_elsewhere_is_no_sign_of_a_deploy() -> None:
    """Beside others it is asked first, before the one that an attempt has left answers for."""
    task, asked = Task(), list[str]()
    one, two = answers("one", "two", asked=asked)
    bob = Agent(name="bob", model=ScriptedModel(["bob"]))

    async def further(run_agent: RunAgent) -> str:
        return await text(run_agent, one)

    def handler(*, is_retry: bool) -> Handler:
        async def handle(run_agent: RunAgent) -> list[str]:
            before = [text(run_agent, two)] if is_retry else []
            return await asyncio.gather(*before, text(run_agent, bob), further(run_agent))

        return handle

    await task.attempted(handler(is_retry=False))
    assert await task.attempted(handler(is_retry=True)) == ["two", "bob", "one"]
    assert (asked, task.notes()) == (["one", "two"], [])


async def test_code_is_the_same_in_every_process_that_runs_it() -> None:
    """A set among its constants has an order of its own in each."""
    source = "async def f(x): return x in {'ann', 'bob', 'cy', 'dee'}"
    program = f"from worker.agents.journal import call_sites\n{source}\nprint(call_sites._version(f.__code__))"
    versions = set[bytes]()
    for seed in ("1", "2", "3"):
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", program, env={**os.environ, "PYTHONHASHSEED": seed}, stdout=asyncio.subprocess.PIPE
        )
        versions.add((await process.communicate())[0])
    assert len(versions) == 1
    assert versions != {b""}


@pytest.mark.parametrize("name", ["ann", None])
async def test_instructions_that_contain_the_time_are_never_answered_wrongly(name: str | None) -> None:
    task, asked, clock = Task(), list[str](), itertools.count()

    def handler(*left_out: str) -> Handler:
        async def handle(run_agent: RunAgent) -> dict[str, str]:
            answered: dict[str, str] = {}
            for each in ("one", "two"):
                if each in left_out:
                    continue

                def turn(_: list[Message], each: str = each) -> str:
                    asked.append(each)
                    return each

                prompt = f"It is {next(clock)} o'clock. You are {each}."
                answered[each] = await text(run_agent, Agent(name=name, instructions=prompt, model=ScriptedModel(turn)))
            return answered

        return handle

    assert await task.attempted(handler()) == {"one": "one", "two": "two"}
    assert await task.attempted(handler("one")) == {"two": "two"}
    assert await task.attempted(handler()) == {"one": "one", "two": "two"}
    assert asked == ["one", "two"] or "journal" in task.notes()


async def test_what_changes_by_itself_in_a_question_is_asked_as_it_was() -> None:
    task, seen, clock = Task(), list[str](), itertools.count()
    failing = [ModelProviderError("busy", 503)]

    def turn(messages: list[Message]) -> Any:
        seen.append(" ".join(str(each.content) for each in messages if each.role in ("system", "user")))
        if messages[-1].role != "tool":
            return Call("look")
        if failing:
            raise failing.pop()
        return "done"

    agent = Agent(
        model=ScriptedModel(turn),
        tools=[answers_with("seen", "look")],
        instructions=lambda: f"It is {next(clock)}.",
        dependencies={"now": lambda: next(clock)},
        add_dependencies_to_context=True,
        add_datetime_to_context=True,
    )

    async def handle(run_agent: RunAgent) -> str:
        return await text(run_agent, agent)

    with pytest.raises(AgentFailed):
        await task.attempted(handle)
    assert await task.attempted(handle) == "done"
    assert len(seen) == 3
    assert len(set(seen)) == 1, "to the byte"
    assert task.notes() == []


def answers_with(said: str, name: str) -> Callable[[], str]:
    """A tool."""

    def tool() -> str:
        """Do it."""
        return said

    tool.__name__ = name
    return tool


# members without names


@pytest.mark.parametrize("alike", [False, True])
async def test_members_without_names_are_told_apart(*, alike: bool) -> None:
    task, asked, ids = Task(), list[str](), set[str]()
    members: list[Any] = []
    for each in ("one", "two"):

        def turn(_: list[Message], each: str = each) -> str:
            asked.append(each)
            return each

        members.append(Agent(role="any" if alike else each, model=ScriptedModel(turn)))

    def leads(messages: list[Message]) -> Any:
        listed = re.findall(r'<member id="([^"]*)"', str(messages[0].content))
        ids.update(listed)
        answered = [str(each.content) for each in messages if each.role == "tool"]
        return " ".join(answered) if answered else [delegate(each) for each in listed]

    def delegate(member: str) -> Call:
        return Call("delegate_task_to_member", {"member_id": member, "task": "t"})

    team = Team(model=ScriptedModel(leads), members=members)

    async def handle(run_agent: RunAgent) -> str:
        return await text(run_agent, team)

    for _ in range(2):
        assert await task.attempted(handle) == "one two"
    assert sorted(asked) == ["one", "two"]
    assert len(ids) == 2, "the same in both attempts"
    assert all(re.fullmatch(r"[a-z]+-[a-z]+-[0-9a-f]{8}", each) for each in ids), "as Agno makes them"


# turns of a task, and its retries


async def test_each_turn_of_a_task_is_a_run_of_its_own_in_the_agents_session() -> None:
    db, heard = InMemoryDb(), list[list[str]]()

    def turn(messages: list[Message]) -> str:
        heard.append([str(each.content) for each in messages if each.role != "system"])
        return f"answer to {messages[-1].content}"

    agent = Agent(id="ann", db=db, model=ScriptedModel(turn), add_history_to_context=True)
    for number in range(3):
        task = Task(turn=number)
        await task.attempted(lambda run_agent, number=number: run_agent(agent, Material(f"turn {number}")))
    assert heard[-1] == ["turn 0", "answer to turn 0", "turn 1", "answer to turn 1", "turn 2"]
    session: Any = db.get_session(session_id="task-1", session_type=SessionType.AGENT)
    assert [run.input.input_content for run in session.runs] == ["turn 0", "turn 1", "turn 2"]


async def test_after_a_manual_retry_the_model_does_not_see_its_discarded_answer() -> None:
    db, heard = InMemoryDb(), list[list[str]]()

    def turn(messages: list[Message]) -> str:
        heard.append([str(each.content) for each in messages if each.role != "system"])
        return "an answer"

    agent = Agent(id="ann", db=db, model=ScriptedModel(turn), add_history_to_context=True)
    first = Task(turn=0)
    await first.attempted(lambda run_agent: run_agent(agent))
    again = Task(turn=0)  # the platform drops the journal but for the session as it was found
    again.attempt = first.attempt
    again.rows = {key: row for key, row in first.rows.items() if key.startswith("task-1/session/")}
    await again.attempted(lambda run_agent: run_agent(agent))
    assert heard == [["the question"], ["the question"]]
    session: Any = db.get_session(session_id="task-1", session_type=SessionType.AGENT)
    assert len(session.runs) == 1


# who ends


@pytest.mark.parametrize("kind", ["workflow", "team"])
async def test_a_run_that_its_handler_cancels_ends_and_makes_no_more_calls(kind: str) -> None:
    task, asked = Task(), Counter[str]()
    called = asyncio.Event()

    async def hang(_: list[Message]) -> None:
        called.set()
        await asyncio.Event().wait()

    def agent(name: str, before: Any = None) -> Agent:
        def turn(_: list[Message]) -> str:
            asked[name] += 1
            return name

        return Agent(name=name, model=ScriptedModel(turn, before=before))

    first, second = agent("first", hang), agent("second")

    def leads(messages: list[Message]) -> Any:
        asked["leader"] += 1
        members = ["first", "second"]
        calls = [Call("delegate_task_to_member", {"member_id": each, "task": "t"}) for each in members]
        return "done" if messages[-1].role == "tool" else calls[0]

    team = Team(name="crew", model=ScriptedModel(leads), members=[first, second])

    async def handle(run_agent: RunAgent) -> str:
        going = asyncio.ensure_future(run_agent(flow(first, second) if kind == "workflow" else team))
        await called.wait()
        going.cancel()
        with pytest.raises(asyncio.CancelledError):
            await going
        return "cancelled"

    assert await task.attempted(handle) == "cancelled"
    assert asked == ({} if kind == "workflow" else {"leader": 1})


async def test_a_scope_that_is_left_within_a_run_does_not_end_what_goes_on_beside_it() -> None:
    task, connecting, beside = Task(), asyncio.Event(), asyncio.Event()

    async def connect(_: list[Message]) -> None:
        with anyio.CancelScope() as attempt:  # as a client does with the slower of a server's addresses
            attempt.cancel()
            connecting.set()
            for _turn in range(1000):
                if not beside.is_set():
                    with contextlib.suppress(asyncio.CancelledError):
                        await asyncio.sleep(0.001)

    async def until_then(_: list[Message]) -> None:
        await connecting.wait()

    def remembers(messages: list[Message]) -> Any:
        if messages[-1].role == "tool":
            beside.set()
            return "noted"
        return Call("add_memory", {"memory": "likes tea"})

    agent = Agent(
        model=ScriptedModel(["done"], before=connect),
        memory_manager=MemoryManager(model=ScriptedModel(remembers, before=until_then)),
        update_memory_on_run=True,
        db=InMemoryDb(),
        user_id="ada",
    )
    assert await asyncio.wait_for(task.attempted(lambda run_agent: text(run_agent, agent)), 5) == "done"
