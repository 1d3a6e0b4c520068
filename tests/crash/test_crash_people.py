"""People and kill -9: before an answer, between an answer and what follows from it, and afterwards.

Every kind of pause, by agents, members, workflows and plain code, is answered over Python, HTTP and the command line,
in any order. No tool is called twice, none that nobody approved, no answer is lost, and nothing is asked twice.
"""

import asyncio
import itertools
import json
import random
import signal
from collections import Counter
from typing import Any

import httpx
import pytest

from tests.cli.shells import Running, Shell
from tests.crash.chance import chance_of, scaled, told
from tests.server.conftest import Start, start
from tests.support import wait_until
from worker.engine.engine import Engine
from worker.words.requests import InputAnswer, OpenRequest, RequestKind, RequestQuery
from worker.words.statuses import AgentExecutionStatus as Status
from worker.words.statuses import TaskUpdateEventType as Type
from worker.words.task_lists import TaskQuery
from worker.words.tasks import AgentExecutionInput, NewTask

__all__ = ["start"]

HANDLERS = """
    import asyncio, time
    from pathlib import Path

    from agno.agent import Agent
    from agno.team import Team
    from agno.tools import tool
    from agno.tools.user_feedback import UserFeedbackTools
    from agno.workflow import Parallel, Router, Step, StepOutput, Workflow
    from agno.workflow.types import HumanReview

    from worker import Context, Task, on_task, run_agent, run_agent_sync
    from worker.current import run_in_hand
    from worker.testing import Call, ScriptedModel

    def note(*what):
        with Path("ledger").open("a") as ledger:
            ledger.write(" ".join(map(str, (run_in_hand.get().task_id, *what))) + chr(10))

    @tool(requires_confirmation=True)
    def pay(amount: int) -> str:
        "Pay."
        note("pay", amount)
        return f"paid {amount}"

    @tool(requires_user_input=True, user_input_fields=["seats"])
    async def book(city: str, seats: int) -> str:
        "Book."
        note("book", seats)
        return f"booked {seats}"

    @tool(external_execution=True)
    def measure(what: str) -> str:
        "Measure."
        raise AssertionError("somebody else does it")

    def look(what: str) -> str:
        "Look."
        note("look", what)
        return f"{what} seen"

    def model(*calls):
        def script(messages):
            told = [str(each.content) for each in messages if each.role == "tool"]
            return " | ".join(told) if told or not calls else list(calls)
        return ScriptedModel(script)

    ASKED = [{"question": "Which?", "header": "which", "options": [{"label": "left"}, {"label": "right"}]}]

    def agent(name, *calls, **options):
        first = Call("look", {"what": name}, f"look-{name}")
        return Agent(name=name, model=model(first, *calls), tools=[look, *options.pop("tools")])

    def payer(name="payer", amount=5):
        return agent(name, Call("pay", {"amount": amount}, f"pay-{name}"), tools=[pay])

    def team(name, member):
        call = Call("delegate_task_to_member", {"member_id": member.name, "task": "see to it"}, f"to-{member.name}")
        return Team(name=name, members=[member], model=model(call))

    def step(name, **review):
        def work(step_input):
            return StepOutput(content=f"{step_input.previous_step_content or ''}>{name}")
        return Step(name=name, executor=work, human_review=HumanReview(**review) if review else None)

    def flow(*steps):
        return Workflow(name="flow", steps=list(steps))

    FIELD = [{"name": "who", "field_type": "str", "required": True}]

    def plain_step(step_input):
        return StepOutput(content=payer("plain", 7).run(step_input.input).content)

    PROGRAMS = {
        "confirmation": payer,
        "form": lambda: agent("booker", Call("book", {"city": "Rome"}, "book-1"), tools=[book]),
        "external": lambda: agent("measurer", Call("measure", {"what": "it"}, "m-1"), tools=[measure]),
        "feedback": lambda: agent("asker", Call("ask_user", {"questions": ASKED}, "q-1"), tools=[UserFeedbackTools()]),
        "member": lambda: team("team", payer()),
        "nested-member": lambda: team("outer", team("inner", payer())),
        "agent-in-step": lambda: flow(Step(name="pay", agent=payer())),
        "parallel": lambda: flow(
            Parallel(Step(name="a", agent=payer("a", 1)), Step(name="b", agent=payer("b", 2)), name="both")
        ),
        "step": lambda: flow(step("one"), step("two", requires_confirmation=True)),
        "step-input": lambda: flow(step("one", requires_user_input=True, user_input_schema=FIELD)),
        "review": lambda: flow(step("one", requires_output_review=True), Step(name="pay", agent=payer("last", 9))),
        "route": lambda: flow(
            Router(
                name="way",
                choices=[step("left"), Step(name="right", agent=payer("right", 8))],
                human_review=HumanReview(requires_user_input=True, user_input_message="which?"),
            )
        ),
        "nested-flow": lambda: flow(
            Step(name="in", workflow=flow(step("two", requires_confirmation=True))),
            Step(name="pay", agent=payer("n", 4)),
        ),
        "plain-step": lambda: flow(Step(name="call", executor=plain_step)),
    }

    def held():
        note("held")
        return not Path("release").exists()

    def bind(name, program):
        @on_task(agent_id=name)
        async def handler(task: Task) -> Task:
            await run_agent(program(), task)
            while held():
                await asyncio.sleep(0.1)
            return task

    for name, program in PROGRAMS.items():
        bind(name, program)

    @on_task(agent_id="sync")
    def sync(task: Task) -> Task:
        run_agent_sync(payer("sync", 3), task)
        while held():
            time.sleep(0.1)
        return task

    @on_task(agent_id="question")
    async def question(task: Task, context: Context) -> str:
        note("look", "question")
        if await context.ask("May it?"):
            await context.step("pay", note, "pay", 6)
        while held():
            await asyncio.sleep(0.1)
        return str(await context.ask("To whom?", choices=["Ann", "Bob"]))
"""

