"""How tools resume: answered from the journal, or called again for the state that they keep in the process."""

import asyncio
import threading
from pathlib import Path
from typing import Any

import pytest
from agno.agent import Agent
from agno.db.sqlite import SqliteDb
from agno.exceptions import ModelProviderError, RunCancelledException
from agno.fs import FileSystem
from agno.tools import Toolkit

from tests.agents.attempts import Task
from tests.agents.runs import Runner
from worker import declare_tool
from worker.agents.errors import AgentFailed
from worker.agents.tools import tools
from worker.testing import Call, ScriptedModel
from worker.words.classification import classify
from worker.words.errors import ValidationError


@pytest.fixture(autouse=True)
def nothing_declared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tools, "_declared", {})
    monkeypatch.setattr(tools, "_kept", [])


class Notebook(Toolkit):
    """Keeps what is written into it."""

    def __init__(self) -> None:
        self.cells: list[str] = []
        super().__init__(name="notebook", tools=[self.write, self.read])

    def write(self, text: str) -> str:
        """Write."""
        self.cells.append(text)
        return f"cell {len(self.cells)}"

    def read(self) -> str:
        """Read."""
        return " ".join(self.cells) or "empty"


async def resumed(make: Any, *, calls: tuple[Call, ...] = ()) -> tuple[str, list[str]]:
    """What an agent reads that has written twice, and was then cut off; and the notes."""
    task, failing = Task(), [ModelProviderError("busy", 503)]
    calls = calls or (Call("write", {"text": "a"}), Call("write", {"text": "b"}), Call("read"))

    def turn(messages: list[Any]) -> Any:
        taken = sum(each.role == "assistant" for each in messages)
        if taken == 2 and failing:
            raise failing.pop()
        return [*calls, str(messages[-1].content)][taken]

    async def handle(run_agent: Any) -> str:
        return (await run_agent(Agent(name="ann", model=ScriptedModel(turn), tools=make()))).content

    with pytest.raises(AgentFailed):
        await task.attempted(handle)
    return await task.attempted(handle), [event.data["text"] for event in task.events if event.type == "note"]


async def test_a_note_says_which_toolkit_may_miss_its_state() -> None:
    read, (note,) = await resumed(lambda: [Notebook()])
    assert read == "empty"
    assert note == (
        "Notebook may keep state in the process. Its earlier calls were answered from the journal, so that state is"
        " now missing. If it is needed, use declare_tool(…, resume='redo')."
    )


async def test_nothing_is_said_of_a_toolkit_of_agnos_that_only_keeps_a_lock(tmp_path: Path) -> None:
    files = FileSystem(SqliteDb(db_file=str(tmp_path / "agno.db")))
    file = {"path": "notes.md"}
    more = Call("append_file", {**file, "content": "b"})
    calls = Call("append_file", {**file, "content": "a"}), more, Call("read_file", file)
    read, notes = await resumed(lambda: [files.tools()], calls=calls)
    assert read.split() == ["1", "a", "2", "b"]
    assert notes == []


@pytest.mark.parametrize("what", ["a class", "the toolkit", "its name", "a method", "a tool's name"])
async def test_a_tool_that_is_declared_to_be_redone_finds_its_state(what: str) -> None:
    made = Notebook()
    declared: Any = {
        "a class": Notebook,
        "the toolkit": made,
        "its name": "notebook",
        "a method": made.write,
        "a tool's name": "write",
    }
    declare_tool(declared[what], resume="redo")
    made_before = [made]

    def make() -> list[Any]:
        if what in ("the toolkit", "a method"):  # the same object, as after a retry in one process
            made.cells.clear()
            return made_before
        return [Notebook()]

    assert await resumed(make) == ("a b", [])


async def test_a_toolkit_that_is_declared_to_be_journaled_says_nothing() -> None:
    declare_tool(Notebook, resume="journal")
    assert await resumed(lambda: [Notebook()]) == ("empty", [])


