"""Programs like those that Agno's users write, one for each way in which Agno calls models, tools and functions.

What is asked of each stands in ``test_agents_programs.py``. All of it is scripted; what a program does to the world
outlives its process, as a database does.
"""

import asyncio
import itertools
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass, field
from enum import Enum
from functools import cached_property
from pathlib import Path
from typing import Any

from agno.agent import Agent
from agno.approval.decorator import approval
from agno.compaction import Compaction
from agno.db.base import SessionType
from agno.db.sqlite import SqliteDb
from agno.eval.agent_as_judge import AgentAsJudgeEval
from agno.exceptions import ContextWindowExceededError, ModelProviderError, RetryAgentRun
from agno.learn import LearningMachine, SessionContextConfig
from agno.memory import MemoryManager
from agno.models.message import Citations, Message
from agno.models.response import ModelResponse
from agno.run import RunContext
from agno.run.agent import CustomEvent, RunEvent, RunOutput
from agno.session.summary import SessionSummaryManager
from agno.team import Team
from agno.team.mode import TeamMode
from agno.tools import Toolkit, tool
from agno.tools.function import Function, FunctionCall
from agno.tools.reasoning import ReasoningTools
from agno.workflow import Condition, Loop, Parallel, Router, Step, StepInput, StepOutput, Steps, Workflow, WorkflowAgent
from pydantic import BaseModel

from tests.agents.attempts import Effect, current_attempt
from tests.agents.runs import flow
from worker.current import idempotency_key
from worker.testing import Call, ScriptedModel

Turn = Any
"""What ``ScriptedModel`` takes as a turn, or a function from the conversation to one."""


