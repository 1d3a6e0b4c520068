"""Whatever Agno is used for: killed at any write it goes on from there, and it leaves nothing in the user's objects."""

import asyncio
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from agno.agent import Agent

from tests.agents.attempts import Task
from tests.agents.object_graph import belonging_to_runs
from tests.agents.programs import PROGRAMS, Program, World, a_history_that_is_folded
from tests.support import is_retryable
from worker.agents.errors import AgentFailed
from worker.agents.overrides import HELPERS
from worker.agents.runs.material import RunResult
from worker.testing import Call, ScriptedModel
from worker.words.digests import digest

MAX_DEATHS = 12  # of one program; `make crash` kills it at every write


@pytest.fixture
def worlds(tmp_path: Path) -> Iterator[World]:
    """Makes worlds, each with a database of its own."""

    def make() -> Iterator[World]:
        number = 0
        while True:
            folder = tmp_path / str(number)
            folder.mkdir()
            yield World(folder)
            number += 1

    return make()


def every(programs: list[Program] = PROGRAMS) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("program", programs, ids=lambda each: each.name)


COUNTS_TRIES = {
    "a_run_that_agno_tries_again": ("metrics",),
    "a_request_that_is_too_long": ("metrics", "compaction", "folds"),
}
"""Programs, and where what they store differs: when Agno tries again, it counts what the journal answers a second time.
An attempt that resumes has no such try: its request is answered, or folded later. The task counts what was paid."""


async def carried_out(task: Task, program: Program, world: World, subject: Any = None, **options: Any) -> Any:
    """Make an attempt; with the objects of an earlier one, or with new ones as another process has them."""
    made = program.make(world) if subject is None else subject
    return await asyncio.wait_for(task.attempted(lambda run_agent: run_agent(made), **options), 20)