async def test_a_function_is_redone_if_it_says_so() -> None:
    cells: list[str] = []

    def write(text: str) -> str:
        """Write."""
        cells.append(text)
        return "written"

    def read() -> str:
        """Read."""
        return " ".join(["written:", *cells])

    def make() -> list[Any]:
        cells.clear()  # as in a new process
        return [write, read]

    assert await resumed(make) == ("written:", []), "nobody can see what a plain function keeps"
    declare_tool(write, resume="redo")
    assert await resumed(make) == ("written: a b", [])


def test_another_word_is_refused() -> None:
    with pytest.raises(ValidationError, match="resume must be 'journal' or 'redo', not 'again'"):
        declare_tool("write", resume="again")  # pyright: ignore[reportArgumentType] - which is what is tried


class Wordless:
    """What a tool gives back that has no text."""

    def __str__(self) -> str:
        raise ValueError("no words")


def wordless() -> Wordless:
    """Answer."""
    return Wordless()


def cancelling() -> str:
    """Answer."""
    raise RunCancelledException("enough")


@pytest.mark.parametrize(("tool", "text"), [(wordless, "no words"), (cancelling, "enough")])
async def test_a_tool_whose_failure_ends_the_run_is_named_by_the_errors_code(
    running: Runner, tool: Any, text: str
) -> None:
    with pytest.raises(AgentFailed, match=text) as caught:
        await running(Agent(model=ScriptedModel([Call(tool.__name__), "done"]), tools=[tool]))
    known = classify(caught.value)
    assert (known.code, known.is_retryable) == ("tool", False)
    assert [(each["is_error"], each["result"]) for each in running.log.data("tool_call_result")] == [(True, text)]


def calling(name: str, times: int) -> ScriptedModel:
    """A model that calls a tool so often, each time with another number."""
    return ScriptedModel([*(Call(name, {"number": each}) for each in range(times)), "done"])


def results(task: Any) -> list[tuple[bool, str]]:
    return [(each.data["is_error"], each.data["result"]) for each in task.events if each.type == "tool_call_result"]


BEYOND = "Limit of calls of count reached (2). Tool call not executed. Don't try to execute it again."


async def test_a_tool_is_called_as_often_as_it_may_whatever_the_attempt() -> None:
    task, failing, made = Task(), [ModelProviderError("busy", 503)], list[int]()

    def count(number: int) -> str:
        """Count."""
        made.append(number)
        return "counted"

    def turn(messages: list[Any]) -> Any:
        taken = sum(each.role == "assistant" for each in messages)
        if taken == 1 and failing:
            raise failing.pop()
        return Call("count", {"number": taken}, f"call-{taken}") if taken < 4 else "done"

    async def handle(run_agent: Any) -> str:
        return (await run_agent(Agent(name="ann", model=ScriptedModel(turn), tools=[count]))).content

    declare_tool("count", calls=2)
    with pytest.raises(AgentFailed):
        await task.attempted(handle)
    assert await task.attempted(handle) == "done"
    assert made == [0, 1]
    assert results(task) == [(False, "counted")] * 2 + [(True, BEYOND)] * 2


async def test_an_agent_that_goes_on_asking_for_a_tool_beyond_its_limit_has_to_answer(running: Runner) -> None:
    def count(number: int) -> str:
        """Count."""
        return "counted"

    def turn(messages: list[Any]) -> Any:
        taken = sum(each.role == "assistant" for each in messages)
        return Call("count", {"number": taken}) if model.requests[-1].tools else "as far as I came"

    declare_tool("count", calls=2)
    model = ScriptedModel(turn)
    output = await running(Agent(model=model, tools=[count]))
    assert output.content == "as far as I came"
    assert [bool(each.tools) for each in model.requests] == [True] * 5 + [False]
    assert "the limit on tool calls was reached (tool_limit)" in running.log.data("note")[-1]["text"]


async def test_one_whose_arguments_differ_each_time_has_to_answer_too(running: Runner) -> None:
    def seek(x: int) -> str:
        """Seek."""
        return f"not at {x}"

    def turn(messages: list[Any]) -> Any:
        return Call("seek", {"x": len(messages)}) if model.requests[-1].tools else "Nowhere."

    model = ScriptedModel(turn)
    ran = await running(Agent(model=model, tools=[seek]))
    assert ran.content == "Nowhere."
    assert len(model.requests) == 200 + 1
    assert "the limit on tool calls was reached" in running.log.data("note")[-1]["text"]