class World:
    """What outlives a process.

    Args:
        folder: Of its database.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.asked: Counter[int | None] = Counter()  # calls of models, by the attempt that made them
        self.failed = 0  # of these calls
        self.busy_at: int | None = None  # the call that finds the provider busy
        self.effects: list[Effect] = []
        self.facts = ["water is wet"]
        self.clock = itertools.count(1)
        self.during: Callable[[], object] = lambda: None

    @cached_property
    def db(self) -> SqliteDb:
        return SqliteDb(db_file=str(self.folder / "agno.db"))

    def model(self, *turns: Turn, name: str = "m", kind: type[ScriptedModel] = ScriptedModel) -> ScriptedModel:
        """A model that takes its turns in each conversation, the last one again and again."""

        def turn(messages: list[Message]) -> Any:
            self.asked[current_attempt()] += 1
            self.during()
            if self.asked.total() == self.busy_at:
                self.failed += 1
                return ModelProviderError("busy", 503)
            taken = sum(each.role == "assistant" and not each.from_history for each in messages)
            said = turns[min(taken, len(turns) - 1)]
            said = said(messages) if callable(said) else said
            self.failed += isinstance(said, Exception)
            return _numbered(said, f"{name}{taken}")

        return kind(turn, id=name)

    def effect(self, what: str) -> None:
        """Something that is not to happen twice."""
        self.effects.append(Effect(what, idempotency_key(), current_attempt()))

    async def note(self, word: str) -> str:
        """Note a word."""
        self.effect(word)
        await asyncio.sleep(0)
        return f"noted {word}"

    def note_in_thread(self, word: str) -> str:
        """Note a word, in plain code."""
        self.effect(word)
        return f"noted {word}"

    def scribe(self, name: str | None, **options: Any) -> Agent:
        """An agent that notes one word and says so."""
        turns = (noting(f"by {name}"), f"{name} is done")
        given: dict[str, Any] = {"tools": [self.note], "model": self.model(*turns, name=name or "scribe")} | options
        return Agent(name=name, telemetry=False, **given)

    def stored(self) -> dict[str, Any]:
        """All that Agno has stored, without times and random ids."""
        if "db" not in self.__dict__:
            return {}
        db: Any = self.db
        sessions: list[Any] = []
        for kind in (SessionType.AGENT, SessionType.TEAM, SessionType.WORKFLOW):
            sessions += db.get_sessions(session_type=kind)
        for each in sessions:  # the database keeps a run's place when it is stored again; nothing reads that order
            each.runs = sorted(each.runs or [], key=lambda run: run.run_id)
        return {
            "sessions": [timeless(each.to_dict()) for each in sessions],
            "memories": sorted({each.memory for each in db.get_user_memories()}),
            "approvals": [each["tool_name"] for each in db.get_approvals()[0]],
            "folds": [timeless(row) for each in sessions for row in self._folds_of(each)],
        }

    def _folds_of(self, session: Any) -> list[dict[str, Any]]:
        """Records of folded history; Agno ignores those that begin at a message of an attempt that was interrupted."""
        known = {each.id for run in session.runs for each in getattr(run, "messages", None) or ()}
        rows: list[dict[str, Any]] = self.db.get_compactions_for_session(session.session_id)
        return [each for each in rows if each["first_kept_message_id"] in known]


TIMES = frozenset(
    {
        "created_at",
        "updated_at",
        "duration",
        "time_to_first_token",
        "timer",
        "start_time",
        "end_time",
        "time",
        "eval_duration",
    }
)
RANDOM_IDS = frozenset(
    {"id", "step_id", "parent_step_id", "child_run_id", "approval_id", "workflow_step_id"}
    | {"compaction_id", "first_kept_message_id"}
)


def timeless(value: Any) -> Any:
    """A stored value without what no two runs have in common."""
    if isinstance(value, dict):
        runs: list[Any] = value.get("step_executor_runs") or []
        runs.sort(key=_run_id)  # they stand in the order in which they ended: that of branches differs between two runs
        for each in runs:  # whether Agno stores one as cancelled is a race of its own
            each.pop("status", None)
        return {key: timeless(each) for key, each in value.items() if key not in TIMES | RANDOM_IDS}
    if isinstance(value, list):
        return [timeless(each) for each in value]
    return value


def _run_id(run: dict[str, Any]) -> str:
    return run["run_id"]


def _numbered(turn: Any, name: str) -> Any:
    """The same turn with ids of its calls that follow from where it stands."""
    if isinstance(turn, Call):
        return Call(turn.tool, turn.arguments, turn.id or f"{name}.0")
    if isinstance(turn, list):
        return [
            Call(each.tool, each.arguments, each.id or f"{name}.{index}") if isinstance(each, Call) else each
            for index, each in enumerate(turn)
        ]
    return turn


def noting(word: str) -> Call:
    return Call("note", {"word": word})


def delegate(member: str, work: str = "your part") -> Call:
    return Call("delegate_task_to_member", {"member_id": member, "task": work})


def last_said(messages: list[Message]) -> str:
    """What the last message says."""
    return str(messages[-1].content)


def given(messages: list[Message]) -> str:
    """What the agent was given."""
    return next(str(each.content) for each in messages if each.role == "user")


def once(first: Turn, later: Turn) -> Callable[[list[Message]], Turn]:
    """A turn that is another one the first time."""
    turns = [first]

    def turn(_: list[Message]) -> Turn:
        return turns.pop() if turns else later

    return turn


@dataclass(frozen=True, slots=True)
class Program:
    """A program.

    Args:
        make: Makes the agent, team or workflow as one process has it.
        notes: Kinds of notes that a retry may leave.
        wishes: Of the task.
    """

    make: Callable[[World], Any]
    notes: frozenset[str] = frozenset()
    wishes: dict[str, Any] = field(default_factory=dict[str, Any])

    @property
    def name(self) -> str:
        return self.make.__name__


PROGRAMS: list[Program] = []


def program(**options: Any) -> Callable[[Callable[[World], Any]], Callable[[World], Any]]:
    def add(make: Callable[[World], Any]) -> Callable[[World], Any]:
        PROGRAMS.append(Program(make, **options))
        return make

    return add


# agents


@program()
def tools_on_the_loop_and_in_threads(world: World) -> Agent:
    in_thread = Call("note_in_thread", {"word": "b"})
    return world.scribe(
        "ann",
        model=world.model(noting("a"), [noting("b"), in_thread], in_thread, "all noted"),
        tools=[world.note, world.note_in_thread],
    )


@program()
def tools_that_yield(world: World) -> Agent:
    def count_up(to: int) -> Iterator[str]:
        """Count."""
        world.effect("counted")
        yield from map(str, range(to))

    async def count_down(start: int) -> AsyncIterator[str]:
        """Count."""
        world.effect("counted down")
        for each in range(start, 0, -1):
            yield str(each)

    turns = Call("count_up", {"to": 3}), Call("count_down", {"start": 3}), last_said
    return Agent(model=world.model(*turns), tools=[count_up, count_down])


@dataclass
class Progress(CustomEvent):
    """How far a tool is."""

    percent: int = 0


@program()
def a_tool_that_yields_events(world: World) -> Agent:
    async def ship(number: int) -> AsyncIterator[Any]:
        """Ship."""
        world.effect(f"shipped {number}")
        yield Progress(percent=50, created_at=1)  # what is said of it is its result
        yield f"shipped {number}"

    def unload(number: int) -> Iterator[Any]:
        """Unload, in plain code."""
        world.effect(f"unloaded {number}")
        yield f"unloading {number}, "
        yield Progress(percent=90, created_at=2)

    turns = Call("ship", {"number": 1}), Call("ship", {"number": 2}), Call("unload", {"number": 3}), last_said
    others = [each for each in RunEvent if each is not RunEvent.custom_event]
    stored: dict[str, Any] = {"db": world.db, "store_events": True, "events_to_skip": others}
    return Agent(id="harbor", model=world.model(*turns), tools=[ship, unload], **stored)


@program()
def a_tool_whose_result_is_shown_beside_events(world: World) -> Agent:
    async def ship(number: int) -> AsyncIterator[Any]:
        """Ship."""
        yield Progress(percent=50, created_at=1)  # is not shown
        world.effect(f"shipped {number}")
        yield f"shipped {number}. "

    turns = Call("ship", {"number": 1}), Call("ship", {"number": 2}), "done"
    return Agent(id="harbor", model=world.model(*turns), tools=[tool(show_result=True)(ship)], db=world.db)


@program()
def a_tool_that_calls_tools_in_threads(world: World) -> Agent:
    async def work() -> str:
        """Work, as Agno's CodeMode does."""
        said: list[str] = []
        for word in ("one", "two", "two"):
            call = FunctionCall(function=Function.from_callable(world.note_in_thread), arguments={"word": word})
            said.append(str((await asyncio.to_thread(call.execute)).result))
        return ", ".join(said)

    return Agent(model=world.model(Call("work"), Call("work"), last_said), tools=[work])


@program()
def an_agent_as_a_tool(world: World) -> Agent:
    inner = world.scribe("inner")

    async def ask(question: str) -> str:
        """Ask."""
        return str((await inner.arun(question)).content)

    turns = Call("ask", {"question": "one"}), Call("ask", {"question": "two"}), "asked"
    return Agent(name="outer", model=world.model(*turns), tools=[ask])


@program()
def a_team_and_a_workflow_as_tools(world: World) -> Agent:
    crew = Team(name="crew", model=world.model(delegate("ann"), "crew", name="crew"), members=[world.scribe("ann")])
    sides: list[Any] = [world.scribe(None), world.scribe("cy")]
    inner = flow(world.scribe("bob"), Parallel(*sides, name="both"), name="inner")

    async def ask_team(question: str) -> str:
        """Ask."""
        return str((await crew.arun(question)).content)

    async def ask_flow(question: str) -> str:
        """Ask."""
        ran: Any = await inner.arun(input=question)
        return str(ran.content)

    turns = [Call("ask_team", {"question": "who?"}), Call("ask_flow", {"question": "who?"})], last_said
    return Agent(name="outer", db=world.db, model=world.model(*turns), tools=[ask_team, ask_flow])