@every()
async def test_wherever_it_dies_it_goes_on_from_there(program: Program, worlds: Iterator[World]) -> None:
    whole = await never_interrupted(program, worlds)
    for moment in range(0, whole.task.writes, -(-whole.task.writes // MAX_DEATHS)):
        task, world = Task(**program.wishes), next(worlds)
        if await carried_out(task, program, world, dies_at=moment) is None:  # else it had fewer writes this time
            await goes_on(task, program, world, whole, f"dead at write {moment} of {whole.task.writes}")


@every()
async def test_whichever_call_finds_its_provider_busy_the_next_attempt_goes_on_from_there(
    program: Program, worlds: Iterator[World]
) -> None:
    whole = await never_interrupted(program, worlds)
    for number in range(1, whole.world.asked.total() + 1):
        task, world = Task(**program.wishes), next(worlds)
        world.busy_at, subject = number, program.make(world)
        try:
            await carried_out(task, program, world, subject, has_tries=True)
        except (AgentFailed, asyncio.CancelledError) as failed:  # what Agno would pass over ends the attempt at once
            assert isinstance(failed, asyncio.CancelledError) or is_retryable(failed)  # noqa: PT017 - or Agno goes on
            world.busy_at = None
            await goes_on(task, program, world, whole, f"busy at call {number}", subject=subject)


@dataclass(frozen=True, slots=True)
class Whole:
    """What a program comes to when nothing interrupts it."""

    task: Task
    world: World
    result: RunResult
    stored: dict[str, Any]


async def never_interrupted(program: Program, worlds: Iterator[World]) -> Whole:
    task, world = Task(**program.wishes), next(worlds)
    result = await carried_out(task, program, world)
    assert result.tokens.prompt_tokens == 10 * (world.asked.total() - world.failed), "each call is seen, and counted"
    keys = [(each.what, each.key) for each in world.effects]
    assert None not in {key for _, key in keys}, "whatever has an effect has a key"
    assert len(set(keys)) == len(keys), "of its own, but for hooks around a tool, which have its key"
    return Whole(task, world, result, world.stored())


async def goes_on(task: Task, program: Program, world: World, whole: Whole, where: str, *, subject: Any = None) -> None:
    """Carry out the attempt after an interrupted one, and compare."""
    answered, completed = len(task.rows_of("model")), _completed(task)
    result = await carried_out(task, program, world, subject)
    assert (result.content, result.used_tools) == (whole.result.content, whole.result.used_tools), where
    assert result.tokens == whole.result.tokens, where
    asked = world.asked[task.attempt] - (whole.world.asked.total() - answered)
    assert asked <= 0, f"{where}: completed calls are not made again"
    repeated = {effect.key for effect in world.effects if effect.attempt == task.attempt}
    assert repeated.isdisjoint(completed), f"{where}: completed tools are not called again"
    done, wanted = ({(effect.what, effect.key) for effect in each.effects} for each in (world, whole.world))
    assert done == wanted, f"{where}: what is repeated has the same key"
    assert set(task.notes()) <= {"discard", "missing", *program.notes}, where
    counted, found = COUNTS_TRIES.get(program.name, ()), different(world.stored(), whole.stored)
    assert [each for each in found if not any(part in each for part in counted)] == [], where
    assert _events(task) == _events(whole.task), where
    assert Counter(task.text) == Counter(whole.task.text) or "discard" in task.notes(), where


@every()
async def test_a_run_that_has_ended_is_answered_as_a_whole(program: Program, worlds: Iterator[World]) -> None:
    task, world = Task(**program.wishes), next(worlds)
    first = await carried_out(task, program, world)
    asked, effects, stored, log = world.asked.total(), list(world.effects), world.stored(), len(task.log)
    second = await carried_out(task, program, world)
    assert (second.content, second.tokens, second.used_tools) == (first.content, first.tokens, first.used_tools)
    if first.paused is None:
        assert (world.asked.total(), world.effects) == (asked, effects)
    assert different(world.stored(), stored) == []
    assert len(task.log) == log


SHOWN = (
    "lacks_its_form",
    "is_chosen",
    "answers_for_its_team",
    "answer_for_their_team",
    "result_is_shown",
    "passes_on_an_agents",
)
"""Parts of the names of programs in which text comes otherwise than as a model streams it, or as another run's."""


@every([each for each in PROGRAMS if any(part in each.name for part in SHOWN)])
async def test_text_that_one_run_gives_as_anothers_is_emitted_once(program: Program, worlds: Iterator[World]) -> None:
    task, world = Task(events_streaming=True, **program.wishes), next(worlds)
    first = await carried_out(task, program, world)
    log = list(task.log)
    task.rows = {key: row for key, row in task.rows.items() if '"kind":"run"' not in row}  # it dies just before its end
    second = await carried_out(task, program, world)
    assert (second.content, task.log) == (first.content, log)


@every([each for each in PROGRAMS if any(part in each.name for part in SHOWN)])
async def test_no_streamed_text_is_missing_wherever_it_dies(program: Program, worlds: Iterator[World]) -> None:
    whole = Task(events_streaming=True, **program.wishes)
    await carried_out(whole, program, next(worlds))
    for moment in range(whole.writes):
        task, world = Task(events_streaming=True, **program.wishes), next(worlds)
        await carried_out(task, program, world, dies_at=moment)
        await carried_out(task, program, world)
        missing = Counter(whole.text) - Counter(task.text)
        assert not missing, f"dead at write {moment} of {whole.writes}"
        assert "discard" in task.notes() or len(task.text) == len(whole.text), f"dead at write {moment}: twice"


@every()
async def test_one_object_serves_task_after_task_and_keeps_nothing_of_them(
    program: Program, worlds: Iterator[World]
) -> None:
    world, told = next(worlds), []
    subject = program.make(world)
    found: list[str] = []
    world.during = lambda: found.extend(belonging_to_runs(subject))
    models = _models(subject)
    for number in range(2):
        task = Task(id=f"task-{number}", **program.wishes)
        running = task.attempted(lambda run_agent: run_agent(subject))
        result = await asyncio.wait_for(running, 20)
        told.append((result.content, result.tokens, result.used_tools, _events(task)))
        found += belonging_to_runs(subject)
    assert found == []
    assert _models(subject) == models, "Agno hands a model to who has none, for ever"
    if program.name not in DIFFERENT:
        assert told[0] == told[1]


async def test_a_fold_is_stored_once_its_summary_is_journaled(worlds: Iterator[World]) -> None:
    """Else the next attempt would have another summary than the one that is stored."""
    for moment in range(3):
        task, world = Task(), next(worlds)
        await carried_out(task, Program(a_history_that_is_folded), world, dies_at=moment)
        is_stored = bool(world.db.get_compactions_for_session("task-1"))
        assert is_stored is any("they greeted each other" in row for row in task.rows.values())


def _models(owner: Any) -> list[Any]:
    """The models of an agent or team, of its helpers, and of its members."""
    members = getattr(owner, "members", None)
    models = [getattr(each, "model", None) for each in (owner, *(getattr(owner, each, None) for each in HELPERS))]
    own = [id(each) for each in models if each is not None]
    return [own, *(_models(each) for each in (members if isinstance(members, list) else ()))]


DIFFERENT = frozenset(
    {
        "a_history_that_is_folded",  # the second task has another session
        "a_request_that_is_too_long",
        "answers_from_a_cache",  # the second task is answered from it
        "a_tool_with_a_cache",
        "a_team_with_a_list_of_tasks",  # each task has ids of its own for them
        "a_list_of_tasks_that_the_next_step_is_told",
        "results_put_aside",
        "what_the_run_taught_is_found_again",  # the second task finds it
    }
)
"""Programs whose second task is not told the same as the first."""


def _completed(task: Task) -> set[str]:
    """The keys of tool calls that are journaled."""
    places = [(row["scope"], row["at"], row["match"]) for row in task.rows_of("tool") if "redone" not in row["value"]]
    return {f"task-1:{at.split('.', 1)[1]}:{digest([scope, at, match])[:12]}" for scope, at, match in places}


def different(one: Any, another: Any, path: str = "") -> list[str]:
    """Where two stored values differ."""
    if isinstance(one, dict) and isinstance(another, dict):
        keys = [*one, *(each for each in another if each not in one)]
        return [found for key in keys for found in different(one.get(key), another.get(key), f"{path}.{key}")]
    if isinstance(one, list) and isinstance(another, list) and len(one) == len(another):
        pairs = enumerate(zip(one, another, strict=True))
        return [found for index, (mine, theirs) in pairs for found in different(mine, theirs, f"{path}[{index}]")]
    return [] if one == another else [f"{path}: {one!r} is not {another!r}"]


def _events(task: Task) -> Counter[str]:
    kept = ("tool_name", "payload", "result", "is_error", "title", "agent_id", "query", "graph_node_id")
    told = [(kind, {name: data.get(name) for name in kept}) for kind, data in task.said() if kind != "note"]
    return Counter(re.sub(r"created_at=\d+", "created_at", repr(each)) for each in told)  # Agno's, in seconds


async def test_an_agent_within_a_run_remembers_its_own_conversation_and_no_other(worlds: Iterator[World]) -> None:
    world, heard = next(worlds), list[list[str]]()

    def turn(messages: list[Any]) -> str:
        heard.append([str(each.content) for each in messages if each.role == "user"])
        return "noted"

    inner = Agent(name="inner", model=ScriptedModel(turn), db=world.db, add_history_to_context=True)

    async def ask(question: str) -> str:
        """Ask."""
        return str((await inner.arun(question)).content)

    def outer(question: str) -> Agent:
        turns = Call("ask", {"question": f"{question} 1"}), Call("ask", {"question": f"{question} 2"}), "asked"
        return Agent(name="outer", model=ScriptedModel(turns), tools=[ask])

    for name in ("ada", "bob"):
        task = Task(id=f"task-{name}", conversation_id=f"with-{name}")
        await task.attempted(lambda run_agent, name=name: run_agent(outer(name)))
    assert heard == [["ada 1"], ["ada 1", "ada 2"], ["bob 1"], ["bob 1", "bob 2"]]
    assert inner.session_id is None
    sessions = [each["session_id"] for each in world.stored()["sessions"]]
    assert sorted(sessions) == ["with-ada.inner", "with-bob.inner"]
