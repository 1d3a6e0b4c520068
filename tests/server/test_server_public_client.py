"""What the public client sends and reads, byte for byte: its types are stricter than ours, and its names are others."""

import asyncio
import json
from typing import Any

import httpx
import pytest

from tests.server.conftest import Start
from tests.server.serving import Serving, aevents_in
from worker.engine.engine import Engine
from worker.server import bare
from worker.words.changes import MUTABLE
from worker.words.ids import new_id
from worker.words.operations import failed, operation_of, result_text
from worker.words.outcomes import Outcome
from worker.words.statuses import AgentExecutionStatus as Status
from worker.words.tools import ToolInvocationResult, ToolRecord
from worker.words.work import Demand, WorkerCard

NOBODY = {"id": "u1", "first_name": "No", "last_name": "Address"}
STRANGE: dict[str, Any] = {
    "output_format": "html",
    "mcp_servers": [{"url": "https://mcp.example/sse", "transport": "carrier pigeon"}],
    "input": {"text": "x", "user": NOBODY, "principal": {"kind": "robot", "id": "r 2"}},
}


def readable(task: dict[str, Any]) -> bool:
    """Whether the public client can read a task: nothing of it would have to be changed."""
    again = json.loads(json.dumps(task))
    return bare.fit(again) == (task, None)


async def create(client: httpx.AsyncClient, **fields: Any) -> dict[str, Any]:
    answer = await client.post("/agent-execution/analyst", json={"input": {"text": "x"}, **fields})
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_every_answer_about_a_task_can_be_read_by_it(client: httpx.AsyncClient) -> None:
    made = await create(client, **STRANGE)
    path = f"/agent-execution/{made['id']}"
    asked = {"hitl_request": {"question": "May I?"}, "status": "executing"}
    answers = [
        made,
        (await client.patch(f"{path}/update", json=asked)).json(),
        (await client.get(f"{path}/status")).json(),
        (await client.post("/agent-execution/analyst/report_task", json={"id": made["id"], "result": "R"})).json(),
        (await client.post(f"{path}/retry")).json(),
        (await client.delete(path)).json(),
    ]
    for task in answers:
        assert readable(task), task
        assert task["output_format"] is None
        assert task["input"]["user"] == {**task["input"]["user"], **NOBODY, "email": ""}
    assert answers[1]["hitl_request"] == {"question": "May I?", "wait_node_id": ""}
    async with client.stream("GET", f"/default{path}/events") as response:
        events = [event["data"] async for event in aevents_in(response)]
    tasks = [event["data"] for event in events if event["type"].startswith("task_")]
    assert len(tasks) >= 4
    assert all(readable(task) for task in tasks)
    activity = (await client.get(f"/activity/analyst/{made['id']}")).json()
    assert activity["user"]["email"] == ""


async def test_our_own_clients_get_it_as_it_is(client: httpx.AsyncClient) -> None:
    made = await create(client, **STRANGE)
    task = (await client.get(f"/agent-execution/{made['id']}/status", headers={"x-dialect": "native"})).json()
    assert (task["output_format"], task["input"]["user"]["email"]) == ("html", None)


@pytest.mark.parametrize(
    ("text", "files", "attachments", "expected"),
    [
        ("", None, ["https://a.example/a.pdf"], ["https://a.example/a.pdf"]),
        ("read it", [], ["https://a.example/a.pdf"], ["https://a.example/a.pdf"]),
        ("both", ["https://a.example/b"], ["https://a.example/a", "https://a.example/b"], ["b", "a"]),
    ],
)
async def test_attachments_are_files(
    client: httpx.AsyncClient, text: str, files: list[str] | None, attachments: list[str], expected: list[str]
) -> None:
    named = [{"url": url, "name": "a.pdf", "mime": "application/pdf", "kind": "pdf"} for url in attachments]
    task = await create(client, input={"text": text, "files": files, "attachments": named})
    assert [url.removeprefix("https://a.example/") for url in task["input"]["files"]] == [
        url.removeprefix("https://a.example/") for url in expected
    ]
    assert [each["url"] for each in task["input"]["attachments"]] == attachments


