"""Traces: one for each task, across real processes, with the names of the gen_ai conventions and no secret."""

import json
import os
import subprocess
import sys
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from agno.agent import Agent
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from opentelemetry.trace import StatusCode

from tests.cli.shells import SECONDS, Shell
from tests.contract.steps import create, wish
from tests.server.test_server_commands import address
from tests.supervisor.stories import Handlers, Serve, done
from tests.support import wait_until
from tests.telemetry.collectors import collecting
from worker import Task, run_agent
from worker.engine.engine import Engine
from worker.redaction import Redactor
from worker.telemetry.spans import Spans
from worker.testing import Call, Pieces, ScriptedModel
from worker.words import watching
from worker.words.tasks import AgentExecutionInput, NewTask

PARENT = "00-0123456789abcdef0123456789abcdef-0123456789abcdef-01"
HANDLERS = """
    from agno.agent import Agent
    from worker import Task, on_task, run_agent
    from worker.testing import Call, ScriptedModel

    def search(query: str) -> str:
        return f"found {query}"

    @on_task(agent_id="analyst")
    async def analyse(task: Task) -> Task:
        model = ScriptedModel([Call("search", {"query": "canary"}), "The answer."], prompt_tokens=7)
        return await run_agent(Agent(model=model, tools=[search], telemetry=False), task)
"""


@contextmanager
def tracing(provider: TracerProvider) -> Generator[InMemorySpanExporter]:
    exporter = InMemorySpanExporter()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    end = watching.watch(Spans(provider, Redactor()).begin)
    yield exporter
    end()


@pytest.fixture
def spans() -> Iterator[InMemorySpanExporter]:
    with tracing(TracerProvider()) as exporter:
        yield exporter


def by_name(spans: InMemorySpanExporter) -> dict[str, ReadableSpan]:
    return {span.name: span for span in spans.get_finished_spans()}


def parent_of(span: ReadableSpan) -> int | None:
    return span.parent.span_id if span.parent else None


def own(span: ReadableSpan) -> int:
    return span.context.span_id if span.context else 0


def attributes(span: ReadableSpan) -> dict[str, object]:
    return dict(span.attributes or {})


async def test_an_attempt_with_its_calls_is_one_trace_under_the_creation(
    spans: InMemorySpanExporter, engine: Engine, handlers: Handlers, serve: Serve
) -> None:
    def search(query: str) -> str:
        with trace.get_tracer("of the user").start_as_current_span("ignored: no provider of the user's"):
            return f"found {query}"

    model = ScriptedModel(
        [Call("search", {"query": "x"}), Pieces(["An ", "answer."])], prompt_tokens=10, completion_tokens=4
    )

    async def work(task: Task) -> Task:
        return await run_agent(Agent(model=model, tools=[search], telemetry=False), task)

    handlers.bind(work)
    async with serve():
        task = await done(engine)
    found = by_name(spans)
    assert set(found) == {"create_task agent", "invoke_agent agent", "chat scripted", "execute_tool search"}
    creation, attempt, tool = found["create_task agent"], found["invoke_agent agent"], found["execute_tool search"]
    chats = [span for span in spans.get_finished_spans() if span.name == "chat scripted"]
    assert {span.context.trace_id for span in spans.get_finished_spans() if span.context} == {
        int((task.traceparent or "").split("-")[1], 16)
    }
    assert parent_of(creation) is None
    assert parent_of(attempt) == own(creation)
    assert {parent_of(span) for span in [*chats, tool]} == {own(attempt)}
    assert len(chats) == 2
    assert attributes(attempt)["agno_worker.task.id"] == attributes(creation)["agno_worker.task.id"] == task.id
    assert attributes(attempt)["agno_worker.outcome"] == "completed"
    assert attributes(attempt)["agno_worker.attempt"] == 1
    assert attributes(chats[0]) | {"gen_ai.request.stream": True} == {
        "agno_worker.task.id": task.id,
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "scripted",
        "gen_ai.request.model": "scripted",
        "gen_ai.request.stream": True,
        "gen_ai.response.finish_reasons": ("tool_calls",),
        "gen_ai.usage.input_tokens": 10,
        "gen_ai.usage.output_tokens": 4,
    }
    assert attributes(tool)["gen_ai.operation.name"] == "execute_tool"
    assert attributes(tool)["gen_ai.tool.name"] == "search"
    assert "x" not in attributes(tool).values(), "arguments may be secret"