PAID = {
    "confirmation": ["pay 5"],
    "form": ["book 2"],
    "external": [],
    "feedback": [],
    "member": ["pay 5"],
    "nested-member": ["pay 5"],
    "agent-in-step": ["pay 5"],
    "parallel": ["pay 1", "pay 2"],
    "step": [],
    "step-input": [],
    "review": ["pay 9"],
    "route": ["pay 8"],
    "nested-flow": ["pay 4"],
    "plain-step": ["pay 7"],
    "sync": ["pay 3"],
    "question": ["pay 6"],
}
"""What each task calls, once it was approved."""


def answer_to(request: OpenRequest) -> InputAnswer:
    match request.kind:
        case RequestKind.UserInput:
            value: Any = {"seats": 2} if request.tool_name else {"who": "Ann"}
        case RequestKind.UserFeedback:
            value = {"Which?": ["left"]}
        case RequestKind.ExternalExecution:
            value = "80 cm"
        case RequestKind.RouteSelection:
            value = "right"
        case RequestKind.Question if request.choices:
            value = "Bob"
        case _:
            return InputAnswer(id=request.id, approve=True)
    return InputAnswer(id=request.id, value=value)


class People:
    """Those who answer: each request by the next of the ways, in any order.

    Args:
        ways: Names of methods, one after the other.
    """

    def __init__(self, engine: Engine, shell: Shell, base: str, chance: random.Random, ways: tuple[str, ...]) -> None:
        self.engine = engine
        self._shell = shell
        self._base = base
        self._chance = chance
        self._ways = itertools.cycle(ways)
        self.given = 0

    async def answer_some(self, most: int = 1000) -> int:
        """Answer what is asked; how much that was."""
        waits = await self.engine.tasks.requests(RequestQuery(limit=1000))
        self._chance.shuffle(waits)
        for request in waits[:most]:
            await getattr(self, next(self._ways))(request.task_id, answer_to(request))
            self.given += 1
        return len(waits[:most])

    async def python(self, task_id: str, answer: InputAnswer) -> None:
        await self.engine.tasks.answer(task_id, [answer])

    async def http(self, task_id: str, answer: InputAnswer) -> None:
        async with httpx.AsyncClient(base_url=self._base, timeout=30) as client:
            body = {"answers": [answer.model_dump(exclude_none=True)]}
            (await client.post(f"/agent-execution/{task_id}/answer", json=body)).raise_for_status()

    async def cli(self, task_id: str, answer: InputAnswer) -> None:
        said = ["--approve"] if answer.approve else ["--value", json.dumps(answer.value)]
        done = await asyncio.to_thread(self._shell.worker, "task", "answer", task_id, answer.id or "", *said)
        assert done.returncode == 0, done.stderr


