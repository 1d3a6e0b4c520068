"""Knowledge bases over HTTP, as the public client asks for them, and which of them a key reaches."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import httpx
import pytest

from tests.server.serving import Serving
from worker.engine.engine import Engine
from worker.words.agents import AgentRecord
from worker.words.knowledge import AgentKnowledgeBase
from worker.words.roles import Role

Holder = Callable[..., Awaitable[httpx.AsyncClient]]


@pytest.fixture
async def holder(serving: Serving, engine: Engine) -> AsyncIterator[Holder]:
    """Clients with keys of their own."""
    async with AsyncExitStack() as stack:

        async def one(role: Role = Role.Client, *agents: str) -> httpx.AsyncClient:
            text, _ = await engine.keys.create("default", role=role, agents=agents)
            client = httpx.AsyncClient(base_url=serving.base, headers={"x-api-key": text}, timeout=30)
            return await stack.enter_async_context(client)

        yield one


async def made(client: httpx.AsyncClient, name: str) -> dict[str, Any]:
    answer = await client.post("/knowledge_bases/create", json={"name": name, "description": ""})
    return answer.raise_for_status().json()


async def test_the_public_clients_five_routes(holder: Holder) -> None:
    client = await holder()
    base = await made(client, "docs")
    for field in ("id", "name", "type", "organization_id", "total_documents"):
        assert base[field] is not None
    assert base["type"] == "managed"
    path = f"/knowledge_bases/{base['id']}"
    assert [each["id"] for each in (await client.get("/knowledge_bases")).json()] == [base["id"]]
    assert (await client.get(f"{path}/details")).json()["name"] == "docs"
    wish = [{"document_url": "https://example.com/a.txt", "sync": False}]
    (document,) = (await client.post(path, json=wish)).raise_for_status().json()
    assert (document["kb_id"], document["document_url"]) == (base["id"], "https://example.com/a.txt")
    assert (await client.get(f"{path}/list")).json() == [document]
    query = {"search_query": "x", "use_bubble": "false", "bubble_size": 1000, "top_k": 10}
    assert (await client.get(path, params=query)).json() == []
    refused = await client.delete(path)  # it means to name documents, and sends none
    assert (refused.status_code, refused.json()["field"]) == (422, "body")
    assert (await client.request("DELETE", path, json=[document["id"]])).json() == {"removed": 1}
    assert (await client.delete(f"{path}/erase")).status_code == 200
    assert (await client.get(f"{path}/details")).status_code == 404
    for body in ([], [{"document_url": "file:///etc/passwd"}], [{}], {"document_url": "x"}):
        assert (await client.post(path, json=body)).status_code in (404, 422)
    assert (await client.post("/knowledge_bases/create", json={"name": ""})).status_code == 422


async def test_a_key_of_some_agents_reaches_what_they_search_and_what_it_has_made(
    holder: Holder, engine: Engine
) -> None:
    whole, runner, other = await holder(), await holder(Role.Client, "clerk"), await holder(Role.Client, "other")
    hidden, attached = await made(whole, "hidden"), await made(whole, "attached")
    own = await made(runner, "own")
    record = AgentRecord(id="clerk", name="c", unique_name="c", knowledge_bases=[AgentKnowledgeBase(id=attached["id"])])
    await engine.tasks.save_agent(record)
    assert [each["name"] for each in (await runner.get("/knowledge_bases")).json()] == ["attached", "own"]
    assert (await other.get("/knowledge_bases")).json() == []
    for base, status in ((hidden, 404), (attached, 200), (own, 200)):
        path = f"/knowledge_bases/{base['id']}"
        assert (await runner.get(path, params={"search_query": "x"})).status_code == status
        assert (await runner.get(f"{path}/list")).status_code == status
        assert (await other.get(path)).status_code == 404
        assert (await other.delete(f"{path}/erase")).status_code == 404
    (document,) = (await runner.post(f"/knowledge_bases/{own['id']}", json=[{"document_url": "data:,x"}])).json()
    followed = f"/agent-execution/{document['task_id']}/status"
    assert [(await each.get(followed)).status_code for each in (runner, whole, other)] == [200, 200, 404]
    reference = (await whole.post("/files", params={"name": "f"}, content=b"secret")).json()["reference"]
    stolen = await runner.post(f"/knowledge_bases/{own['id']}", json=[{"document_url": reference}])
    assert stolen.status_code == 404


async def test_viewers_and_workers_search_and_change_nothing(holder: Holder) -> None:
    base = await made(await holder(), "docs")
    path = f"/knowledge_bases/{base['id']}"
    for role in (Role.Viewer, Role.Worker):
        client = await holder(role)
        assert (await client.get(path, params={"search_query": "x"})).status_code == 200
        assert (await client.post(path, json=[{"document_url": "data:,x"}])).status_code == 403
        assert (await client.post("/knowledge_bases/create", json={"name": "x"})).status_code == 403
        assert (await client.delete(f"{path}/erase")).status_code == 403