async def test_a_retry_is_another_attempt_of_the_same_trace_and_its_replayed_calls_say_so(
    spans: InMemorySpanExporter, engine: Engine, handlers: Handlers, serve: Serve
) -> None:
    fails = [ConnectionError("https://files.example/?signature=canary is away")]

    def look() -> str:
        return "looked"

    def turn(messages: list[Any]) -> Any:
        if messages[-1].role != "tool":
            return Call("look")
        return fails.pop() if fails else "fine"

    async def work(task: Task) -> Task:
        return await run_agent(Agent(model=ScriptedModel(turn), tools=[look], telemetry=False), task)

    handlers.bind(work)
    async with serve():
        task = await done(engine)
    assert task.execution_attempts == 2
    first, second = (span for span in spans.get_finished_spans() if span.name == "invoke_agent agent")
    assert [attributes(span)["agno_worker.outcome"] for span in (first, second)] == ["retried", "completed"]
    assert parent_of(first) == parent_of(second)
    assert first.status.status_code is StatusCode.ERROR
    assert attributes(first)["error.type"] == "AgentFailed"
    assert "canary" not in str([first.to_json(), first.events])
    chats = [span for span in spans.get_finished_spans() if span.name == "chat scripted"]
    assert [attributes(span).get("agno_worker.replayed", False) for span in chats] == [False, False, True, False]


async def test_a_failing_tool_and_a_failing_model_are_errors(
    spans: InMemorySpanExporter, engine: Engine, handlers: Handlers, serve: Serve
) -> None:
    def broken() -> str:
        raise ValueError("canary")

    model = ScriptedModel([Call("broken"), RuntimeError("the provider is unwell")])

    async def work(task: Task) -> Task:
        return await run_agent(Agent(model=model, tools=[broken], telemetry=False), task)

    handlers.bind(work)
    async with serve():
        await done(engine)
    found = {span.name: span for span in spans.get_finished_spans() if span.status.status_code is StatusCode.ERROR}
    assert set(found) == {"execute_tool broken", "chat scripted", "invoke_agent agent"}
    assert attributes(found["chat scripted"])["error.type"] == "RuntimeError"


async def test_a_task_without_a_trace_has_the_same_one_in_every_attempt(
    engine: Engine, handlers: Handlers, serve: Serve
) -> None:
    async def work(task: Task) -> str:
        return "done"

    handlers.bind(work)
    task = await create(engine, agent="agent")
    assert task.traceparent is None
    with tracing(TracerProvider()) as spans:
        async with serve():
            await wait_until(lambda: len(spans.get_finished_spans()) == 1, "it is done")
            await engine.tasks.retry(task.id)
            await wait_until(lambda: len(spans.get_finished_spans()) == 2, "it is done again")
    first, second = (span.parent for span in spans.get_finished_spans())
    assert first == second
    assert first is not None


async def test_the_sampler_decides_about_a_trace_that_begins_with_an_attempt(
    engine: Engine, handlers: Handlers, serve: Serve
) -> None:
    handlers.bind(lambda: "done")
    task = await create(engine, agent="agent")
    with tracing(TracerProvider(sampler=ALWAYS_OFF)) as spans:
        async with serve():
            await wait_until(lambda: _is_completed(engine, task.id), "it is done")
    assert spans.get_finished_spans() == ()


async def _is_completed(engine: Engine, task_id: str) -> bool:
    return (await engine.tasks.get(task_id)).status == "completed"


async def test_the_creating_codes_own_span_is_the_traces_root(spans: InMemorySpanExporter, engine: Engine) -> None:
    provider = TracerProvider()
    with provider.get_tracer("a web application").start_as_current_span("request") as request:
        task = await create(engine)
    assert task.traceparent is not None
    assert int(task.traceparent.split("-")[1], 16) == request.get_span_context().trace_id
    (creation,) = spans.get_finished_spans()
    assert parent_of(creation) == request.get_span_context().span_id


