"""Handlers made up at random: runs of agents, one after another, side by side, in loops, skipped when they are done.

Each is killed at any of its writes, and what comes of it is compared with the run that was never killed.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from random import Random
from typing import Any, Literal

from agno.agent import Agent
from agno.team import Team
from agno.workflow import Condition, Loop, Parallel, Router, Step, Workflow

from tests.agents.attempts import Effect, Task, current_attempt
from worker.agents.runs.material import Material
from worker.current import idempotency_key
from worker.testing import Call, ScriptedModel

Kind = Literal["agent", "team", "workflow", "agent as a tool", "broadcast", "routes", "agents side by side in a tool"]
Difference = Literal["instructions", "dependencies", "session_state", "tools", "question"]
RunAgent = Callable[..., Awaitable[Any]]

NAMES = (None, None, "ann", "bob", "cy")  # few: several agents share one, with other instructions
KINDS: tuple[Kind, ...] = (
    *("agent", "agent", "agent", "agent", "team", "workflow", "agent as a tool"),
    *("broadcast", "routes", "agents side by side in a tool"),
)
DIFFERENCES: tuple[Difference, ...] = (
    "instructions",
    "instructions",
    "dependencies",
    "session_state",
    "tools",
    "question",
)


@dataclass(frozen=True, slots=True)
class Run:
    """One run of an agent.

    Args:
        number: Tells it from all others of its handler; its agent's instructions and answers name it.
        kind: What is run.
        name: What its agents are called.
        differs_in: What tells its agents from others of their name; with ``question``, it is what they are given.
        tools: How many tool calls each agent makes.
        says: What it is given otherwise; several runs are given the same.
        is_skipped: Whether the handler saves that it is done, and skips it from then on.
    """

    number: int
    kind: Kind
    name: str | None
    differs_in: Difference
    tools: int
    says: str
    is_skipped: bool

    @property
    def given(self) -> str:
        """What it is given."""
        return f"question {self.number}" if self.differs_in == "question" else self.says


@dataclass(frozen=True, slots=True)
class Sequence:
    """Runs one after another."""

    parts: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Gather:
    """Runs side by side, which begin in another order in each attempt."""

    parts: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Repeat:
    """One run several times."""

    part: Run
    times: int


def made_up(random: Random, depth: int = 2) -> Any:
    """A handler."""
    numbers = iter(range(1000))
    return _part(random, depth, numbers)


def _part(random: Random, depth: int, numbers: Iterator[int]) -> Any:
    kind = random.choice(["run", "sequence", "gather", "repeat"]) if depth else "run"
    if kind == "run":
        return _run(random, numbers)
    if kind == "repeat":
        return Repeat(_run(random, numbers), random.randint(2, 3))
    parts = tuple(_part(random, depth - 1, numbers) for _ in range(random.randint(2, 3)))
    return Sequence(parts) if kind == "sequence" else Gather(parts)


def _run(random: Random, numbers: Iterator[int]) -> Run:
    return Run(
        next(numbers),
        random.choice(KINDS),
        random.choice(NAMES),
        random.choice(DIFFERENCES),
        random.randint(0, 2),
        random.choice(["the question", "the question", "another"]),
        random.random() < 0.3,
    )


@dataclass
class World:
    """What handlers do to the world, and what models are asked.

    Args:
        random: Decides how long branches take to begin; another one in each attempt.
    """

    random: Random
    asked: Counter[int | None] = field(default_factory=Counter[int | None])  # calls of models, by attempt
    effects: list[Effect] = field(default_factory=list[Effect])

    def model(self, name: str, tools: int, *, before: Callable[[int], Any] | None = None) -> ScriptedModel:
        """A model that calls the tool so often, and then answers with the agent's own name."""

        def turn(messages: list[Any]) -> Any:
            taken = sum(each.role == "assistant" and not each.from_history for each in messages)
            self.asked[current_attempt()] += 1
            special = before(taken) if before is not None else None
            if special is not None:
                return special
            done = taken - (1 if before is not None else 0)
            return Call("note", {"word": f"{name}.{done}"}) if done < tools else f"<{name}>"

        return ScriptedModel(turn, id="m", before=self._dawdle)

    async def _dawdle(self, _: object) -> None:
        for _turn in range(self.random.randint(0, 3)):
            await asyncio.sleep(0)

    def noter(self, number: str) -> Callable[..., Awaitable[str]]:
        """A tool; ``number`` says whose it is, if that is to tell it from others."""

        async def note(word: str) -> str:
            """Note a word."""
            self.effects.append(Effect(f"{word}{number}", idempotency_key(), current_attempt()))
            await asyncio.sleep(0)
            return f"noted {word}"

        return note

    def agent(self, run: Run, part: str = "") -> Agent:
        """An agent of a run; ``part`` tells it from others of the same run."""
        number = f"{run.number}{part}"

        def if_in(difference: Difference, value: Any) -> Any:
            return value if run.differs_in == difference else None

        return Agent(
            name=run.name and f"{run.name}{part}",
            instructions=if_in("instructions", f"You are number {number}.") or if_in("question", part or None),
            dependencies=if_in("dependencies", {"number": number}),
            session_state=if_in("session_state", {f"number {number}": True}),
            model=self.model(number, run.tools),
            tools=[self.noter(if_in("tools", number) or "")],
            telemetry=False,
        )

    def subject(self, run: Run) -> Any:
        """What a run runs."""
        match run.kind:
            case "agent":
                return self.agent(run)
            case "team":
                return self._team(run)
            case "workflow":
                return self._workflow(run)
            case "agent as a tool":
                return self._outer(run)
            case "broadcast":
                return self._broadcast(run)
            case "routes":
                return self._routes(run)
            case "agents side by side in a tool":
                return self._asking_several(run)

    def _team(self, run: Run) -> Team:
        members: list[Any] = [self.agent(run, "a"), self.agent(run, "b")]
        for index, member in enumerate(members):
            member.id = member.name or f"m{run.number}{index}"

        def leads(taken: int) -> Any:
            if taken:
                return None
            return [Call("delegate_task_to_member", {"member_id": each.id, "task": "your part"}) for each in members]

        model = self.model(f"{run.number}", 0, before=leads)
        return Team(name=run.name, instructions=f"You lead number {run.number}.", model=model, members=members)

    def _workflow(self, run: Run) -> Workflow:
        sides: list[Any] = [
            Step(name="left", agent=self.agent(run, "a")),
            Step(name="right", agent=self.agent(run, "b")),
        ]
        steps: list[Any] = [
            Parallel(*sides, name="both"),
            Loop(name="again", steps=[self.agent(run, "c")], max_iterations=2),
        ]
        return Workflow(name=run.name or f"flow {run.number}", steps=steps)

    def _broadcast(self, run: Run) -> Team:
        def members() -> list[Any]:
            return [self.agent(run, "a"), self.agent(run, "b")]

        def leads(taken: int) -> Any:
            return None if taken else Call("delegate_task_to_members", {"task": "your part"})

        model = self.model(f"{run.number}", 0, before=leads)
        instructions = f"You lead number {run.number}."
        return Team(
            name=run.name, instructions=instructions, model=model, members=members, delegate_to_all_members=True
        )

    def _routes(self, run: Run) -> Workflow:
        judge = self.agent(run, "j")

        async def is_due(step_input: Any) -> bool:
            return bool((await judge.arun(f"due? {step_input.input}")).content)

        async def select(step_input: Any) -> list[Any]:
            await judge.arun(f"which? {step_input.input}")
            return [Step(name="made", agent=self.agent(run, "m")), "inner"]

        last: Any = self.agent(run, "b")
        inner = Workflow(name="inner", steps=[last])
        choices: list[Any] = [Step(name="other", agent=self.agent(run, "o")), Step(name="inner", workflow=inner)]
        condition: Any = Condition(name="if", evaluator=is_due, steps=[self.agent(run, "a")])
        selector: Any = select
        steps = [condition, Router(name="route", selector=selector, choices=choices)]
        return Workflow(name=run.name or f"routes {run.number}", steps=steps)

    def _asking_several(self, run: Run) -> Agent:
        async def ask(question: str) -> str:
            """Ask several agents, whoever answers first."""
            asked = [self.agent(run, part).arun(question) for part in "xyz"]
            said = [str((await each).content) for each in asyncio.as_completed(asked)]
            return " ".join(sorted(said))

        def asks(taken: int) -> Any:
            return Call("ask", {"question": "what?"}) if taken < 2 else None

        model = self.model(f"{run.number}", 0, before=asks)
        return Agent(name=run.name, instructions=f"You ask number {run.number}.", model=model, tools=[ask])

    def _outer(self, run: Run) -> Agent:
        inner = self.agent(run, "i")

        async def ask(question: str) -> str:
            """Ask the inner agent."""
            return str((await inner.arun(question)).content)

        def asks(taken: int) -> Any:
            return None if taken else Call("ask", {"question": "what?"})

        model = self.model(f"{run.number}", 0, before=asks)
        return Agent(name=run.name, instructions=f"You ask number {run.number}.", model=model, tools=[ask])