@program()
def an_agent_as_a_tool_in_a_thread(world: World) -> Agent:
    inner = world.scribe("inner", model=world.model(Call("note_in_thread", {"word": "a"}), "done", name="inner"))
    inner.tools = [world.note_in_thread]

    def ask(question: str) -> str:
        """Ask."""
        return str(inner.run(question).content)

    return Agent(name="outer", model=world.model(Call("ask", {"question": "one"}), "asked"), tools=[ask])


@program()
def agents_in_a_pool_of_threads_that_have_the_context(world: World) -> Agent:
    model = world.model(Call("note_in_thread", {"word": "a"}), "done", name="inner")
    inner = world.scribe("inner", model=model, tools=[world.note_in_thread])

    def ask(question: str) -> str:
        """Ask."""
        with ThreadPoolExecutor(2) as pool:
            asked = [pool.submit(copy_context().run, inner.run, f"{question} {each}") for each in range(2)]
            return " ".join(str(each.result().content) for each in asked)

    return Agent(name="outer", model=world.model(Call("ask", {"question": "who?"}), "asked"), tools=[ask])


@program()
def an_agent_on_an_event_loop_of_a_tools_own(world: World) -> Agent:
    inner = world.scribe("inner")

    async def streamed(question: str) -> str:
        return "".join([str(each.content) async for each in inner.arun(question, stream=True)])

    def ask(question: str) -> str:
        """Ask."""
        return f"{asyncio.run(inner.arun(question)).content}, {asyncio.run(streamed(f'{question} again'))}"

    def ask_model(question: str) -> str:
        """Ask."""
        messages = [Message(role="user", content=question)]
        return str(asyncio.run(world.model("direct", name="direct").aresponse(messages)).content)

    tools: list[Any] = [ask, ask_model]
    return Agent(
        name="outer",
        db=world.db,
        model=world.model(Call("ask", {"question": "who?"}), Call("ask_model", {"question": "who?"}), last_said),
        tools=tools,
    )


@program()
def a_tool_that_passes_on_an_agents_events(world: World) -> Agent:
    inner = world.scribe("inner")

    async def update(instruction: str) -> AsyncIterator[Any]:
        """Change the wiki."""
        async for event in inner.arun(instruction, stream=True, stream_events=True):
            yield event

    return Agent(model=world.model(Call("update", {"instruction": "add a line"}), "done"), tools=[update])


@program()
def agents_asked_side_by_side_by_one_tool(world: World) -> Agent:
    async def ask_all(question: str) -> str:
        """Ask."""
        answers = await asyncio.gather(*(world.scribe(None).arun(f"{question} {each}") for each in range(3)))
        return " ".join(str(each.content) for each in answers)

    return Agent(name="outer", model=world.model(Call("ask_all", {"question": "who?"}), "asked"), tools=[ask_all])


@program()  # agno asks a factory for tools at the beginning of each run
def tools_from_a_factory(world: World) -> Agent:
    def tools(run_context: RunContext) -> list[Any]:
        del run_context
        world.effect("made")
        return [world.note]

    return Agent(model=world.model(noting("a"), "done"), tools=tools)


@program()
def an_agent_with_a_database_and_a_state(world: World) -> Agent:
    def count(run_context: RunContext) -> str:
        """Count."""
        state = run_context.session_state or {}
        state["count"] += 1
        world.effect("counted")
        return f"now {state['count']}"

    return Agent(
        id="keeper",
        db=world.db,
        model=world.model(Call("count"), noting("a"), Call("count"), last_said),
        tools=[count, world.note],
        session_state={"count": 0},
        add_history_to_context=True,
        add_session_state_to_context=True,
    )


@program()  # hooks run once in each attempt
def hooks_that_change_the_state(world: World) -> Agent:
    def count(run_context: RunContext) -> None:
        world.effect("hook")
        assert run_context.session_state is not None
        run_context.session_state["count"] = run_context.session_state.get("count", 0) + 1

    def before(run_context: RunContext) -> None:
        count(run_context)

    async def after(run_output: RunOutput, run_context: RunContext) -> None:
        count(run_context)
        run_output.content = f"{run_output.content}!"

    return world.scribe("ann", db=world.db, session_state={"count": 0}, pre_hooks=[before], post_hooks=[after])


@program()  # hooks run once in each attempt
def a_judge_in_a_hook(world: World) -> Agent:
    judge = Agent(name="judge", model=world.model("fine", name="judge"))

    async def judged(run_output: RunOutput) -> None:
        world.effect("judged")
        verdict = await judge.arun(f"Is this good? {run_output.content}")
        run_output.content = f"{run_output.content} ({verdict.content})"

    return world.scribe("ann", post_hooks=[judged])


@program()  # which fences what it judges with a random word
def a_judge_of_agnos_own(world: World) -> Agent:
    verdict = '{"reason": "It is.", "passed": true}'
    judge = AgentAsJudgeEval(
        criteria="It is good.", scoring_strategy="binary", model=world.model(verdict, name="judge"), telemetry=False
    )
    return world.scribe("ann", db=world.db, post_hooks=[judge])


@program()
def hooks_around_tools(world: World) -> Agent:
    async def around(function_name: str, function_call: Callable[..., Any], arguments: dict[str, Any]) -> Any:
        world.effect(f"before {function_name}")
        return f"hooked {await function_call(**arguments)}"

    return world.scribe("ann", tool_hooks=[around])


@program()
def memories_with_a_model_of_their_own(world: World) -> Agent:
    remember = Call("add_memory", {"memory": "likes tea", "topics": ["drinks"]})
    manager = MemoryManager(model=world.model(remember, "remembered", name="memory"), db=world.db)
    return world.scribe("ann", id="ann", db=world.db, user_id="u", memory_manager=manager, update_memory_on_run=True)


