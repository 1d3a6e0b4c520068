"""Each example does what it says."""

import asyncio
import csv
import io
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest

from tests.examples.conftest import ROOT, Done, Load
from tests.examples.provider import answering
from tests.support import wait_until
from worker import decorators, registry, run_agent
from worker.face.task import Task
from worker.testing import Call, ScriptedModel
from worker.words.statuses import TaskUpdateEventType
from worker.words.tasks import TaskRecord

Serving = Callable[[], AbstractAsyncContextManager[Any]]
DATA = ROOT / "examples" / "data"
FILES = [DATA / "report.pdf", DATA / "chart.png", DATA / "figures.csv"]
DEMO_SECONDS = 60  # it takes five; the machine may be busy


def of_kind(events: list[Any], kind: TaskUpdateEventType) -> list[Any]:
    return [event.data for event in events if event.type is kind]


async def test_hello_greets(load: Load, serving: Serving, done: Done) -> None:
    load("examples/hello.py")
    async with serving():
        task, _ = await done("hello", "Ada")
    assert (task.status, task.result, task.internal_status) == ("completed", "Hello, Ada!", "greeted")


def test_hello_has_about_ten_lines() -> None:
    assert len((ROOT / "examples" / "hello.py").read_text().splitlines()) <= 10


async def test_the_analyst_reads_all_files_and_its_model_calls_the_tool(
    load: Load, serving: Serving, done: Done, monkeypatch: pytest.MonkeyPatch
) -> None:
    load("examples/analyst.py")
    async with answering(("column_summary", {"file_name": "figures.csv"}), "The West |grew most.") as provider:
        monkeypatch.setenv("WORKER_MODEL", "openai-chat:gpt-example-analyst")
        monkeypatch.setenv("OPENAI_API_KEY", "none")
        monkeypatch.setenv("OPENAI_BASE_URL", provider.base_url)
        async with serving():
            task, events = await done("analyst", "Which region grew most?", FILES, events_streaming=True)

    assert (task.status, task.result) == ("completed", "The West grew most.")
    assert task.internal_status == "3 files read, tools used: column_summary"
    assert task.used_tools == ["column_summary"]
    assert (task.tokens.prompt_tokens, task.tokens.completion_tokens) == (200, 20)
    (call,) = of_kind(events, TaskUpdateEventType.ToolCallResult)
    assert "West: population 7,082,086 in 1910, 78,588,572 in 2020, growth 1,009.7 percent" in call.result
    assert "".join(of_kind(events, TaskUpdateEventType.Chunk)) == "The West grew most."
    first, second = (request["messages"] for request in provider.requests)
    sent = {part["type"] for message in first if isinstance(message["content"], list) for part in message["content"]}
    assert {"text", "image_url", "file"} <= sent
    assert any(message["role"] == "tool" and "1,009.7 percent" in message["content"] for message in second)


async def test_the_analyst_calls_the_tool_for_a_small_model_and_says_so(
    load: Load, serving: Serving, done: Done, monkeypatch: pytest.MonkeyPatch
) -> None:
    analyst = load("examples/analyst.py")
    model = ScriptedModel(["The West grew most."], id="example-analyst-small")

    class Small:
        def model(self) -> ScriptedModel:
            return model

    async def small_model() -> Small:
        return Small()

    monkeypatch.setattr(analyst, "small_model", small_model)
    async with serving():
        task, events = await done("analyst", "Which region grew most?", FILES)

    assert (task.status, task.result, task.used_tools) == ("completed", "The West grew most.", ["column_summary"])
    (asked,) = of_kind(events, TaskUpdateEventType.ToolCallRequest)
    (answered,) = of_kind(events, TaskUpdateEventType.ToolCallResult)
    assert asked.reasoning.title == "called by the handler, before the model runs"
    assert asked.tool_call_id == answered.tool_call_id
    (request,) = model.requests
    assert request.tools == []
    assert request.user.endswith("\n\nWhich region grew most?")
    assert "West: population 7,082,086 in 1910, 78,588,572 in 2020, growth 1,009.7 percent\n" in request.user
    assert "[cut here: this is its header and the first " in request.user
    assert len(request.user) < 3_000