@pytest.mark.parametrize(
    "text", ["", "x", PARENT.upper(), PARENT + "-x", PARENT[:36] + "0" * 16 + "-01", "00-" + "0" * 32 + PARENT[35:]]
)
def test_what_is_no_traceparent_is_passed_over(text: str) -> None:
    assert wish(traceparent=text).traceparent is None
    assert wish(traceparent=PARENT).traceparent == PARENT


async def test_the_header_of_a_create_request_names_the_trace(client: httpx.AsyncClient) -> None:
    async def created(key: str, header: str, **fields: str) -> dict[str, str]:
        answer = await client.post(
            "/agent-execution/a",
            json={"input": {"text": "x"}, **fields},
            headers={"traceparent": header, "idempotency-key": key},
        )
        assert answer.status_code == 200, answer.text
        return answer.json()

    other = PARENT.replace("01234567", "76543210")
    first = await created("k1", PARENT)
    assert first["traceparent"] == PARENT
    assert (await created("k1", other))["id"] == first["id"], "a repeat has another span, and is a repeat all the same"
    assert (await created("k2", "nonsense"))["traceparent"] is None
    assert (await created("k3", other, traceparent=PARENT))["traceparent"] == PARENT


async def test_one_trace_leads_from_one_process_through_another(here: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    here.handlers(HANDLERS)
    with collecting() as collector:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
        running = here.start("run")
        await running.says("worker ready")
        created = here.worker("task", "create", "--agent", "analyst", "--text", "canary", "--wait")
        assert created.stdout == "The answer.\n", created.stderr
        assert running.end() == 0
        await wait_until(lambda: collector.named("create_task"), "the creating process told its span", SECONDS)
    (creation,), (attempt,) = collector.named("create_task"), collector.named("invoke_agent")
    chats, (tool,) = collector.named("chat"), collector.named("execute_tool")
    assert {span.trace_id for span in collector.spans} == {creation.trace_id}
    assert {span.service for span in collector.spans} == {"agno-worker"}
    assert attempt.parent_id == creation.span_id
    assert {span.parent_id for span in [*chats, tool]} == {attempt.span_id}
    assert len(chats) == 2
    assert chats[0].attributes["gen_ai.usage.input_tokens"] == 7
    assert b"canary" not in collector.raw, "neither prompts nor arguments are in a trace"


async def test_a_trace_goes_on_through_the_server_to_a_remote_worker(
    here: Shell, elsewhere: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere.handlers(HANDLERS)
    with collecting() as collector:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
        monkeypatch.setenv("WORKER_LOG", "logfmt")
        serving = here.start("serve", "--port", "0")
        await serving.says("server ready")
        monkeypatch.setenv("XPANDER_BASE_URL", address(serving))
        running = elsewhere.start("run")
        await running.says("worker ready")
        created = elsewhere.worker("task", "create", "--agent", "analyst", "--text", "x", "--wait", "--json")
        task = json.loads(created.stdout)
        assert running.end() == 0
        assert serving.end() == 0
    client, server = sorted(collector.named("create_task"), key=lambda span: span.parent_id != "")
    assert (client.parent_id, server.parent_id) == ("", client.span_id)
    (attempt,) = collector.named("invoke_agent")
    assert attempt.parent_id == server.span_id
    assert {span.trace_id for span in collector.spans} == {task["traceparent"].split("-")[1]}


def test_nothing_of_opentelemetry_is_imported_unless_it_is_asked_for(environment: Path, database_url: str) -> None:
    code = """
import asyncio, sys
from worker import wiring
from worker.settings import Settings
from worker.telemetry import traces
from worker.words.tasks import AgentExecutionInput, NewTask

async def main():
    platform = wiring.choose(Settings())
    await platform.open()
    await platform.tasks.create(NewTask(agent_id="a", input=AgentExecutionInput(text="x")))
    await platform.close()

asyncio.run(main())
traces.flush()
print(sorted(name for name in sys.modules if name.startswith("opentelemetry")))
"""
    answer = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=SECONDS, check=True, env=os.environ
    )
    assert answer.stdout == "[]\n"


def test_a_new_task_carries_no_trace_of_its_own_accord() -> None:
    assert NewTask(agent_id="a", input=AgentExecutionInput(text="x")).model_dump(exclude_defaults=True).keys() == {
        "agent_id",
        "input",
    }