@program()
def memories_with_the_agents_model(world: World) -> Agent:
    def turn(messages: list[Message]) -> Any:
        is_memory = "Memory Manager" in str(messages[0].content)
        if last_said(messages).startswith("noted") or messages[-1].role == "tool":
            return "done"
        return Call("add_memory", {"memory": "likes tea", "topics": ["drinks"]}) if is_memory else noting("a")

    return world.scribe("ann", db=world.db, user_id="u", model=world.model(turn), update_memory_on_run=True)


@program()
def summaries_with_a_model_of_their_own(world: World) -> Agent:
    summary = world.model('{"summary": "they talked", "topics": ["talk"]}', name="summary")
    manager = SessionSummaryManager(model=summary)
    return world.scribe("ann", db=world.db, session_summary_manager=manager, enable_session_summaries=True)


@program()
def learning(world: World) -> Agent:
    def turn(messages: list[Message]) -> Any:
        learns = "Session Context" in str(messages[0].content)
        if messages[-1].role == "tool":
            return "done"
        return Call("save_session_context", {"summary": "deploying"}) if learns else noting("a")

    machine = LearningMachine(session_context=SessionContextConfig())
    return world.scribe("ann", id="ann", db=world.db, model=world.model(turn), learning=machine)


@program()
def reasoning_with_a_model_of_its_own(world: World) -> Agent:
    return world.scribe("ann", reasoning_model=world.model("let me think", name="deepseek-reasoner"))


@program()
def reasoning_tools(world: World) -> Agent:
    think = Call("think", {"title": "First", "thought": "look", "action": "look", "confidence": 0.8})
    return world.scribe("ann", model=world.model(think, noting("a"), "done"), tools=[world.note, ReasoningTools()])


@program()
def a_polished_answer(world: World) -> Agent:
    return world.scribe("ann", output_model=world.model("polished", name="polish"))


class Fact(BaseModel):
    name: str
    number: int


@program()
def an_answer_with_a_form(world: World) -> Agent:
    fact = '{"name": "x", "number": 3}'
    return world.scribe("ann", model=world.model(noting("a"), fact), output_schema=Fact)


@program()  # agno streams the text of such an answer
def a_step_whose_answer_lacks_its_form(world: World) -> Workflow:
    ann = world.scribe("ann", model=world.model(noting("a"), "no fact"), output_schema=Fact)

    def look(step_input: StepInput) -> StepOutput:
        return StepOutput(content=f"of the type {type(step_input.previous_step_content)}")

    echo = Agent(name="echo", telemetry=False, model=world.model(given, name="e"))
    return flow(Step(name="first", agent=ann), Step(name="look", executor=look), Step(name="second", agent=echo))


class Color(str, Enum):  # noqa: UP042 - as many programs have it
    red = "r"


@program()
def a_state_with_a_member_of_an_enumeration(world: World) -> Agent:
    def choose(run_context: RunContext) -> Color:
        """Choose."""
        world.effect("chosen")
        assert run_context.session_state is not None
        run_context.session_state |= {"color": Color.red, "by color": {Color.red: 1}}
        return Color.red

    model = world.model(Call("choose"), noting("a"), "done")
    return world.scribe("ann", db=world.db, model=model, tools=[choose, world.note], session_state={})


@program()
def a_parser_with_a_model_of_its_own(world: World) -> Agent:
    parser = world.model('{"name": "x", "number": 3}', name="parser")
    return world.scribe("ann", parser_model=parser, output_schema=Fact)


@program()
def followups(world: World) -> Agent:
    return world.scribe(
        "ann", followups=True, followup_model=world.model('{"suggestions": ["a", "b", "c"]}', name="followup")
    )


@program()
def compressed_tool_results(world: World) -> Agent:
    def turn(messages: list[Message]) -> Any:
        if "compress" in str(messages[0].content).lower():
            return "short"
        taken = sum(each.role == "tool" for each in messages)
        return noting(str(taken)) if taken < 4 else "done"

    return world.scribe("ann", model=world.model(turn), compress_tool_results=True)


@program()
def results_put_aside(world: World) -> Agent:
    def read(page: int) -> str:
        """Read."""
        world.effect(f"read {page}")
        return f"page {page} " * 20_000

    turns = Call("read", {"page": 1}), Call("read", {"page": 2}), "read"
    return Agent(id="reader", db=world.db, model=world.model(*turns), tools=[read], offload_tool_results=True)


@program()
def facts_that_change_in_the_context(world: World) -> Agent:
    dependencies = {"now": lambda: next(world.clock)}
    return world.scribe("ann", dependencies=dependencies, add_dependencies_to_context=True)


@program()
def a_time_in_the_context(world: World) -> Agent:
    return world.scribe("ann", add_datetime_to_context=True, add_name_to_context=True)


@program()
def what_the_run_taught_is_found_again(world: World) -> Agent:
    def teach(fact: str) -> str:
        """Teach."""
        world.effect("taught")
        if fact not in world.facts:
            world.facts.append(fact)
        return "learned"

    def retriever(query: str, num_documents: int | None = None, **_: Any) -> Any:
        del query, num_documents
        return [{"content": each} for each in world.facts]

    search = Call("search_knowledge_base", {"query": "water"})
    return Agent(
        id="teacher",
        db=world.db,
        model=world.model(Call("teach", {"fact": "fire is hot"}), search, noting("a"), "done"),
        tools=[teach, world.note],
        knowledge_retriever=retriever,
        search_knowledge=True,
        add_knowledge_to_context=True,
    )


class Searching(ScriptedModel):
    """Adds a tool to those that it is given, as OpenAI's models for deep research do."""

    async def ainvoke_stream(self, *args: Any, **kwargs: Any) -> AsyncIterator[ModelResponse]:
        given: list[dict[str, Any]] = kwargs["tools"]
        if not any(each["type"] == "web_search_preview" for each in given):
            given.insert(0, {"type": "web_search_preview"})
        async for each in super().ainvoke_stream(*args, **kwargs):
            yield each


@program()
def a_model_that_adds_a_tool(world: World) -> Agent:
    return Agent(name="ann", model=world.model(noting("a"), "done", kind=Searching), tools=[world.note])