@pytest.mark.parametrize("attachments", [["https://a"], [{"name": "a.pdf"}], {"url": "https://a"}, [{"url": 5}]])
async def test_attachments_that_name_nothing_are_refused(client: httpx.AsyncClient, attachments: Any) -> None:
    answer = await client.post("/agent-execution/analyst", json={"input": {"text": "x", "attachments": attachments}})
    assert (answer.status_code, answer.json()["field"]) == (422, "input")
    local = {"text": "x", "attachments": [{"url": "file:///etc/passwd"}]}
    answer = await client.post("/agent-execution/analyst", json={"input": local})
    assert (answer.status_code, answer.json()["field"]) == (422, "input.files")


async def test_its_name_of_a_payload_extension_is_one_in_a_save_too(client: httpx.AsyncClient) -> None:
    task = await create(client, payload_extension={"a": 1, "b": 1})
    sent = {"tool_call_payload_extension": {"b": 2}, "payload_extension": None, "status": None}
    saved = (await client.patch(f"/agent-execution/{task['id']}/update", json=sent)).json()
    assert saved["payload_extension"] == {"a": 1, "b": 2}
    refused = await client.patch(f"/agent-execution/{task['id']}/update", json={"tool_call_payload_extension": "b"})
    assert (refused.status_code, refused.json()["field"]) == (422, "tool_call_payload_extension")


HOSTILE: list[Any] = [{"a": 1}, ["a"], [{"a": None}], "x", -1, True]


async def test_whatever_a_save_holds_is_taken_readably_or_refused(client: httpx.AsyncClient) -> None:
    task = await create(client)
    for name in [*MUTABLE, "tool_call_payload_extension"]:
        for value in HOSTILE:
            sent = {name: value, **({"payload_extension": [1]} if name.startswith("tool") else {})}
            answer = await client.patch(f"/agent-execution/{task['id']}/update", json=sent)
            assert answer.status_code in (200, 422), (sent, answer.text)
            assert answer.status_code != 200 or readable(answer.json()), sent


async def test_a_sign_in_is_flat_in_the_activity_log(client: httpx.AsyncClient) -> None:
    task = await create(client)
    login = {"url": "https://login.example", "server_url": "https://mcp.example", "server_name": "mail"}
    pushed = [{"type": "auth_event", "data": {"type": "login_required", "data": login}}]
    assert (await client.post(f"/agent-execution/{task['id']}/events/push", json=pushed)).status_code == 200
    *_, message = (await client.get(f"/activity/analyst/{task['id']}")).json()["messages"]
    assert (message["type"], message["data"]) == ("login_required", login)


async def test_the_questions_of_a_continued_task_are_all_in_its_activity_log(client: httpx.AsyncClient) -> None:
    task = await create(client, input={"text": "My name is Zebedee."})
    path = f"/agent-execution/{task['id']}/update"
    await client.patch(path, json={"status": "completed", "result": "Hello Zebedee."})
    await create(client, id=task["id"], input={"text": "What is my name?", "files": ["https://a.example/b"]})
    await client.patch(path, json={"title": "names"})
    await client.patch(path, json={"status": "completed", "result": "Zebedee."})
    messages = (await client.get(f"/activity/analyst/{task['id']}")).json()["messages"]
    assert [(each["role"], each["content"]["text"]) for each in messages] == [
        ("user", "My name is Zebedee."),
        ("agent", "Hello Zebedee."),
        ("user", "What is my name?"),
        ("agent", "Zebedee."),
    ]
    assert messages[2]["content"]["files"] == ["https://a.example/b"]


async def test_its_tools_may_run(client: httpx.AsyncClient) -> None:
    """It asks before each call of a tool of its own, and takes a 404 for an error of the tool."""
    headers = {"x-preflight-check": "true", "x-tool-call-id": "c1"}
    for path in ("/agents/analyst/operations/search", "/default/agents/analyst/operations/search"):
        for body in ({"body_params": {"q": "x"}}, None):
            answer = await client.post(path, json=body, headers=headers)
            assert (answer.status_code, answer.json()) == (200, {})
    synced = await client.patch("/agents/analyst/sync_local_tools", json=[{"id": "search", "name": "search"}])
    assert (synced.status_code, synced.json()) == (200, {"graph": []})