def test_the_summary_agrees_with_a_count_by_hand(load: Load) -> None:
    text = (DATA / "figures.csv").read_text()
    summary = load("examples/analyst.py").summarize(text)
    assert (summary["rows"], summary["by"], summary["over"]) == (48, "region", "year")
    west = [int(row["population"]) for row in csv.DictReader(io.StringIO(text)) if row["region"] == "West"]
    assert summary["columns"]["population"]["West"] == {
        "count": 12,
        "from": "1910",
        "to": "2020",
        "first": west[0],
        "last": west[-1],
        "min": min(west),
        "max": max(west),
        "mean": round(sum(west) / 12, 2),
        "growth_percent": round((west[-1] / west[0] - 1) * 100, 1),
    }


@pytest.mark.parametrize(
    ("text", "columns"),
    [
        ("", {}),
        ("a,b\n", {}),
        ("a\nx\ny\n", {}),
        ("a\n1\n3\n", {"a": {"all rows": (1, 3, 200.0)}}),
        ("a,b\n2,1\n1,\n1,4\n", {"a": {"all rows": (2, 1, -50.0)}, "b": {"all rows": (1, 4, 300.0)}}),
        ("a,b\n0,nan\n5,inf\n", {"a": {"all rows": (0, 5, None)}}),
    ],
)
def test_the_summary_takes_any_table(load: Load, text: str, columns: dict[str, Any]) -> None:
    analyst = load("examples/analyst.py")
    summary = analyst.summarize(text)
    found = {
        column: {name: (each["first"], each["last"], each["growth_percent"]) for name, each in groups.items()}
        for column, groups in summary["columns"].items()
    }
    assert found == columns
    assert analyst.in_words(summary)


async def test_the_team_hands_work_to_both_members(load: Load, serving: Serving, done: Done) -> None:
    team = load("examples/team.py")
    (handler,) = registry.default.tasks()
    assert (handler.agent_id, handler.function) == ("team", team.work_together)

    def turn(messages: list[Any]) -> str | Call:
        asked = next(str(each.content) for each in reversed(messages) if each.role == "user")
        if "collect" in asked or "write" in asked:
            return "facts" if "collect" in asked else "a text of facts"
        taken = sum(each.role == "assistant" for each in messages)
        return [
            Call("delegate_task_to_member", {"member_id": "researcher", "task": "collect facts"}),
            Call("delegate_task_to_member", {"member_id": "writer", "task": "write a text"}),
            "What they found: a text of facts",
        ][taken]

    registry.default.handlers.clear()

    @decorators.on_task(agent_id="team")
    async def with_scripted_model(task: Task) -> Task:  # pyright: ignore[reportUnusedFunction] - the registry has it
        return await run_agent(team.make_team(ScriptedModel(turn)), task)

    async with serving():
        task, events = await done("team", "What is a queue?")

    assert (task.status, task.result) == ("completed", "What they found: a text of facts")
    triggers = of_kind(events, TaskUpdateEventType.SubAgentTrigger)
    assert [(each.agent_id, each.query) for each in triggers] == [
        ("researcher", "collect facts"),
        ("writer", "write a text"),
    ]
    assert task.tokens.total_tokens == 5 * 15  # three turns of the leader, one of each member


async def test_without_a_model_the_team_says_what_is_missing(load: Load, serving: Serving, done: Done) -> None:
    load("examples/team.py")
    async with serving():
        task, _ = await done("team", "What is a queue?")
    assert task.status == "error"
    assert "OPENAI_API_KEY" in task.result