class Citing(ScriptedModel):
    """Gives the lists of sources that it has, also empty ones."""

    async def ainvoke_stream(self, *args: Any, **kwargs: Any) -> AsyncIterator[ModelResponse]:
        async for each in super().ainvoke_stream(*args, **kwargs):
            each.citations = Citations(raw=[], urls=[], documents=[])
            yield each


@program()  # hooks run once in each attempt
def sources_that_are_empty(world: World) -> Agent:
    def add(run_output: RunOutput) -> None:
        world.effect("added")
        assert run_output.citations is not None
        assert run_output.citations.urls is not None
        run_output.content = f"{run_output.content} ({len(run_output.citations.urls)} sources)"

    return Agent(db=world.db, model=world.model("an answer", kind=Citing), post_hooks=[add])


@program()
def answers_from_a_cache(world: World) -> Agent:
    model = world.model(noting("a"), "done")
    model.cache_response, model.cache_dir = True, str(world.folder / "cache")
    return world.scribe("ann", model=model)


@program()
def a_tool_with_a_cache(world: World) -> Agent:
    @tool(cache_results=True, cache_dir=str(world.folder / "tools"))
    def look(number: int) -> str:
        """Look."""
        world.effect("looked")
        return f"saw {number}"

    return Agent(model=world.model(Call("look", {"number": 1}), Call("look", {"number": 1}), "done"), tools=[look])


@program()
def an_approval(world: World) -> Agent:
    @tool(requires_confirmation=True)
    def deploy(where: str) -> str:
        """Deploy."""
        return f"deployed to {where}"

    turns = noting("a"), Call("deploy", {"where": "production"})
    asks: Any = approval
    tools: list[Any] = [asks(deploy), world.note]
    return Agent(id="a", db=world.db, model=world.model(*turns), tools=tools)


@program()
def a_tool_that_asks_for_another_try(world: World) -> Agent:
    def pick(number: int) -> str:
        """Pick."""
        world.effect(f"picked {number}")
        if number < 3:
            raise RetryAgentRun(f"{number} is too small")
        return f"picked {number}"

    return Agent(
        model=world.model(
            Call("pick", {"number": 1}), Call("pick", {"number": 2}), Call("pick", {"number": 3}), "done"
        ),
        tools=[pick],
    )


@program()
def a_tool_that_ends_the_run(world: World) -> Agent:
    @tool(stop_after_tool_call=True)
    def submit(word: str) -> str:
        """Submit."""
        world.effect("submitted")
        return f"submitted {word}"

    model = world.model(noting("a"), Call("submit", {"word": "it"}), "never said")
    return Agent(db=world.db, model=model, tools=[submit, world.note])


@program()
def tools_that_are_none_or_fail(world: World) -> Agent:
    def fail(why: str) -> str:
        """Fail."""
        world.effect("failed")
        raise ValueError(why)

    turns = Call("nothing"), Call("fail", {"why": "why not"}), Call("note", {"wrong": 1}), noting("a"), last_said
    return Agent(model=world.model(*turns), tools=[fail, world.note])


@program()
def a_toolkit(world: World) -> Agent:
    class Pair(Toolkit):
        def __init__(self) -> None:
            super().__init__(name="pair", tools=[self.first], async_tools=[(self.second, "second")])

        def first(self) -> str:
            """First."""
            world.effect("first")
            return "one"

        async def second(self) -> str:
            """Second."""
            world.effect("second")
            return "two"

    return Agent(model=world.model(Call("first"), [Call("second"), Call("first")], "done"), tools=[Pair()])


@program()
def a_run_that_agno_tries_again(world: World) -> Agent:
    model = world.model(noting("a"), once(ModelProviderError("busy", 503), "done"))
    return world.scribe("ann", db=world.db, model=model, retries=2, delay_between_retries=0)


@program()
def a_fallback_model(world: World) -> Agent:
    down = world.model(ModelProviderError("down", 503), name="down")
    return world.scribe("ann", model=down, fallback_models=[world.model(noting("a"), "done", name="fallback")])


@program()
def a_history_of_two_turns(world: World) -> Agent:
    agent = world.scribe("ann", id="ann", db=world.db, add_history_to_context=True)
    if not world.db.get_sessions(session_type=SessionType.AGENT):
        bare = Agent(id="ann", db=world.db, model=ScriptedModel(["hello"]), telemetry=False)
        bare.run("hi", session_id="task-1", run_id="earlier")
    return agent


@program()  # agno stores the fold before the model is asked
def a_history_that_is_folded(world: World) -> Agent:
    compaction = Compaction(
        model=world.model("they greeted each other", name="fold"), compact_at_tokens=40, uncompacted_runs=1
    )
    agent = world.scribe("ann", id="ann", db=world.db, add_history_to_context=True, compaction=compaction)
    if not world.db.get_sessions(session_type=SessionType.AGENT):
        bare = Agent(id="ann", db=world.db, model=ScriptedModel(["hello " * 40]), telemetry=False)
        for number in range(4):
            bare.run("hi", session_id="task-1", run_id=f"earlier-{number}")
    return agent


@program()  # what the provider refuses is folded, and asked again
def a_request_that_is_too_long(world: World) -> Agent:
    def turn(messages: list[Message]) -> Any:
        if len(messages) > 9:
            return ContextWindowExceededError("too long", 400)
        return noting("a") if messages[-1].role == "user" else "done"

    folding = Compaction(model=world.model("they talked", name="fold"), on_context_overflow=True, uncompacted_runs=1)
    agent = world.scribe(
        "ann",
        id="ann",
        db=world.db,
        model=world.model(turn),
        add_history_to_context=True,
        num_history_runs=5,
        compaction=folding,
    )
    if not world.db.get_sessions(session_type=SessionType.AGENT):
        bare = Agent(id="ann", db=world.db, model=ScriptedModel(["hello " * 40]), telemetry=False)
        for number in range(5):
            bare.run("hi", session_id="task-1", run_id=f"earlier-{number}")
    return agent


