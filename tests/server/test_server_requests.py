"""What a request may ask, and how it is refused."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import psycopg
import pytest

from tests.server.conftest import KEY, Start
from tests.server.serving import Serving, aevents_in
from worker.server.timings import ServerTimings


async def create(client: httpx.AsyncClient, headers: dict[str, str] | None = None, **fields: Any) -> httpx.Response:
    return await client.post("/agent-execution/analyst", json={"input": {"text": "x"}, **fields}, headers=headers)


async def made(client: httpx.AsyncClient, **fields: Any) -> dict[str, Any]:
    answer = await create(client, **fields)
    assert answer.status_code == 200, answer.text
    return answer.json()


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"input": {}}, "input"),
        ({"input": {"text": "", "files": []}}, "input"),
        ({"output_format": "papyrus"}, "output_format"),
        ({"tool_call_limit": 0}, "tool_call_limit"),
        ({"think_mode": "hardest"}, "think_mode"),
        ({"id": "no id"}, "id"),
        ({"input": {"files": ["/etc/passwd"]}}, "input.files"),
        ({"input": {"files": ["file:///etc/passwd"]}}, "input.files"),
        ({"input": {"files": ["C:\\secret.txt"]}}, "input.files"),
    ],
)
async def test_a_value_that_does_not_fit_is_refused_by_name(
    client: httpx.AsyncClient, fields: dict[str, Any], field: str
) -> None:
    answer = await create(client, **fields)
    body = answer.json()
    assert (answer.status_code, body["status_code"], body["field"]) == (422, 422, field), body
    assert body["kind"] == "ValidationError"
    assert field in body["errors"][0]["field"]
    assert (await client.get("/agent-execution/executions/history")).json() == []


async def test_an_internal_status_over_255_characters_is_refused_and_nothing_is_stored(
    client: httpx.AsyncClient,
) -> None:
    task = await made(client)
    answer = await client.patch(f"/agent-execution/{task['id']}/update", json={"internal_status": "x" * 256})
    assert (answer.status_code, answer.json()["field"]) == (422, "internal_status")
    assert (await client.get(f"/agent-execution/{task['id']}/status")).json() == task


async def test_a_body_over_the_limit_is_refused(client: httpx.AsyncClient) -> None:
    answer = await client.post("/agent-execution/a", content=b"x" * (10 * 1024 * 1024 + 1))
    assert (answer.status_code, answer.json()["kind"]) == (413, "TooLarge")

    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(11):
            yield b" " * 1024 * 1024

    answer = await client.post("/agent-execution/a", content=pieces(), headers={"content-type": "application/json"})
    assert answer.status_code == 413


async def test_one_idempotency_key_makes_one_task(client: httpx.AsyncClient) -> None:
    headers = {"Idempotency-Key": "k1"}
    first = await create(client, headers, title="T")
    again = await create(client, headers, title="T")
    assert (first.status_code, again.status_code) == (200, 200)
    assert first.json()["id"] == again.json()["id"]
    other = await create(client, headers, title="U")
    assert (other.status_code, other.json()["kind"]) == (409, "Conflict")
    assert len((await client.get("/agent-execution/executions/history")).json()) == 1
    assert (await create(client, {"Idempotency-Key": "k2"}, title="T")).json()["id"] != first.json()["id"]


async def test_a_create_that_broke_off_after_its_key_was_kept_is_made_by_its_repeat(
    client: httpx.AsyncClient, database_url: str
) -> None:
    headers = {"Idempotency-Key": "k1"}
    first = (await create(client, headers)).json()
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("delete from worker.events")
        connection.execute("delete from worker.tasks")
    again = await create(client, headers)
    assert (again.status_code, again.json()["id"]) == (200, first["id"])


async def test_one_idempotency_key_runs_a_finished_task_again_once(client: httpx.AsyncClient) -> None:
    task, headers = await made(client), {"Idempotency-Key": "k1"}
    early = await create(client, headers, id=task["id"])
    assert early.status_code == 409  # refused, so the key is free again
    await client.delete(f"/agent-execution/{task['id']}")
    assert (await create(client, headers, id=task["id"])).json()["status"] == "pending"
    await client.delete(f"/agent-execution/{task['id']}")
    repeat = await create(client, headers, id=task["id"])
    assert (repeat.status_code, repeat.json()["status"]) == (200, "stopped")  # it ran nothing


async def test_a_full_queue_takes_no_more(start: Start) -> None:
    serving = await start(key=KEY, max_queued=3)
    async with httpx.AsyncClient(base_url=serving.base, headers={"x-api-key": KEY}, timeout=30) as client:
        for _ in range(3):
            await made(client)
        refused = await create(client)
        assert refused.status_code == 429
        assert int(refused.headers["retry-after"]) > 0
        assert "WORKER_MAX_QUEUED" in refused.json()["description"]
        other = await client.post("/agent-execution/writer", json={"input": {"text": "x"}})
        assert other.status_code == 200


async def test_a_known_id_runs_a_finished_task_again_and_no_other(client: httpx.AsyncClient) -> None:
    task = await made(client)
    busy = await create(client, id=task["id"])
    assert (busy.status_code, busy.json()["kind"]) == (409, "Conflict")
    unknown = await create(client, id="unknown")
    assert (unknown.status_code, unknown.json()["kind"]) == (404, "TaskNotFound")
    await client.delete(f"/agent-execution/{task['id']}")
    again = (await create(client, id=task["id"], input={"text": "anew"})).json()
    assert (again["id"], again["status"], again["input"]["text"]) == (task["id"], "pending", "anew")


async def test_a_whole_dumped_task_changes_only_what_a_save_may(client: httpx.AsyncClient) -> None:
    task = await made(client, title="T", payload_extension={"a": 1})
    dump = {
        **task,
        "agent_id": "other",
        "input": {"text": "other"},
        "created_at": None,
        "title": None,
        "execution_attempts": 7,
        "payload_extension": {"b": 2},
        "result": {"any": ["json"]},
        "configuration": {"x": 1},
        "a_field_of_tomorrow": 1,
    }
    saved = (await client.patch(f"/agent-execution/{task['id']}/update", json=dump)).json()
    assert (saved["agent_id"], saved["input"]["text"], saved["title"]) == ("analyst", "x", "T")
    assert (saved["result"], saved["execution_attempts"]) == ('{"any":["json"]}', 0)
    assert saved["payload_extension"] == {"a": 1, "b": 2}
    assert saved["status"] == "pending"


async def test_on_a_terminal_task_the_first_word_wins_and_a_repeat_is_no_conflict(client: httpx.AsyncClient) -> None:
    task = await made(client)
    path = f"/agent-execution/{task['id']}/update"
    first = await client.patch(path, json={"status": "completed", "result": "first"})
    again = await client.patch(path, json={"status": "error", "result": "second", "internal_status": "read"})
    assert (first.status_code, again.status_code) == (200, 200)
    assert (again.json()["status"], again.json()["result"]) == ("completed", "first")
    assert again.json()["internal_status"] == "read"


async def test_a_stale_attempt_is_refused(client: httpx.AsyncClient) -> None:
    task = await made(client)
    answer = await client.patch(
        f"/agent-execution/{task['id']}/update", json={"result": "x"}, headers={"x-attempt": "7"}
    )
    assert (answer.status_code, answer.json()["kind"]) == (409, "LeaseLost")


async def test_an_outside_holder_that_is_silent_for_an_hour_is_given_up(
    serving: Serving, client: httpx.AsyncClient, database_url: str
) -> None:
    silent, alive = await made(client), await made(client)
    for task in (silent, alive):
        await client.patch(f"/agent-execution/{task['id']}/update", json={"status": "executing"})
    with psycopg.connect(database_url, autocommit=True) as connection:
        sql = "update worker.tasks set updated_at = now() - interval '61 minutes' where id = %s"
        connection.execute(sql, (silent["id"],))
    loop = serving.engine.core.wakeups.loop
    count = await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(serving.engine.end_silent(), loop))
    assert count == 1
    ended = (await client.get(f"/agent-execution/{silent['id']}/status")).json()
    assert (ended["status"], ended["result"]) == (
        "failed",
        "the client that ran the task sent no heartbeat for 60 minutes",
    )
    assert (await client.get(f"/agent-execution/{alive['id']}/status")).json()["status"] == "executing"


async def test_a_file_comes_back_in_parts_and_never_as_a_page(client: httpx.AsyncClient) -> None:
    content = bytes(range(256))
    stored = await client.post("/files?name=a%2Fb.html", content=content, headers={"content-type": "text/html"})
    reference = stored.json()["reference"]
    path = "/files/" + reference.removeprefix("worker:")
    whole = await client.get(path)
    assert (whole.status_code, whole.content) == (200, content)
    assert whole.headers["content-type"].startswith("text/html")
    assert whole.headers["x-content-type-options"] == "nosniff"
    assert whole.headers["content-disposition"].startswith("attachment; filename*=UTF-8''a%2Fb.html")
    for wanted, part, told in (
        ("bytes=0-9", content[:10], "bytes 0-9/256"),
        ("bytes=250-", content[250:], "bytes 250-255/256"),
        ("bytes=-6", content[250:], "bytes 250-255/256"),
        ("bytes=200-9999", content[200:], "bytes 200-255/256"),
    ):
        answer = await client.get(path, headers={"range": wanted})
        assert (answer.status_code, answer.content, answer.headers["content-range"]) == (206, part, told)
    beyond = await client.get(path, headers={"range": "bytes=256-"})
    assert (beyond.status_code, beyond.headers["content-range"]) == (416, "bytes */256")
    assert (await client.get(f"/files/{'0' * 64}/x")).status_code == 404


async def test_an_uploaded_file_is_a_signed_url_on_the_wire(serving: Serving, client: httpx.AsyncClient) -> None:
    stored = await client.post("/files?name=r%C3%BC.txt", content=b"content", headers={"content-type": "text/plain"})
    reference = stored.json()["reference"]
    task = await made(client, input={"text": "x", "files": [reference, "https://example.com/a"]})
    url, other = task["input"]["files"]
    assert url.startswith(f"{serving.base}/files/")
    assert other == "https://example.com/a"
    async with httpx.AsyncClient(timeout=30) as stranger:
        assert (await stranger.get(url)).content == b"content"
        assert (await stranger.get(url.replace("expires=", "expires=1"))).status_code == 401
        assert (await stranger.get(url.replace("organization=default", "organization=other"))).status_code == 401
        assert (await stranger.get(url[:-1] + ("0" if url[-1] != "0" else "1"))).status_code == 401
        assert (await stranger.get(url.split("?")[0])).status_code == 401
    native = await client.get(f"/agent-execution/{task['id']}/status", headers={"x-dialect": "native"})
    assert native.json()["input"]["files"][0] == reference


@pytest.mark.parametrize("server_timings", [ServerTimings(file_link=-10_000)], ids=["links have expired"])
async def test_a_signed_url_expires(client: httpx.AsyncClient) -> None:
    stored = (await client.post("/files?name=a", content=b"x")).json()
    assert (await client.get(stored["url"])).status_code == 401


async def test_an_agent_is_saved_and_read_back(client: httpx.AsyncClient) -> None:
    record = {"id": "a1", "name": "Analyst", "unique_name": "analyst", "instructions": {"role": ["r"]}}
    saved = await client.put("/agents/a1", json=record)
    assert (saved.status_code, saved.json()["version"]) == (200, 1)
    assert (await client.put("/agents/a1", json={**record, "name": "B"})).json()["version"] == 2
    assert (await client.get("/agents/a1")).json()["name"] == "B"
    assert (await client.put("/agents/other", json=record)).json()["kind"] == "Conflict"
    assert (await client.get("/agents/unknown")).json()["kind"] == "AgentNotFound"
    assert (await client.get("/agents/a1/db")).status_code == 404


REQUIRED_OF_AGENTS = {"id", "organization_id", "name", "unique_name", "framework", "model_provider", "model_name"}
REQUIRED_IN_LISTS = {"icon", "instructions", "status", "created_at", "environment_id"}


@pytest.mark.parametrize(
    ("record", "model"),
    [
        ({}, ("anthropic", "claude-x")),
        ({"model_provider": "openai"}, ("anthropic", "claude-x")),
        ({"model_name": "gpt-5"}, ("openai", "gpt-5")),
        ({"model_name": "google:gemini-3"}, ("google", "gemini-3")),
        ({"model_provider": "groq", "model_name": "llama"}, ("groq", "llama")),
    ],
)
async def test_the_public_client_can_read_every_agent_it_is_sent(
    start: Start, record: dict[str, str], model: tuple[str, str]
) -> None:
    serving = await start(key=KEY, model="anthropic:claude-x")
    async with httpx.AsyncClient(base_url=serving.base, headers={"x-api-key": KEY}, timeout=30) as client:
        body = {"id": "a", "name": "A", "unique_name": "a", "output_format": "html", **record}
        for agent in (
            (await client.put("/agents/a", json=body)).json(),
            (await client.get("/agents/a")).json(),
            (await client.get("/agents/list")).json()[0],
            (await client.delete("/agents/a")).json(),
        ):
            filled = {name for name, value in agent.items() if value is not None}
            assert filled >= REQUIRED_OF_AGENTS | REQUIRED_IN_LISTS
            assert (agent["model_provider"], agent["model_name"]) == model
            assert isinstance(agent["environment_id"], str)
            assert agent["output_format"] is None  # a form that it does not know
            assert agent["agno_settings"] == {"session_storage": False}
        assert (await client.get("/agents/a")).status_code == 404
        await client.put("/agents/a", json=body)
        native = (await client.get("/agents/a", headers={"x-dialect": "native"})).json()
        assert (native["model_name"], native["output_format"]) == (record.get("model_name"), "html")


async def test_uploaded_files_are_signed_urls_wherever_the_wire_names_them(
    serving: Serving, client: httpx.AsyncClient
) -> None:
    reference = (await client.post("/files?name=r.txt", content=b"content")).json()["reference"]
    given = {"text": reference, "files": [reference], "attachments": [{"url": reference}]}
    task = await made(client, input=given)
    path = f"/agent-execution/{task['id']}"
    pushed = [{"type": "sub_agent_trigger", "data": {"agent_id": "b", "query": reference, "files": [reference]}}]
    await client.post(f"{path}/events/push", json=pushed)
    await client.delete(path)
    events = await _events(client, path)
    said, triggered = (await client.get(f"/activity/analyst/{task['id']}")).json()["messages"]
    signed = [
        task["input"]["files"][0],
        task["input"]["attachments"][0]["url"],
        events["task_created"]["input"]["files"][0],
        events["task_finished"]["input"]["files"][0],
        said["content"]["files"][0],
    ]
    for url in signed:
        assert url.startswith(f"{serving.base}/files/"), url
    async with httpx.AsyncClient(timeout=30) as stranger:
        assert (await stranger.get(signed[-1])).content == b"content"
    said_only = (task["input"]["text"], triggered["query"], triggered["files"], events["sub_agent_trigger"]["files"])
    assert said_only == (reference, reference, [reference], [reference])  # what was said, or pushed, stays as it was


async def _events(client: httpx.AsyncClient, path: str) -> dict[str, Any]:
    async with client.stream("GET", f"{path}/events") as response:
        return {event["data"]["type"]: event["data"]["data"] async for event in aevents_in(response)}


KIND = {"content-type": "application/json"}
HALF = b'"half \\ud83d"'
EVERYWHERE = b'{"input":{"text":%b,"files":["data:,x"],"user":{"id":%b}},"title":%b,"payload_extension":{%b:[%b]}}' % (
    (HALF,) * 5
)


async def test_half_a_surrogate_pair_is_stored_so_that_it_can_be_read(client: httpx.AsyncClient) -> None:
    """JavaScript cuts text inside an emoji; the answer must not be a 500 after the task was made."""
    for headers in ({}, {"idempotency-key": "once"}):
        answer = await client.post("/agent-execution/a", content=EVERYWHERE, headers={**KIND, **headers})
        assert answer.status_code == 200, answer.text
        task = answer.json()
        assert (task["title"], task["payload_extension"]) == ("half \ufffd", {"half \ufffd": ["half \ufffd"]})
        assert (await client.get(f"/agent-execution/{task['id']}/status")).json() == task
    pushed = await client.post(
        f"/agent-execution/{task['id']}/events/push", content=b'[{"type":"chunk","data":%b}]' % HALF, headers=KIND
    )
    assert pushed.status_code == 200
    saved = await client.patch(f"/agent-execution/{task['id']}/update", content=b'{"result":%b}' % HALF, headers=KIND)
    assert saved.json()["result"] == "half \ufffd"
    reported = b'{"id":"elsewhere","input":%b,"result":{"a":%b},"used_tools":[%b]}' % (HALF, HALF, HALF)
    answer = await client.post("/agent-execution/a/report_task", content=reported, headers=KIND)
    assert (answer.status_code, answer.json()["used_tools"]) == (200, ["half \ufffd"])
    assert len((await client.get("/agent-execution/executions/history/a")).json()) == 3