class Story:
    """Tasks that all wait for people, and the worker that serves them."""

    def __init__(self, engine: Engine, shell: Shell) -> None:
        self.engine = engine
        self._shell = shell
        self.tasks: dict[str, str] = {}
        shell.handlers(HANDLERS)

    async def worker(self) -> Running:
        running = self._shell.start("run", WORKER_CONCURRENCY=str(2 * len(PAID)))
        await running.says("worker ready")
        return running

    async def kill(self, running: Running) -> None:
        assert await asyncio.to_thread(running.end, signal.SIGKILL) == -signal.SIGKILL

    async def create(self) -> None:
        for name in PAID:
            task = await self.engine.tasks.create(NewTask(agent_id=name, input=AgentExecutionInput(text="go")))
            self.tasks[task.id] = name

    async def count(self, status: Status) -> int:
        return (await self.engine.tasks.counts(TaskQuery())).get(status, 0)

    def ledger(self) -> Counter[str]:
        """What was called, by the task's name."""
        path = self._shell.folder / "ledger"
        lines = [line.partition(" ") for line in path.read_text().splitlines()] if path.exists() else []
        return Counter(f"{self.tasks[task_id]} {what}" for task_id, _, what in lines)

    def held(self) -> int:
        """How many tasks have come to the end of their runs."""
        return sum(each.endswith(" held") for each in self.ledger())

    def release(self) -> None:
        (self._shell.folder / "release").touch()

    async def the_end(self, asked: int, *, cut: int = 0) -> None:
        """Every task is completed, every tool was called as often as it was approved, and nothing was asked twice.

        Args:
            asked: How much was asked, and answered.
            cut: How often a call may have been cut off, and made again: what is not in the journal was not completed.
        """
        for task_id, name in self.tasks.items():
            task = await self.engine.tasks.get(task_id)
            assert task.status is Status.Completed, (name, task.status, task.result)
        called = self.ledger()
        for name, calls in PAID.items():
            made = {each: number for each, number in called.items() if each.startswith(f"{name} ")}
            paid = {each: number for each, number in made.items() if each.split(" ")[1] not in ("look", "held")}
            assert paid.keys() == {f"{name} {call}" for call in calls}
            looks = [] if name == "question" else [number for each, number in made.items() if " look " in each]
            assert all(number <= 1 + cut for number in (*paid.values(), *looks)), made
        found = await self.engine.core.rows(
            "select type, data->>'id' as id, data->>'tool_call_id' as call, data->>'tool_name' as tool, task_id"
            " from worker.events where data is not null"
        )
        rows = [each for each in found if each["task_id"] in self.tasks]
        completed = Counter(
            (row["task_id"], row["tool"], row["call"]) for row in rows if row["type"] == Type.ToolCallResult
        )
        assert set(completed.values()) == {1}, "no call is completed twice"
        for kind in (Type.InputRequested, Type.InputReceived):
            told_of = Counter((row["task_id"], row["id"]) for row in rows if row["type"] == kind)
            assert (len(told_of), set(told_of.values())) == (asked, {1}), kind


async def test_whatever_waits_is_asked_and_called_once_whenever_the_worker_dies(
    here: Shell, engine: Engine, start: Start
) -> None:
    story = Story(engine, here)
    serving = await start()
    people = People(engine, here, serving.base, random.Random(7), ("python", "http") * 4 + ("cli",))
    first = await story.worker()
    await story.create()
    await wait_until(lambda: _all(story, Status.Paused), "every task waits for a person", 60)
    await story.kill(first)  # before an answer

    assert await people.answer_some() > len(PAID)
    assert await story.count(Status.Paused) == 0
    second = await story.worker()  # between the answers and what follows from them there was no worker at all

    async def at_the_end() -> bool:
        await people.answer_some()
        return story.held() == len(PAID)

    await wait_until(at_the_end, "every run has come to its end", 60)
    await story.kill(second)  # afterwards
    story.release()
    third = await story.worker()

    async def completed() -> bool:
        await people.answer_some()
        return await _all(story, Status.Completed)

    await wait_until(completed, "every task is completed", 60)
    assert await asyncio.to_thread(third.end) == 0
    await story.the_end(people.given)


async def _all(story: Story, status: Status) -> bool:
    return await story.count(status) == len(PAID)


@pytest.mark.crash
@pytest.mark.timeout(3600)
async def test_people_answer_while_the_worker_dies_at_random_moments(here: Shell, engine: Engine, start: Start) -> None:
    chance = chance_of("people and kill -9")
    story = Story(engine, here)
    serving = await start()
    people = People(engine, here, serving.base, chance, ("python", "http", "cli"))
    story.release()
    kills, rounds = 0, scaled(5)
    for number in range(rounds):
        running = await story.worker()
        story.tasks.clear()
        (here.folder / "ledger").unlink(missing_ok=True)
        await engine.core.rows("delete from worker.tasks")
        await story.create()
        people.given = 0
        deadly = died = chance.randrange(2, 6)
        while not await _all(story, Status.Completed):
            await asyncio.sleep(chance.uniform(0, 1.5))
            await people.answer_some(chance.randrange(1, 6))
            if deadly:
                deadly -= 1
                kills += 1
                await story.kill(running)
                if chance.random() < 0.5:
                    await people.answer_some(chance.randrange(1, 6))
                running = await story.worker()
        await story.the_end(people.given, cut=died)
        await asyncio.to_thread(running.end)
        told(f"round {number + 1}: {people.given} answers, {kills} kills so far")