# teams


@program()
def a_team(world: World) -> Team:
    members: list[Any] = [world.scribe("ann"), world.scribe("bob")]
    return Team(name="crew", model=world.model(delegate("ann"), delegate("bob"), "all done"), members=members)


@program()
def members_at_once(world: World) -> Team:
    members: list[Any] = [world.scribe("ann"), world.scribe("bob")]
    turns = [delegate("ann"), delegate("bob"), delegate("ann", "more")], noting("a"), "all done"
    return Team(name="crew", model=world.model(*turns), members=members, tools=[world.note])


@program()
def members_whose_tools_end_in_another_order(world: World) -> Team:
    async def linger() -> str:
        """Linger."""
        world.effect("lingered")
        for _ in range(50):
            await asyncio.sleep(0)
        return "lingered"

    ann = world.scribe("ann", model=world.model(Call("linger"), "ann is done", name="a"), tools=[linger])
    return Team(
        id="crew",
        db=world.db,
        model=world.model([delegate("ann"), delegate("bob")], "all done"),
        members=[ann, world.scribe("bob")],
    )


@program()
def a_member_that_is_chosen(world: World) -> Team:
    members: list[Any] = [world.scribe("ann"), world.scribe("bob")]
    return Team(name="crew", mode=TeamMode.route, model=world.model(delegate("bob"), "never said"), members=members)


@program()
def a_task_for_all_members(world: World) -> Team:
    members: list[Any] = [world.scribe("ann"), world.scribe("bob")]
    turns = Call("delegate_task_to_members", {"task": "your part"}), noting("a"), "all done"
    model = world.model(*turns)
    return Team(name="crew", mode=TeamMode.broadcast, model=model, members=members, tools=[world.note])


@program()
def a_team_with_a_list_of_tasks(world: World) -> Team:
    def execute(number: int) -> Callable[[list[Message]], Turn]:
        def turn(messages: list[Message]) -> Turn:
            listed = [
                word.strip("[]")
                for each in messages
                if each.role == "tool"
                for word in str(each.content).split()
                if word.startswith("[") and word.endswith("]")
            ]
            return Call("execute_task", {"task_id": list(dict.fromkeys(listed))[number], "member_id": "ann"})

        return turn

    def create(title: str) -> Call:
        return Call("create_task", {"title": title, "description": title, "assignee": "ann"})

    turns = create("one"), create("two"), execute(0), execute(1), Call("mark_all_complete", {"summary": "ok"}), "done"
    return Team(name="crew", mode=TeamMode.tasks, model=world.model(*turns), members=[world.scribe("ann")])


@program()
def a_list_of_tasks_that_the_next_step_is_told(world: World) -> Workflow:
    steps: list[Any] = [
        Step(name="first", team=a_team_with_a_list_of_tasks(world)),
        Step(name="second", agent=world.scribe("bob", add_session_state_to_context=True)),
    ]
    return Workflow(name="flow", steps=steps, session_state={"place": "here"})


@program()
def members_from_a_factory(world: World) -> Team:
    def members(run_context: RunContext) -> list[Any]:
        del run_context
        return [world.scribe("ann"), world.scribe("bob")]

    return Team(name="crew", model=world.model(delegate("ann"), delegate("bob"), "all done"), members=members)


@program()
def members_from_a_factory_that_share_what_they_say(world: World) -> Team:
    members = [world.scribe("AnnLee"), world.scribe("BobRay")]
    turns = [delegate("ann-lee"), delegate("bob-ray")], "all done"
    model = world.model(*turns)
    return Team(name="crew", db=world.db, model=model, members=lambda: members, share_member_interactions=True)


@program()
def a_member_that_answers_for_its_team(world: World) -> Team:
    members: list[Any] = [world.scribe("ann")]
    return Team(name="crew", model=world.model(delegate("ann")), members=members, respond_directly=True)


@program()
def members_that_answer_for_their_team(world: World) -> Team:
    members: list[Any] = [world.scribe("ann"), world.scribe("bob")]
    model = world.model([delegate("ann"), delegate("bob")])
    return Team(id="crew", db=world.db, model=model, members=members, respond_directly=True)


@program()
def a_tool_whose_result_is_shown(world: World) -> Agent:
    shown = tool(show_result=True)(world.note)
    return Agent(name="ann", model=world.model(noting("a"), "done"), tools=[shown])


@program()
def a_failed_tool_whose_result_is_shown(world: World) -> Agent:
    """Agno shows that it has none."""

    def fail() -> str:
        """Fail."""
        world.effect("failed")
        raise ValueError("no such thing")

    return Agent(name="ann", model=world.model(Call("fail"), "done"), tools=[tool(show_result=True)(fail)])


@program()
def a_tool_whose_result_is_shown_although_it_has_none(world: World) -> Agent:
    def say_nothing() -> None:
        """Say nothing."""
        world.effect("said")

    model = world.model(Call("say_nothing"), "done")
    return Agent(name="ann", model=model, tools=[tool(show_result=True)(say_nothing)])


@program()
def a_streamed_tool_whose_result_is_shown(world: World) -> Agent:
    async def count() -> AsyncIterator[str]:
        """Count."""
        for each in ("one, ", "two"):
            world.effect(each)
            yield each

    return Agent(name="ann", model=world.model(Call("count"), "done"), tools=[tool(show_result=True)(count)])


@program()
def a_streamed_tool_whose_result_is_shown_until_it_fails(world: World) -> Agent:
    async def count() -> AsyncIterator[str]:
        """Count."""
        world.effect("counted")
        yield "one, "
        raise ValueError("no such number")

    def count_in_thread() -> Iterator[str]:
        """Count, in plain code."""
        world.effect("counted in a thread")
        yield "two, "
        raise ValueError("no such number")

    tools = [tool(show_result=True)(each) for each in (count, count_in_thread)]
    return Agent(name="ann", model=world.model(Call("count"), Call("count_in_thread"), "done"), tools=tools)