def handler(task: Task, part: Any, world: World) -> Callable[[RunAgent], Awaitable[Any]]:
    """Make a handler that carries out what was made up.

    Args:
        task: Keeps what the handler saves, as the platform does.
        part: What was made up.
        world: What it is done to.
    """

    async def handle(run_agent: RunAgent) -> Any:
        return await _carry_out(part, run_agent, task, world)

    return handle


async def _carry_out(part: Any, run_agent: RunAgent, task: Task, world: World) -> Any:
    match part:
        case Sequence():
            return [await _carry_out(each, run_agent, task, world) for each in part.parts]
        case Gather():
            return await asyncio.gather(*(_later(each, run_agent, task, world) for each in part.parts))
        case Repeat():
            return [await _carry_out(part.part, run_agent, task, world) for _ in range(part.times)]
        case _:
            return await _run_or_skip(part, run_agent, task, world)


async def _later(part: Any, run_agent: RunAgent, task: Task, world: World) -> Any:
    for _ in range(world.random.randint(0, 30)):
        await asyncio.sleep(0)
    return await _carry_out(part, run_agent, task, world)


async def _run_or_skip(run: Run, run_agent: RunAgent, task: Task, world: World) -> Any:
    key = f"done {run.number}"
    if run.is_skipped and key in task.saved:
        return task.saved[key]
    result = (await run_agent(world.subject(run), Material(run.given))).content
    if run.is_skipped and task.is_alive():
        task.saved[key] = result
    return result


