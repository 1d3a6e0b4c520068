"""Programs whose provider gets into one trouble, at any event of any answer; each is a task of a real worker."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from agno.agent import Agent
from agno.team import Team
from agno.tools.function import Function
from agno.workflow import Workflow
from agno.workflow.types import StepInput, StepOutput

from tests.agents.runs import flow
from tests.providers.answers import Fault, Finish, Raw, Refused, Reply, Says
from tests.providers.standin import WIRES, Request, StandIn
from tests.supervisor.stories import Handlers, create
from tests.support import wait_until
from tests.workers import working
from worker import Task, run_agent
from worker.engine.engine import Engine
from worker.testing import Call
from worker.words.events import Note, TaskUpdateEvent
from worker.words.retry import RetryPolicy
from worker.words.statuses import AgentExecutionStatus as Status
from worker.words.statuses import TaskUpdateEventType
from worker.words.tasks import TaskRecord

WHOLE = "The answer is 42."
PIECES = ("The answer ", "is ", "42.")
DRAFT = ("A draft ", "of it.")
LOOK = Says(calls=[Call("look", {}, "c1")])
CHECK = Says(calls=[Call("check", {}, "c1")])
DELEGATE = Says(calls=[Call("delegate_task_to_member", {"member_id": "ann", "task": "t"}, "c2")])

AGAIN = RetryPolicy(attempts=4, base=0.01)
SECONDS = 240.0  # until all tasks of a batch have ended; a busy machine needs a fourth of it
TOOLS = {"boss": "delegate_task_to_member", "ann": "look", "bob": "check"}
"""What tells one who asks from the others: what was said before need not be in a request."""

Question = tuple[str, int]
"""Who asks a model, and how many results of tools it knows by then: what a question is known again by."""


class Program(NamedTuple):
    """What is run, and what it asks in turn.

    Args:
        made: Makes what `run_agent` runs, from a maker of agents.
        questions: What it asks, each with the provider's answer.
        is_streamed: Whether its models' answers come in pieces.
        is_journaled: Whether an attempt goes on from where the one before it ended.
    """

    made: Callable[[Callable[[str], Agent], Any], Any]
    questions: dict[Question, Says]
    is_streamed: bool = True
    is_journaled: bool = True


def _in_one_piece(agent: Callable[[str], Agent], _: Any) -> Workflow:
    async def ask(given: StepInput) -> StepOutput:
        output = await agent("ann").arun(given.get_input_as_string() or "")
        return StepOutput(content=output.content, success=output.status == "COMPLETED")

    return flow(ask)


def _plain(agent: Callable[[str], Agent], _: Any) -> Workflow:
    def ask(given: StepInput) -> StepOutput:
        output = agent("ann").run(given.get_input_as_string() or "")
        return StepOutput(content=output.content, success=output.status == "COMPLETED")

    return flow(ask)


def _plain_stream(agent: Callable[[str], Agent], _: Any) -> Workflow:
    def ask(given: StepInput) -> Iterator[Any]:
        yield from agent("ann").run(given.get_input_as_string() or "", stream=True)

    return flow(ask)


def _team(agent: Callable[[str], Agent], model: Any) -> Team:
    return Team(id="t", name="t", model=model, members=[agent("ann")], telemetry=False)


def _alone(agent: Callable[[str], Agent], _: Any) -> Agent:
    return agent("ann")


def _flow(agent: Callable[[str], Agent], _: Any) -> Workflow:
    return flow(agent("ann"), agent("bob"))


ALONE: dict[Question, Says] = {("ann", 0): LOOK, ("ann", 1): Says(PIECES)}
OF_TEAM: dict[Question, Says] = {
    ("boss", 0): DELEGATE,
    ("ann", 0): LOOK,
    ("ann", 1): Says(DRAFT),
    ("boss", 1): Says(PIECES),
}
OF_FLOW: dict[Question, Says] = {
    ("ann", 0): LOOK,
    ("ann", 1): Says(DRAFT),
    ("bob", 0): CHECK,
    ("bob", 1): Says(PIECES),
}
PROGRAMS: dict[str, Program] = {
    "agent": Program(_alone, ALONE),
    "team": Program(_team, OF_TEAM),
    "workflow": Program(_flow, OF_FLOW),
    "one piece": Program(_in_one_piece, ALONE, is_streamed=False),
    "plain": Program(_plain, ALONE, is_streamed=False),
    "plain stream": Program(_plain_stream, ALONE),
    "bare": Program(_alone, ALONE, is_streamed=False, is_journaled=False),
    "bare stream": Program(_alone, ALONE, is_journaled=False),
}

Kind = Literal[
    "cut", "close", "fail", "delay", "stall", "comments", "refuse", "empty", "unended", "unread", "document", "marked"
]
SILENT: frozenset[Kind] = frozenset({"stall", "comments"})
REFUSALS: dict[str, tuple[int, str]] = {
    "408": (408, "request_timeout"),
    "429": (429, "rate_limit_exceeded"),
    "500": (500, "server_error"),
    "503": (503, "overloaded"),
    "529": (529, "overloaded_error"),
    "quota": (429, "insufficient_quota"),
    "key": (401, "invalid_api_key"),
    "400": (400, "invalid_request_error"),
}
TAKE_NO_DOCUMENT = ("bedrock", "cohere", "litellm", "mistral")  # in place of a stream: their clients say so
BUSY = frozenset({"408", "429", "500", "503", "529"})
"""Of these, those that are charged to the task: a provider is away from the third in a row on."""

AWS = {
    400: "ValidationException",
    401: "UnrecognizedClientException",
    408: "ModelTimeoutException",
    429: "ThrottlingException",
    500: "InternalServerException",
    503: "ServiceUnavailableException",
    529: "ServiceUnavailableException",
}
UNREAD: dict[str, Raw] = {
    "nothing": Raw([b""]),
    "no object": Raw([b"{}"], "application/json"),
    "a page": Raw([b"<html><body>Bad gateway</body></html>"], "text/html"),
}
MARKS: tuple[Finish, ...] = ("length", "content_filter", "context_length")


@dataclass(frozen=True, slots=True)
class Plot:
    """One program in one trouble.

    Args:
        wire: The provider's.
        program: By its name.
        question: Which of its questions, from 0.
        kind: What goes wrong the first time that it is asked.
        at: Before which event of the answer.
        how: Which refusal, which unreadable answer, which reason not to end as a whole.
    """

    wire: str
    program: str
    question: int
    kind: Kind
    at: int = 0
    how: str = ""

    @property
    def asked(self) -> Question:
        """What is answered wrongly."""
        return [*PROGRAMS[self.program].questions][self.question]

    @property
    def answer(self) -> Says:
        """What the whole answer would be."""
        return PROGRAMS[self.program].questions[self.asked]

    @property
    def is_final(self) -> bool:
        """Whether the provider says that it will never answer this."""
        return self.how == "400"

    @property
    def is_withheld(self) -> bool:
        """Whether the provider has kept its answer back before a word was said."""
        return self.how == "content_filter" and not self.answer.text

    def reply(self) -> Reply:
        """The wrong answer."""
        says = self.answer
        match self.kind:
            case "refuse":
                status, code = REFUSALS[self.how]
                return Refused(status, f"no luck: {self.how}", AWS[status] if self.wire == "bedrock" else code)
            case "empty":
                return Says(())
            case "unended":
                return Says(says.text, calls=says.calls, finish=None)
            case "unread":
                return UNREAD[self.how]
            case "document":
                return Raw([json.dumps(WIRES[self.wire].body(says)).encode()], "application/json")
            case "marked":
                finish: Any = self.how
                return Says(says.text[:1], calls=says.calls, finish=finish)
            case _:
                return Says(says.text, calls=says.calls, fault=Fault(self.kind, at=self.at, seconds=0.05))


def plots_of(wire: str, program: str) -> Iterator[Plot]:
    """Every trouble at every event of every answer of a program."""
    told = PROGRAMS[program]
    for question, says in enumerate(told.questions.values()):
        events = len(WIRES[wire].events(says)) if told.is_streamed else 2
        for at in range(events):
            for kind in ("cut", "close", "fail", "delay", "stall", "comments"):
                if told.is_streamed or kind in ("cut", "close", "delay", "stall") or at == 0:
                    yield Plot(wire, program, question, kind, at)
        yield from (Plot(wire, program, question, "refuse", how=each) for each in REFUSALS)
        yield from (Plot(wire, program, question, "unread", how=each) for each in UNREAD)
        yield Plot(wire, program, question, "empty")
        if told.is_streamed:
            yield Plot(wire, program, question, "unended")
            yield Plot(wire, program, question, "document")
        yield from (Plot(wire, program, question, "marked", how=each) for each in MARKS if each in WIRES[wire].finishes)


@dataclass
class Told:
    """A plot while it is told, and what became of it."""

    plot: Plot
    effects: list[str] = field(default_factory=list[str])
    task: TaskRecord | None = None
    events: list[TaskUpdateEvent] = field(default_factory=list[TaskUpdateEvent])

    def __post_init__(self) -> None:
        self.server = StandIn(WIRES[self.plot.wire], self._script)
        self.asked: Counter[Question] = Counter()

    async def run(self, task: Task) -> Any:
        """What its handler does."""
        model, name = self.server.model(), self.plot.program
        made = PROGRAMS[name].made(lambda who: self._agent(who, model), model)
        if name == "bare":
            return await made.arun(task.input.text)
        if name == "bare stream":
            return await self._streamed(made.arun(task.input.text, stream=True))
        return await run_agent(made, task)

    async def _streamed(self, items: AsyncIterator[Any]) -> str:
        """Pass on the text alone, as a handler does that knows nothing of Agno's other events."""
        return "".join([each.content or "" async for each in items if each.event == "RunContent"])

    def _agent(self, who: str, model: Any) -> Agent:
        def used() -> str:
            self.effects.append(who)
            return "seen"

        tool = Function(name=TOOLS[who], description="Use it.", entrypoint=used)
        return Agent(id=who, name=who, model=model, tools=[tool], telemetry=False)

    def _script(self, _: int, request: Request) -> Reply:
        said = json.dumps(request.body.get("tools") or request.body.get("toolConfig"))
        who = next(each for each, tool in TOOLS.items() if f'"{tool}"' in said)
        asked = (who, request.results)
        self.asked[asked] += 1
        if asked == self.plot.asked and self.asked[asked] == 1:
            return self.plot.reply()
        return PROGRAMS[self.plot.program].questions[asked]

    # what has to hold

    def wrongs(self) -> list[str]:
        """What does not hold: a result is whole or marked, what passes does not end a task, nothing is done twice."""
        assert self.task is not None
        return [f"{self.plot}: {each} ({self._seen()})" for each in (*self._of_the_end(), *self._of_the_calls())]

    def _of_the_end(self) -> Iterator[str]:
        task, plot = self.task, self.plot
        assert task is not None
        is_whole = task.result == WHOLE and task.finish_reason in (None, "stop")
        if task.status is Status.Completed:
            if not is_whole and not self._is_marked():
                yield "completed with less than what is whole, and not marked"
            if plot.is_final and plot.program != "team":
                yield "completed though its question was refused for good"
            if plot.is_final and plot.program == "team" and plot.asked[0] == "ann" and not self._notes("missing"):
                yield "nobody says that the member is missing"
            if not plot.is_final and plot.kind != "marked" and not is_whole:
                yield "not whole, though it could have been"
            streamed = "".join(str(each.data) for each in self._since_discard() if each.type == "chunk")
            if plot.program == "agent" and is_whole and streamed != WHOLE:
                yield f"the text that was streamed is {streamed!r}"
        elif task.status is not Status.Error or not task.result or not task.error_code:
            yield f"ended as {task.status} with {task.result!r} and the code {task.error_code}"
        elif not plot.is_final and not plot.is_withheld:
            yield "a failure that passes has ended it"

    def _of_the_calls(self) -> Iterator[str]:
        plot, program = self.plot, PROGRAMS[self.plot.program]
        again = [each for each, times in self.asked.items() if times > 1 and each != plot.asked]
        if program.is_journaled and again:
            yield f"asked again: {again}"
        if self.asked[plot.asked] > 2:
            yield f"asked {self.asked[plot.asked]} times"
        is_busy = plot.kind == "refuse" and plot.how in BUSY
        if is_busy and self.asked[plot.asked] > 1 and self.task is not None and not self.task.errors:
            yield "a client has tried again by itself"
        repeated = [who for who, times in Counter(self.effects).items() if times > 1]
        if program.is_journaled and repeated:
            yield f"tools called again: {repeated}"
        if plot.kind == "document" and plot.wire not in TAKE_NO_DOCUMENT and self.asked[plot.asked] > 1:
            yield "a whole answer is asked for again"
        if plot.program == "workflow" and plot.asked[0] == "ann" and plot.is_final and self.asked[("bob", 0)]:
            yield "the next step works on what a failed one left"
        if plot.kind == "delay" and self.task is not None and self.task.errors:
            yield "an answer that is late is no error"

    def _is_marked(self) -> bool:
        assert self.task is not None
        return self.plot.kind == "marked" and (
            self.task.finish_reason == self.plot.how or bool(self._notes("incomplete"))
        )

    def _notes(self, kind: str) -> list[str]:
        return [each.data.text for each in self.events if isinstance(each.data, Note) and each.data.kind == kind]

    def _since_discard(self) -> list[TaskUpdateEvent]:
        last = max(
            (n for n, each in enumerate(self.events) if isinstance(each.data, Note) and each.data.kind == "discard"),
            default=-1,
        )
        return self.events[last + 1 :]

    def _seen(self) -> str:
        task = self.task
        assert task is not None
        return (
            f"{task.status} {task.error_code} {task.finish_reason} errors={task.errors} {task.result!r:.300}"
            f" asked={dict(self.asked)} effects={self.effects}"
        )