@program()
def members_without_a_name(world: World) -> Team:
    members: list[Any] = [world.scribe(None, model=world.model(noting(each), each, name=each)) for each in "ab"]

    def to(number: int) -> Callable[[list[Message]], Turn]:
        def turn(messages: list[Message]) -> Turn:
            listed = str(messages[0].content).split('id="')[1:]
            return delegate(listed[number].split('"')[0])

        return turn

    return Team(name="crew", model=world.model(to(0), to(1), "all done"), members=members)


@program()
def members_with_a_history(world: World) -> Team:
    member = world.scribe("ann", id="ann", add_history_to_context=True)
    model = world.model(delegate("ann", "one"), delegate("ann", "two"), "all done")
    return Team(id="crew", name="crew", db=world.db, model=model, members=[member], store_member_responses=True)


@program()
def members_that_hear_of_each_other(world: World) -> Team:
    members: list[Any] = [world.scribe("ann"), world.scribe("bob")]
    turns = [delegate("ann"), delegate("bob")], delegate("ann", "again"), "all done"
    model = world.model(*turns)
    return Team(name="crew", db=world.db, model=model, members=members, share_member_interactions=True)


@program()
def a_team_in_a_team(world: World) -> Team:
    inner = Team(name="inner", model=world.model(delegate("bob"), "inner", name="i"), members=[world.scribe("bob")])
    return Team(
        id="outer",
        db=world.db,
        model=world.model(delegate("ann"), delegate("inner"), "all done"),
        members=[world.scribe("ann"), inner],
    )


@program()
def a_team_that_answers_for_its_team(world: World) -> Team:
    inner = Team(name="inner", model=world.model(delegate("bob"), "inner", name="i"), members=[world.scribe("bob")])
    members: list[Any] = [world.scribe("ann"), inner]
    model = world.model([delegate("inner"), delegate("ann")])
    return Team(id="outer", db=world.db, mode=TeamMode.route, model=model, members=members)


@program()
def a_state_that_a_team_shares(world: World) -> Team:
    def count(run_context: RunContext) -> str:
        """Count."""
        assert run_context.session_state is not None
        run_context.session_state["count"] += 1
        return str(run_context.session_state["count"])

    turns = Call("count"), Call("count"), "counted"
    members: list[Any] = [world.scribe("ann", tools=[count], model=world.model(*turns, name="ann"))]
    model = world.model(Call("count"), delegate("ann"), Call("count"), last_said)
    return Team(id="crew", db=world.db, model=model, members=members, tools=[count], session_state={"count": 0})


@program()  # the list is one object for all of them, although each team has a copy of the state
def a_list_that_teams_share(world: World) -> Team:
    async def add(run_context: RunContext, word: str) -> str:
        """Add a word to the list."""
        world.effect(word)
        assert run_context.session_state is not None
        run_context.session_state["words"].append(word)
        return f"added {word}"

    async def count(run_context: RunContext) -> str:
        """Count the words."""
        assert run_context.session_state is not None
        run_context.session_state["seen"] = [*run_context.session_state["words"], "end"]
        return str(len(run_context.session_state["words"]))

    ann = world.scribe("ann", tools=[add], model=world.model(Call("add", {"word": "milk"}), "added", name="ann"))
    inner = Team(name="inner", model=world.model(delegate("ann"), "inner", name="i"), members=[ann])
    model = world.model([delegate("inner"), Call("count")], Call("count"), last_said)
    return Team(id="outer", db=world.db, model=model, members=[inner], tools=[count], session_state={"words": []})


@program()
def a_member_that_fails(world: World) -> Team:
    failing = Agent(name="ann", model=world.model(ModelProviderError("down", 503), name="ann"))
    members: list[Any] = [failing, world.scribe("bob")]
    return Team(name="crew", model=world.model(delegate("ann"), delegate("bob"), "bob did it"), members=members)


# workflows


@program()  # a step that is a function runs once in each attempt
def steps_and_a_function(world: World) -> Workflow:
    def between(step_input: StepInput) -> StepOutput:
        world.effect("between")
        return StepOutput(content=f"({step_input.previous_step_content})")

    steps: list[Any] = [
        Step(name="one", agent=world.scribe("ann")),
        between,
        Step(name="two", agent=world.scribe("bob")),
    ]
    return flow(*steps, db=world.db)


@program()  # a step that is a function runs once in each attempt
def functions_that_change_the_state(world: World) -> Workflow:
    def count(step_input: StepInput, run_context: RunContext) -> StepOutput:
        del step_input
        world.effect("count")
        assert run_context.session_state is not None
        run_context.session_state["count"] += 1
        return StepOutput(content=str(run_context.session_state["count"]))

    steps: list[Any] = [count, world.scribe("ann"), count, world.scribe("bob")]
    return flow(*steps, db=world.db, session_state={"count": 0})


@program()
def a_function_that_calls_an_agent(world: World) -> Workflow:
    agent = world.scribe("ann")

    async def call(step_input: StepInput) -> StepOutput:
        answers = [str((await agent.arun(f"{step_input.input} {each}")).content) for each in range(2)]
        return StepOutput(content=", ".join(answers))

    return flow(Step(name="call", executor=call), world.scribe("bob"))


@program()
def a_plain_function_that_streams_an_agent(world: World) -> Workflow:
    model = world.model(Call("note_in_thread", {"word": "a"}), "ann is done", name="ann")
    agent = world.scribe("ann", tools=[world.note_in_thread], model=model)

    def call(step_input: StepInput) -> StepOutput:
        said = [str(each.content or "") for each in agent.run(str(step_input.input), stream=True)]
        return StepOutput(content="".join(said))

    return flow(Step(name="call", executor=call), world.scribe("bob"))


@program()
def a_workflow_that_is_a_function(world: World) -> Workflow:
    agent, other = world.scribe("ann"), world.scribe("bob")

    async def flow(workflow: Workflow, execution_input: Any) -> str:
        del workflow
        first = await agent.arun(execution_input.input)
        return f"{first.content} and {(await other.arun(str(first.content))).content}"

    return Workflow(name="flow", steps=flow)