async def test_it_calls_a_tool_that_a_worker_has(client: httpx.AsyncClient, engine: Engine) -> None:
    tool = ToolRecord(name="total", description="Add up.", parameters={"type": "object"}, timeout=20)
    by = WorkerCard(id=new_id(), name="w", agents=("analyst",), tools=(tool,))
    await engine.work.register(by)
    (told,) = (await client.get("/agents/analyst")).json()["tools"]
    assert told == {
        "id": "total",
        "name": "total",
        "description": "Add up.",
        "parameters": {"type": "object"},
        "method": "POST",
        "path": "/agents/analyst/operations/total",
    }
    task = await create(client, run_locally=True, worker_id="w")
    headers = {"x-execution-id": task["id"], "x-tool-call-id": "c1"}
    for ending, status, said in (
        (ToolInvocationResult(tool_id="total", result={"sum": 3}, is_success=True), 200, {"sum": 3}),
        (failed(500, "no such region", "total", {}), 424, "no such region"),
        (failed(422, "region is missing", "total", {}), 422, "region is missing"),
    ):
        call = asyncio.create_task(client.post("/agents/analyst/operations/total", json={"a": 1}, headers=headers))
        (assignment,) = await engine.work.assignments(by.id, lambda: Demand(1, {"analyst": 1}), 10)
        assert operation_of(assignment.task) == ("total", {"a": 1})
        await engine.work.finish(assignment.task.id, assignment.attempt, outcome_of(ending))
        answer = await call
        assert answer.status_code == status
        assert (answer.json() if status == 200 else answer.json()["description"]) == said
    activity = (await client.get(f"/activity/analyst/{task['id']}")).json()["messages"]
    calls = [each for each in activity if "tool_name" in each]
    assert [(each["tool_name"], each["is_error"]) for each in calls] == [("total", False)] + [("total", True)] * 2


async def test_a_call_of_a_tool_does_not_hold_up_the_servers_end_and_goes_on_under_its_key(
    start: Start, engine: Engine
) -> None:
    tool = ToolRecord(name="total", parameters={"type": "object"}, timeout=60)
    by = WorkerCard(id=new_id(), name="w", agents=("analyst",), tools=(tool,))
    await engine.work.register(by)
    first, second = await start(), await start()

    def called(serving: Serving) -> "asyncio.Task[httpx.Response]":
        path = f"{serving.base}/agents/analyst/operations/total"
        return asyncio.create_task(http.post(path, json={}, headers={"idempotency-key": "k"}))

    async with httpx.AsyncClient(timeout=30) as http:
        call = called(first)
        (assignment,) = await engine.work.assignments(by.id, lambda: Demand(1, {"analyst": 1}), 10)
        await asyncio.to_thread(first.stop)
        assert (await call).status_code == 503
        again = called(second)
        done = ToolInvocationResult(tool_id="total", result=3, is_success=True)
        await engine.work.finish(assignment.task.id, assignment.attempt, outcome_of(done))
        assert (await again).json() == 3


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [("analyst", {}, 404), ("nobody", {}, 404), ("analyst", [1], 422), ("analyst", "x", 422)],
)
async def test_a_tool_that_is_not_there_or_is_called_with_no_object_is_refused(
    client: httpx.AsyncClient, engine: Engine, path: str, body: Any, status: int
) -> None:
    await engine.work.register(WorkerCard(id=new_id(), name="w", agents=("analyst",)))
    assert (await client.post(f"/agents/{path}/operations/total", json=body)).status_code == status


def outcome_of(result: ToolInvocationResult) -> Outcome:
    return Outcome(Status.Completed if result.is_success else Status.Error, {"result": result_text(result)})


async def test_a_task_names_its_agents_model_where_it_names_none(client: httpx.AsyncClient) -> None:
    agent = {"id": "analyst", "name": "A", "unique_name": "a", "model_provider": "openai", "model_name": "gpt-5"}
    assert (await client.put("/agents/analyst", json=agent)).status_code == 200
    made = await create(client)
    asked = (await client.get(f"/agent-execution/{made['id']}/status")).json()
    for task in (made, asked):
        assert (task["llm_model_provider"], task["llm_model_name"]) == ("openai", "gpt-5")
        assert "llm_of_agent" not in task