async def test_its_own_limit_counts_before_the_settings(running: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKER_TOOL_CALLS", "2")
    model = ScriptedModel([*[Call("seek", {"x": n}) for n in range(4)], "done"])

    def seek(x: int) -> str:
        """Seek."""
        return f"not at {x}"

    await running(Agent(model=model, tools=[seek], tool_call_limit=4))
    assert len(model.requests) == 5
    assert not running.log.data("note")


async def test_each_run_of_an_agent_has_the_limit_for_itself(running: Runner) -> None:
    def count(number: int) -> str:
        """Count."""
        return "counted"

    declare_tool(count, calls=2)
    for _ in range(2):
        await running(Agent(model=calling("count", 2), tools=[count]))
    assert not any(each["is_error"] for each in running.log.data("tool_call_result"))


TOO_LONG = (True, "wait took longer than 0.05 s and was ended.")


def waiting(kind: str) -> tuple[Any, threading.Event]:
    """A tool that takes too long, and what lets it go."""
    release = threading.Event()

    def wait(number: int) -> str:
        """Wait."""
        release.wait(10)
        return "waited"

    async def wait_async(number: int) -> str:
        """Wait."""
        await asyncio.Event().wait()
        return "waited"

    async def wait_between(number: int) -> Any:
        """Wait."""
        yield "first"
        await asyncio.Event().wait()

    def plainly(number: int) -> Any:
        """Wait."""
        yield "first"
        release.wait(10)

    made: Any = {"plain": wait, "async": wait_async, "generator": wait_between, "plain generator": plainly}[kind]
    made.__name__ = "wait"
    return made, release


@pytest.mark.parametrize("kind", ["plain", "async", "generator", "plain generator"])
async def test_a_call_that_takes_too_long_is_an_error_for_the_model(running: Runner, kind: str) -> None:
    wait, release = waiting(kind)
    declare_tool("wait", seconds=0.05)
    model = calling("wait", 1)
    try:
        assert (await running(Agent(model=model, tools=[wait]))).content == "done"
    finally:
        release.set()
    assert [(each["is_error"], each["result"]) for each in running.log.data("tool_call_result")] == [TOO_LONG]
    assert model.requests[-1].messages[-1].content == TOO_LONG[1]


@pytest.mark.parametrize("kind", ["plain", "plain generator"])
async def test_plain_runs_keep_the_limits(running: Runner, kind: str) -> None:
    wait, release = waiting(kind)
    inner = calling("wait", 2)
    declare_tool("wait", seconds=0.05, calls=1)

    def ask() -> str:
        """Ask."""
        return str(Agent(name="inner", model=inner, tools=[wait]).run("?").content)

    try:
        await running(Agent(model=ScriptedModel([Call("ask"), "done"]), tools=[ask]))
    finally:
        release.set()
    told = [each.content for each in inner.requests[-1].messages if each.role == "tool"]
    assert told == [TOO_LONG[1], BEYOND.replace("count", "wait").replace("2", "1")]


async def test_a_tools_own_timeout_is_its_own(running: Runner) -> None:
    async def wait(number: int) -> str:
        """Wait."""
        raise TimeoutError("the other side is slow")

    declare_tool("wait", seconds=60)
    await running(Agent(model=calling("wait", 1), tools=[wait]))
    assert [each["result"] for each in running.log.data("tool_call_result")] == ["the other side is slow"]


@pytest.mark.parametrize(
    "said",
    [{}, {"calls": 0}, {"calls": 1.5}, {"calls": True}, {"seconds": 0}, {"seconds": float("nan")}, {"seconds": -1}],
)
def test_limits_that_are_none_are_refused(said: Any) -> None:
    with pytest.raises(ValidationError):
        declare_tool("count", **said)


async def test_what_a_second_declaration_leaves_out_stays() -> None:
    declare_tool(Notebook, resume="redo")
    declare_tool(Notebook, calls=9)
    declare_tool("write", seconds=5)
    read, notes = await resumed(lambda: [Notebook()])
    assert (read, notes) == ("a b", [])