@program()
def steps_side_by_side(world: World) -> Workflow:
    sides: list[Any] = [Step(name=each, agent=world.scribe(each)) for each in ("ann", "bob", "cy")]
    last = world.scribe("dee", model=world.model(noting("d"), given, name="dee"))
    return flow(Parallel(*sides, name="all"), last, db=world.db)


@program()
def a_function_beside_an_agent(world: World) -> Workflow:
    looked_up = asyncio.Event()

    async def look_up(step_input: StepInput) -> StepOutput:
        await asyncio.sleep(0.02 if (current_attempt() or 0) > 1 else 0)  # then an answered agent is first
        looked_up.set()
        return StepOutput(content=f"{step_input.input} was looked up")

    async def note(word: str) -> str:
        """Note a word."""
        await looked_up.wait()
        return await world.note(word)

    ann = world.scribe("ann", tools=[note])
    sides: list[Any] = [Step(name="look up", executor=look_up), Step(name="ann", agent=ann)]
    last = world.scribe("dee", model=world.model(noting("d"), given, name="dee"))
    return flow(Parallel(*sides, name="all"), last, db=world.db)


@program()
def unnamed_agents_side_by_side(world: World) -> Workflow:
    sides: list[Any] = [
        Agent(instructions=f"You are {each}.", model=world.model(noting(each), each, name=each), tools=[world.note])
        for each in "abc"
    ]
    last = world.scribe("dee", model=world.model(given, name="dee"))
    return flow(Parallel(*sides, name="all"), last)


@program()
def a_loop_and_a_condition(world: World) -> Workflow:
    loop = Loop(name="again", steps=[Step(name="one", agent=world.scribe("ann"))], max_iterations=3)
    yes = Condition(name="if", evaluator=True, steps=[Step(name="yes", agent=world.scribe("bob"))])
    no = Condition(
        name="or",
        evaluator=lambda step_input: step_input.input is None,
        steps=[world.scribe("cy")],
        else_steps=[Step(agent=world.scribe("dee"))],
    )
    return flow(loop, yes, no, Steps(name="both", steps=[world.scribe("ed")]))


@program()  # such functions run once in each attempt
def functions_that_choose_what_follows(world: World) -> Workflow:
    def is_due(step_input: StepInput) -> bool:
        world.effect("due")
        return step_input.input is not None

    async def select(step_input: StepInput) -> list[Any]:
        del step_input
        world.effect("selected")
        return [Step(name="made", executor=made), "two"]

    def made(step_input: StepInput) -> StepOutput:
        del step_input
        world.effect("made")
        return StepOutput(content="made")

    def is_over(outputs: list[StepOutput]) -> bool:
        del outputs
        world.effect("over")
        return False

    def before(run_input: Any) -> None:
        del run_input
        world.effect("before")

    def instructions() -> str:
        world.effect("instructions")
        return "Be brief."

    bob = world.scribe("bob", instructions=instructions, pre_hooks=[before])
    choices: list[Any] = [Step(name="one", agent=world.scribe("ann")), Step(name="two", agent=bob)]
    selector: Any = select
    steps: list[Any] = [Condition(name=each, evaluator=is_due, steps=[world.scribe("cy")]) for each in ("if", "and")]
    loop = Loop(name="again", steps=[world.scribe("dee")], end_condition=is_over, max_iterations=2)
    return flow(*steps, Router(name="route", selector=selector, choices=choices), loop, db=world.db)


@program()
def a_step_that_agno_tries_again(world: World) -> Workflow:
    model = world.model(noting("a"), once(ModelProviderError("busy", 503), "done"), name="ann")
    step = Step(name="one", agent=world.scribe("ann", model=model), max_retries=2)
    return flow(step, world.scribe("bob"), db=world.db)


@program()
def a_router_that_returns_steps(world: World) -> Workflow:
    def select(step_input: StepInput) -> list[Step]:
        del step_input
        return [Step(name="made", agent=world.scribe("ann")), Step(name="too", agent=world.scribe("bob"))]

    choices: list[Any] = [Step(name="other", agent=world.scribe("cy"))]
    selector: Any = select
    return flow(Router(name="route", selector=selector, choices=choices), world.scribe("dee"))


@program()
def a_router_that_returns_a_name(world: World) -> Workflow:
    def select(step_input: StepInput) -> str:
        return "two" if step_input.input else "one"

    choices: list[Any] = [Step(name="one", agent=world.scribe("ann")), Step(name="two", agent=world.scribe("bob"))]
    selector: Any = select
    return flow(Router(name="route", selector=selector, choices=choices))


@program()
def a_history_told_to_the_steps(world: World) -> Workflow:
    steps: list[Any] = [Step(name="one", agent=world.scribe("ann")), Step(name="two", agent=world.scribe("bob"))]
    return flow(*steps, id="flow", db=world.db, add_workflow_history_to_steps=True)


@program()
def a_team_and_a_workflow_as_steps(world: World) -> Workflow:
    crew = Team(name="crew", model=world.model(delegate("ann"), "crew", name="crew"), members=[world.scribe("ann")])
    inner = flow(world.scribe("bob"), name="inner")
    return flow(Step(name="team", team=crew), Step(name="flow", workflow=inner), db=world.db)


@program()  # both store the same session, the inner one first
def a_workflow_with_a_database_in_another(world: World) -> Workflow:
    inner = flow(world.scribe("ann"), world.scribe("bob"), name="inner", db=world.db, metadata={"of": "inner"})
    return flow(Step(name="flow", workflow=inner), world.scribe("cy"), db=world.db)


@program()
def an_agent_that_runs_the_workflow(world: World) -> Workflow:
    agent = WorkflowAgent(model=world.model(Call("run_workflow", {"query": "go"}), "it ran", name="wa"))
    return flow(Step(name="one", agent=world.scribe("ann")), db=world.db, agent=agent)
