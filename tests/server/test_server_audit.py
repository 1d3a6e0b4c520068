"""The audit log over HTTP: by which key, from where; who was refused; and who may read it."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest

from tests.dashboard.browsing import Browser
from tests.server.conftest import KEY, Start
from tests.server.serving import BareWorker, Serving
from tests.support import wait_until
from worker.contracts.access import PAGES, ROUTES
from worker.engine.engine import Engine
from worker.server.identity import refusals
from worker.words.audit import AuditEntry, AuditQuery
from worker.words.roles import Role

SILENT = {
    "POST /agent-execution/{agent_id}": "a create is a task, which says itself what it is",
    "POST /agent-execution/{agent_id}/report_task": "the same",
    "POST /ui/new": "the same",
    "POST /agent-execution/{task_id}/events/push": "it is an event of the task",
    "POST /files": "a file alone does nothing",
    "POST /knowledge_bases/{knowledge_base_id}": "documents are added by a task, which says itself what it is",
    "POST /ui/knowledge/{knowledge_base_id}": "the same",
    "POST /agents-metrics/{agent_id}/execution": "it changes nothing",
    "POST /agents/{agent_id}/operations/{tool_id}": "it changes nothing",
    "PATCH /agents/{agent_id}/sync_local_tools": "it changes nothing",
    "POST /metadata/api_key_allowance": "it changes nothing",
    "POST /events/{worker_id}": "a worker's sign of life",
    "POST /work": "a worker's work; its verbs that an operator has too are written down by the verb",
}
"""What changes something, or looks so, and is not in the audit log, and why."""

WRITTEN = {
    "DELETE /agent-execution/{task_id}",
    "PATCH /agent-execution/{task_id}/update",  # that ends a task of others; an event of the task says the rest
    "POST /agent-execution/{task_id}/retry",
    "POST /agent-execution/{task_id}/answer",
    "POST /agent-execution/{task_id}/signals",
    "POST /agent-execution/{task_id}/skip",
    "POST /agent-execution/{task_id}/messages",
    "POST /ui/tasks/{task_id}/send",
    "POST /ui/tasks/{task_id}/signal",
    "POST /ui/tasks/{task_id}/skip",
    "POST /ui/tasks/{task_id}/answer",
    "POST /ui/answer",
    "PUT /agents/{agent_id}",
    "DELETE /agents/{agent_id}",
    "POST /providers/{provider_id}/resume",
    "POST /providers/{provider_id}/fail",
    "POST /deliveries/retry",
    "POST /keys",
    "POST /keys/{key_id}/revoke",
    "POST /knowledge_bases/create",
    "DELETE /knowledge_bases/{knowledge_base_id}",
    "DELETE /knowledge_bases/{knowledge_base_id}/erase",
    "POST /ui/knowledge",
    "POST /ui/knowledge/{knowledge_base_id}/remove",
    "POST /ui/tasks/{task_id}/stop",
    "POST /ui/tasks/{task_id}/retry",
    "POST /ui/dead",
    "POST /ui/deliveries",
    "POST /ui/keys",
    "POST /ui/keys/{key_id}/revoke",
    "POST /ui/sign-in",
    "POST /ui/sign-out",
}


async def lines(engine: Engine, **query: Any) -> list[AuditEntry]:
    return await engine.tasks.audit(AuditQuery(**query))


async def key_of(engine: Engine, role: Role, *agents: str, name: str = "") -> tuple[str, str]:
    text, key = await engine.keys.create("default", role=role, agents=agents, name=name)
    return text, key.id


async def made(client: httpx.AsyncClient, agent: str = "mine") -> str:
    answer = await client.post(f"/agent-execution/{agent}", json={"input": {"text": "x"}})
    return answer.raise_for_status().json()["id"]


def test_whatever_changes_something_is_written_down_or_says_why_not() -> None:
    changing = {name for name in {**ROUTES, **PAGES} if not name.startswith("GET ")}
    assert changing == WRITTEN | set(SILENT)


async def test_a_line_says_which_key_did_it_and_from_where(
    serving: Serving, engine: Engine, client: httpx.AsyncClient
) -> None:
    text, key_id = await key_of(engine, Role.Client, name="the night shift")
    task_id = await made(client)
    await client.delete(f"/agent-execution/{task_id}", headers={"x-api-key": text})
    (line,) = await lines(engine, action="task.stop")
    assert (line.subject, line.agent_id) == (f"task {task_id}", "mine")
    assert (line.key_id, line.key_name, line.role) == (key_id, "the night shift", "client")
    assert (line.address, line.door, line.error) == ("127.0.0.1", "api", None)
    await client.post(f"/agent-execution/{task_id}/retry")
    (line,) = await lines(engine, action="task.retry")
    assert (line.key_id, line.key_name, line.role) == ("server key", "WORKER_API_KEY", "admin")


async def test_who_ends_a_task_that_others_run_is_written_down(
    serving: Serving, engine: Engine, client: httpx.AsyncClient
) -> None:
    text, key_id = await key_of(engine, Role.Client)
    tasks = [await made(client) for _ in range(3)]
    for task_id, status in zip(tasks, ("completed", "failed", "error"), strict=True):
        for _ in range(2):  # a task that has ended stays as it is
            await client.patch(
                f"/agent-execution/{task_id}/update", json={"status": status}, headers={"x-api-key": text}
            )
    found = await lines(engine, action="task.end")
    assert {(each.subject, each.agent_id, each.key_id) for each in found} == {
        (f"task {task_id}", "mine", key_id) for task_id in tasks
    }
    assert sorted((each.details or {})["status"] for each in found) == ["completed", "error", "failed"]


async def test_a_worker_that_ends_its_own_task_is_no_line(
    engine: Engine, client: httpx.AsyncClient, bare_worker: Callable[..., Awaitable[BareWorker]]
) -> None:
    worker = await bare_worker("mine")
    task_id = await made(client)
    await wait_until(lambda: task_id in worker.given, "the worker has it")
    await worker.save(task_id, status="completed", result="x")
    own = {"input": {"text": "x"}, "run_locally": True, "worker_id": "w"}
    local = (await client.post("/agent-execution/mine", json=own)).json()["id"]
    await client.patch(f"/agent-execution/{local}/update", json={"status": "completed"})
    assert await lines(engine, action="task.end") == []


async def test_a_page_says_so_and_signing_in_and_out_is_written_down(
    serving: Serving, engine: Engine, client: httpx.AsyncClient
) -> None:
    text, key_id = await key_of(engine, Role.Client, name="alice")
    task_id = await made(client)
    async with httpx.AsyncClient(base_url=serving.base, timeout=30) as stream_client:
        browser = Browser(stream_client)
        assert (await browser.sign_in("wk_wrong")).status_code == 401
        await browser.sign_in(text)
        await browser.look(f"/ui/tasks/{task_id}")
        await browser.send(f"/ui/tasks/{task_id}/stop")
        await browser.send("/ui/sign-out")
    await _written(engine, 1, action="refused")
    found = (await lines(engine))[::-1]
    assert [(each.action, each.subject) for each in found] == [
        ("key.create", f"key {key_id}"),
        ("refused", "POST /ui/sign-in"),
        ("sign_in", f"key {key_id}"),
        ("task.stop", f"task {task_id}"),
        ("sign_out", f"key {key_id}"),
    ]
    assert {each.key_name for each in found[2:]} == {"alice"}
    assert {each.door for each in found[1:]} == {"page"}


async def _written(engine: Engine, count: int, **query: Any) -> list[AuditEntry]:
    """Lines, once there are so many: refusals are written beside the requests."""

    async def there() -> bool:
        return len(await lines(engine, **query)) >= count

    await wait_until(there, f"{count} lines of {query}")
    return await lines(engine, **query)


async def test_who_was_refused_is_written_down_once_and_then_counted(
    serving: Serving, engine: Engine, client: httpx.AsyncClient
) -> None:
    text, key_id = await key_of(engine, Role.Viewer, name="a viewer")
    task_id = await made(client)
    for _ in range(4):
        answer = await client.post(f"/agent-execution/{task_id}/retry", headers={"x-api-key": text})
        assert answer.status_code == 403
        assert (await client.get("/workers", headers={"x-api-key": "wrong"})).status_code == 401
        verbs = {"verbs": [{"verb": "lost", "held": {}}]}
        await client.post("/work", json=verbs, headers={"x-api-key": text})
    found = {each.subject: each for each in await _written(engine, 3, action="refused")}
    assert set(found) == {f"POST /agent-execution/{task_id}/retry", "GET /workers", "POST /work"}
    assert {each.times for each in found.values()} == {1}
    refused = found[f"POST /agent-execution/{task_id}/retry"]
    assert (refused.key_id, refused.key_name, refused.role) == (key_id, "a viewer", "viewer")
    assert "has the role viewer" in (refused.error or "")
    assert (found["GET /workers"].key_id, found["GET /workers"].role) == ("wrong key", None)
    await _settled(serving, time.monotonic() + serving.service.timings.refusals)
    counted = await _written(engine, 6, action="refused")
    assert sorted(each.times for each in counted) == [1, 1, 1, 3, 3, 3]


async def _settled(serving: Serving, until: float) -> None:
    loop = serving.engine.core.wakeups.loop
    done = asyncio.get_running_loop().create_future()

    def settle() -> None:
        serving.service.refusals.settle(until)
        done.get_loop().call_soon_threadsafe(done.set_result, None)

    loop.call_soon_threadsafe(settle)
    await done


async def test_a_flood_of_refusals_is_a_few_lines(
    serving: Serving, engine: Engine, client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(refusals, "KINDS", 3)
    for number in range(12):
        await client.get(f"/{'o' * number}x/workers", headers={"x-api-key": "wrong"})
    await _settled(serving, time.monotonic())
    without_key = serving.service.refusals._kinds[False]  # pyright: ignore[reportPrivateUsage] # that it is bounded
    assert len(without_key) == 1
    for name in ("/workers", "/agents/list", "/requests", "/providers", "/conversations"):
        await client.get(name, headers={"x-api-key": "wrong"})
    assert len(without_key) == 4
    text, key_id = await key_of(engine, Role.Viewer)
    await client.post("/agent-execution/a", json={"input": {"text": "x"}}, headers={"x-api-key": text})
    (line,) = await _written(engine, 1, action="refused", key=key_id)
    assert line.subject == "POST /agent-execution/a", "who has no key hides nobody who has one"


async def test_who_has_no_key_fills_nobodys_log(serving: Serving, engine: Engine, client: httpx.AsyncClient) -> None:
    await client.get("/someone/workers", headers={"x-api-key": "wrong"})
    (line,) = await _written(engine, 1, action="refused")
    assert line.subject == "GET /someone/workers"


async def test_who_may_read_it(serving: Serving, engine: Engine, client: httpx.AsyncClient) -> None:
    text, _ = await key_of(engine, Role.Admin, "mine")
    for agent in ("mine", "theirs"):
        await client.delete(f"/agent-execution/{await made(client, agent)}")
    whole = (await client.get("/audit", params={"action": "task.stop"})).json()
    assert [each["agent_id"] for each in whole] == ["theirs", "mine"]
    own = (await client.get("/audit", headers={"x-api-key": text})).json()
    assert {each["agent_id"] for each in own} == {"mine"}
    for role in (Role.Viewer, Role.Client, Role.Worker):
        lesser, _ = await key_of(engine, role)
        assert (await client.get("/audit", headers={"x-api-key": lesser})).status_code == 403


async def test_the_page_shows_it_to_admins(serving: Serving, engine: Engine, client: httpx.AsyncClient) -> None:
    task_id = await made(client)
    await client.delete(f"/agent-execution/{task_id}")
    lesser, _ = await key_of(engine, Role.Client)
    async with httpx.AsyncClient(base_url=serving.base, timeout=30) as stream_client:
        browser = Browser(stream_client)
        await browser.sign_in(KEY)
        page = await browser.look("/ui/audit", action="task.stop")
        assert f"task {task_id}" in page
        assert "127.0.0.1" in page
        assert "/ui/audit" in await browser.look("/")
        await browser.send("/ui/sign-out")
        await browser.sign_in(lesser)
        assert "/ui/audit" not in await browser.look("/")
        await browser.look("/ui/audit", 403)


async def test_without_a_key_it_says_so(start: Start, engine: Engine) -> None:
    serving = await start()
    async with httpx.AsyncClient(base_url=serving.base, timeout=30) as client:
        await client.delete(f"/agent-execution/{await made(client)}")
    (line,) = await lines(engine)
    assert (line.key_id, line.role, line.address) == ("no key", "admin", "127.0.0.1")


async def test_no_line_looks_like_another_one(serving: Serving, engine: Engine, client: httpx.AsyncClient) -> None:
    turned = "a\u202eb\u200b\U000e0041\n"
    await engine.keys.create("default", name=turned)
    await client.get("/work\u202eers/x%0a", headers={"x-api-key": "wrong"})
    await client.get("/workers/%E2%80%AE", headers={"x-api-key": "wrong"})
    await client.get("/agents/%E2%80%AE%0Ax", headers={"x-api-key": "wrong"})
    found = await _written(engine, 2)
    assert {each.details["name"] for each in found if each.details} == {"ab"}
    for each in found:
        assert all(char.isprintable() for char in each.subject + each.key_name + (each.error or "")), each
    saved = await client.put("/agents/x", json={"id": "x", "name": turned, "unique_name": "x"})
    assert saved.json()["name"] == "ab"