async def resumes_wherever_it_dies(seed: int, *, most_deaths: int) -> int:
    """Carry out a handler that is made up, kill it at every write, and compare with the run that was never killed.

    Args:
        seed: Of what is made up.
        most_deaths: If it has more writes than that, only some of them are its last.

    Returns:
        How often it died.
    """
    part, deaths = made_up(Random(seed)), 0
    whole, world = Task(), World(Random(seed))
    result = await asyncio.wait_for(whole.attempted(handler(whole, part, world)), 20)
    asked = world.asked.total()
    moments = list(range(whole.writes))
    for moment in moments if len(moments) <= most_deaths else sorted(Random(seed).sample(moments, most_deaths)):
        where = f"seed {seed}, dead at write {moment}: {part}"
        again, other = Task(), World(Random(seed * 1000 + moment))
        handle = handler(again, part, other)
        first = await asyncio.wait_for(again.attempted(handle, dies_at=moment), 20)
        if first is not None:  # what is gathered took another order, and fewer writes
            assert first == result, where
            continue
        deaths += 1
        answered, completed = len(again.rows_of("model")), len(_noted(again))
        second = await asyncio.wait_for(again.attempted(handle), 20)
        assert second == result, where
        assert other.asked[again.attempt] == asked - answered, f"{where}: completed calls are not made again"
        repeated = [effect for effect in other.effects if effect.attempt == again.attempt]
        assert len(repeated) == len(world.effects) - completed, f"{where}: nor are completed tools"
        keys = {effect.key for effect in other.effects}
        assert len(keys) == len(world.effects), f"{where}: each call has its key, the same whenever it is made"
        assert again.notes() == [], where
        assert _told(again) == _told(whole), f"{where}: each event once"
    return deaths


def _told(task: Task) -> Counter[str]:
    """The events, but for the ids of calls, which each model makes anew."""
    kept = ("tool_name", "payload", "result", "is_error", "query")
    return Counter(repr((kind, [data.get(name) for name in kept])) for kind, data in task.said())


def _noted(task: Task) -> list[object]:
    return [row for row in task.rows_of("tool") if row["value"].get("tool") == "note"]