async def test_the_general_handler_runs_the_agent_that_the_task_names(
    load: Load, serving: Serving, done: Done, engine: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from worker.words.agents import AgentRecord, Instructions

    load("handlers/general.py")
    await engine.tasks.save_agent(
        AgentRecord(id="poet", name="Poet", unique_name="poet", instructions=Instructions(role=["You rhyme."]))
    )
    async with answering("A rhyme.") as provider:
        monkeypatch.setenv("WORKER_MODEL", "openai-chat:gpt-example-general")
        monkeypatch.setenv("OPENAI_API_KEY", "none")
        monkeypatch.setenv("OPENAI_BASE_URL", provider.base_url)
        async with serving():
            task, _ = await done("poet", "Rhyme.")
            unknown, _ = await done("nobody", "Rhyme.")
    assert (task.status, task.result) == ("completed", "A rhyme.")
    assert "You rhyme." in str(provider.requests[0]["messages"])
    assert (unknown.status, unknown.result) == ("error", "There is no agent 'nobody'.")


def test_the_webhook_handler_listens_only_where_a_secret_is_set(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    load("handlers/webhook.py")
    assert registry.default.handlers == []
    monkeypatch.setenv("WORKER_WEBHOOK_SECRET", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    load("handlers/webhook.py")
    bound = {str(each.event_type): each.needs for each in registry.default.handlers}
    assert bound == {"task_finished": "webhook_url", "input_requested": "webhook_url"}


def test_a_worker_can_serve_all_examples_at_once(load: Load) -> None:
    for path in sorted((ROOT / "examples").glob("*.py")):
        load(f"examples/{path.name}")
    registry.default.check()
    assert sorted(str(each.agent_id) for each in registry.default.tasks()) == ["analyst", "hello", "team"]


def demo(environment: Path, **variables: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "worker", "demo"],
        cwd=environment,
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path]), "PYTHONUNBUFFERED": "1", **variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


async def test_the_demo_with_a_providers_key_ends_completed_and_leaves_other_databases_alone(
    environment: Path, engine: Any
) -> None:
    async with answering(("column_summary", {"file_name": "figures.csv"}), "The South |is largest.") as provider:
        variables = {"OPENAI_API_KEY": "none", "OPENAI_BASE_URL": provider.base_url}
        process = demo(environment, WORKER_MODEL="openai-chat:gpt-demo", **variables)
        output, _ = await asyncio.to_thread(process.communicate, timeout=DEMO_SECONDS)
    lines = output.splitlines()
    assert process.returncode == 0, output
    assert "Model:    openai-chat:gpt-demo" in lines
    assert "Platform: the embedded PostgreSQL in .worker" in lines
    assert "→ column_summary(file_name=figures.csv)" in lines
    assert "status:            completed" in lines
    assert "internal status:   3 files read, tools used: column_summary" in lines
    assert "tokens:            200 in, 20 out" in lines
    assert "result:            The South is largest." in lines
    assert any(line.startswith("West: population 7,082,086 in 1910") for line in lines)
    assert await tasks_in(engine) == []


async def tasks_in(engine: Any) -> list[TaskRecord]:
    from worker.words.task_lists import TaskQuery

    return await engine.tasks.find(TaskQuery())


async def test_an_interrupt_ends_the_demo_in_good_order(environment: Path) -> None:
    waiting = asyncio.Event()

    async def never_answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        waiting.set()
        await reader.read()
        writer.close()

    async with await asyncio.start_server(never_answer, "127.0.0.1", 0) as server:
        base_url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
        process = demo(environment, WORKER_MODEL="openai-chat:m", OPENAI_API_KEY="none", OPENAI_BASE_URL=base_url)
        try:
            await wait_until(lambda: waiting.is_set() or process.poll() is not None, "the model is asked", DEMO_SECONDS)
        finally:
            process.send_signal(signal.SIGINT)
            output, _ = await asyncio.to_thread(process.communicate, timeout=DEMO_SECONDS)
            print(output)  # noqa: T201 - shown where the wait has failed
    assert process.returncode == 130
    assert "status:            stopped" in output
    assert "Traceback" not in output


async def test_the_demo_fails_with_its_task(environment: Path) -> None:
    async with answering() as provider:
        variables = {"OPENAI_API_KEY": "none", "OPENAI_BASE_URL": provider.base_url}
        process = demo(environment, WORKER_MODEL="openai-chat:m", **variables)
        output, _ = await asyncio.to_thread(process.communicate, timeout=DEMO_SECONDS)
    assert process.returncode == 1
    assert "status:            error" in output
    assert "Incorrect API key provided" in output