async def wrongs_of(plots: Sequence[Plot], engine: Engine, handlers: Handlers, *, at_once: int) -> list[str]:
    """Tell plots to their ends, on a worker that runs several at once; what does not hold."""
    told = [Told(each) for each in plots]

    async def handler(task: Task) -> Any:
        return await told[int(str(task.input.text))].run(task)

    handlers.bind(handler, retries=AGAIN)
    places = asyncio.Semaphore(at_once)

    async def tell(number: int, one: Told) -> None:
        async with places:
            with one.server:
                record = await create(engine, text=str(number), events_streaming=True)

                async def has_ended() -> bool:
                    one.task = await engine.tasks.get(record.id)
                    return one.task.status.is_terminal

                await wait_until(has_ended, f"the end of {one.plot}", SECONDS)
                await one.server.close_clients()
            async with aclosing(engine.tasks.events(record.id)) as events:
                async for event in events:
                    one.events.append(event)
                    if event.type is TaskUpdateEventType.TaskFinished:
                        break

    # plain code leaves a thread behind for every model that falls silent, and a worker with many of those leaves
    async with working(engine, handlers, concurrency=at_once, hung_threads=1_000):
        await asyncio.gather(*(tell(number, each) for number, each in enumerate(told)))
    return [wrong for each in told for wrong in each.wrongs()]
