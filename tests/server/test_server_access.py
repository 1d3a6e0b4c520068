"""Keys: what each opens, and what it does not."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any
from uuid import NAMESPACE_URL, uuid5

import httpx
import psycopg
import pytest

from tests.server.conftest import KEY, Start
from tests.server.serving import Serving
from worker.engine.engine import Engine
from worker.server.main import is_loopback, serve
from worker.server.timings import ServerTimings
from worker.settings import Settings
from worker.words.errors import ConfigurationError
from worker.words.ids import new_id
from worker.words.roles import Role

Keyed = Callable[[str], Awaitable[httpx.AsyncClient]]


@pytest.fixture
async def keyed(serving: Serving) -> AsyncIterator[Keyed]:
    """A client with a key of its own."""
    async with AsyncExitStack() as stack:

        async def one(key: str) -> httpx.AsyncClient:
            client = httpx.AsyncClient(
                base_url=serving.base, headers=httpx.Headers([(b"x-api-key", key.encode())] if key else []), timeout=30
            )
            return await stack.enter_async_context(client)

        yield one


async def create(client: httpx.AsyncClient, agent: str = "analyst") -> dict[str, Any]:
    answer = await client.post(f"/agent-execution/{agent}", json={"input": {"text": "x"}})
    assert answer.status_code == 200, answer.text
    return answer.json()


@pytest.mark.parametrize("key", ["", "wrong", "wk_wrong", "\N{LATIN SMALL LETTER E WITH ACUTE}"])
async def test_a_wrong_key_opens_nothing(keyed: Keyed, key: str) -> None:
    client = await keyed(key)
    for method, path in (
        ("GET", "/agents/list"),
        ("GET", "/agent-execution/any/status"),
        ("POST", "/agent-execution/a"),
        ("GET", "/workers"),
        ("POST", "/work"),
        ("GET", "/agent-execution/any/events"),
        ("GET", f"/files/{'0' * 64}/a"),
        ("POST", "/events/w"),
    ):
        answer = await client.request(method, path, json={"input": {"text": "x"}, "verbs": [{}], "event": "x"})
        assert answer.status_code == 401, (path, answer.text)
        assert answer.json()["kind"] == "Unauthorized"
    assert (await client.get("/health")).status_code == 200


async def test_another_organizations_task_is_not_found(client: httpx.AsyncClient, keyed: Keyed, engine: Engine) -> None:
    task = await create(client)
    text, _ = await engine.keys.create("strangers")
    stranger = await keyed(text)
    task_id = task["id"]
    for method, path in (
        ("GET", f"/agent-execution/{task_id}/status"),
        ("PATCH", f"/agent-execution/{task_id}/update"),
        ("DELETE", f"/agent-execution/{task_id}"),
        ("POST", f"/agent-execution/{task_id}/retry"),
        ("GET", f"/agent-execution/{task_id}/events"),
        ("GET", f"/activity/analyst/{task_id}"),
        ("GET", f"/default/agent-execution/{task_id}/status"),
    ):
        answer = await stranger.request(method, path, json={"status": "completed"})
        assert answer.status_code == 404, (path, answer.text)
    pushed = await stranger.post(f"/agent-execution/{task_id}/events/push", json=[{"type": "chunk"}])
    assert pushed.status_code == 404
    assert (await stranger.get("/agent-execution/executions/history/analyst")).json() == []
    assert (await client.get(f"/agent-execution/{task_id}/status")).json() == task
    mine = await create(stranger)
    assert mine["organization_id"] == "strangers"
    assert (await stranger.get(f"/strangers/agent-execution/{mine['id']}/status")).status_code == 200


async def test_a_report_under_a_taken_id_does_not_tell_that_it_is_taken(
    client: httpx.AsyncClient, keyed: Keyed, engine: Engine
) -> None:
    theirs = await create(client, "writer")
    stranger = await keyed((await engine.keys.create("strangers"))[0])
    narrow = await keyed((await engine.keys.create("default", agents=["analyst"]))[0])
    for each in (stranger, narrow):
        reported = [
            await each.post("/agent-execution/analyst/report_task", json={"id": id_, "input": "x", "result": "R"})
            for id_ in (theirs["id"], f"free-{id(each)}", theirs["id"])
        ]
        assert [answer.status_code for answer in reported] == [200] * 3, reported[0].text
        assert [answer.json()["result"] for answer in reported] == ["R"] * 3
        assert reported[0].json() == reported[2].json()
        ids = [answer.json()["id"] for answer in reported]
        assert len(set(ids)) == 2
        assert not {theirs["id"], f"free-{id(each)}"} & set(ids), "a taken id looks as a free one does"
    assert (await client.get(f"/agent-execution/{theirs['id']}/status")).json() == theirs


async def test_a_childs_id_tells_nothing_about_the_idempotency_keys_of_others(
    client: httpx.AsyncClient, keyed: Keyed, engine: Engine
) -> None:
    other, _ = await engine.keys.create("acme", role=Role.Admin)
    stranger = await keyed(other)
    card = {"id": new_id(), "name": "w", "agents": ["mine"], "lease_seconds": 600}

    async def asked(**verb: Any) -> Any:
        body = {"worker_id": card["id"], "verbs": [verb]}
        return (await stranger.post("/work", json=body)).json()["results"][0]

    await asked(verb="register", card=card)
    task_id = (await create(stranger, "mine"))["id"]
    await asked(verb="assignments", demand={"total": 1, "agents": {"mine": 1}}, seconds=5)
    report = {"id": "order-17", "input": "x", "result": "y"}
    taken = (await client.post("/agent-execution/analyst/report_task", json=report)).json()["id"]
    free = str(uuid5(NAMESPACE_URL, "default analyst order-18"))
    assert taken == str(uuid5(NAMESPACE_URL, "default analyst order-17")), "whoever knows the names can compute it"
    told = set[str]()
    for child_id in (taken, free, "order-17"):
        child = {"child_id": child_id, "agent_id": "mine", "input": {"text": "x"}}
        answer = await asked(verb="make_children", task_id=task_id, attempt=1, children=[child])
        told.add(answer["error"]["description"])
    assert len(told) == 1
    assert "random UUID" in told.pop()
    child = {"child_id": new_id(), "agent_id": "mine", "input": {"text": "x"}}
    assert "error" not in await asked(verb="make_children", task_id=task_id, attempt=1, children=[child])


async def test_a_task_gets_no_child_from_another_organization(
    client: httpx.AsyncClient, keyed: Keyed, engine: Engine
) -> None:
    stranger = await keyed((await engine.keys.create("acme", role=Role.Admin))[0])
    theirs = await create(client)
    wish = {"input": {"text": "x"}, "parent_execution": theirs["id"]}
    assert (await stranger.post("/agent-execution/analyst", json=wish)).status_code == 200, "as with any other name"
    assert (await client.get(f"/agent-execution/{theirs['id']}/status")).json() == theirs
    assert (await client.delete(f"/agent-execution/{theirs['id']}")).status_code == 200
    (own,) = (await stranger.get("/agent-execution/executions/history")).json()
    assert own["status"] == "pending"


async def test_a_keys_agents_restrict_what_it_reaches(client: httpx.AsyncClient, keyed: Keyed, engine: Engine) -> None:
    text, _ = await engine.keys.create("default", role=Role.Admin, agents=["analyst"])
    narrow = await keyed(text)
    mine, other = await create(narrow), await create(client, "writer")
    assert (await narrow.post("/agent-execution/writer", json={"input": {"text": "x"}})).status_code == 404
    assert (await narrow.get(f"/agent-execution/{other['id']}/status")).status_code == 404
    assert (await narrow.patch(f"/agent-execution/{other['id']}/update", json={"title": "x"})).status_code == 404
    assert (await narrow.delete(f"/agent-execution/{other['id']}")).status_code == 404
    assert (await narrow.get("/default/events/writer/")).status_code == 404
    assert (await narrow.get("/agent-execution/executions/history/writer")).status_code == 404
    found = (await narrow.get("/agent-execution/executions/history")).json()
    assert [item["id"] for item in found] == [mine["id"]]
    verbs = [{"verb": "save", "task_id": other["id"], "changes": {"title": "x"}}]
    (result,) = (await narrow.post("/work", json={"worker_id": "w", "verbs": verbs})).json()["results"]
    assert result["error"]["status_code"] == 404
    card = {"id": "w", "name": "w", "agents": ["writer"]}
    cards = [card, {**card, "agents": [], "any_agent": True}]
    verbs = [{"verb": "register", "card": each} for each in cards]
    results = (await narrow.post("/work", json={"worker_id": None, "verbs": verbs})).json()["results"]
    assert [result["error"]["status_code"] for result in results] == [404, 422]
    allowance = await client.post("/metadata/api_key_allowance", json={"api_key": text})
    assert allowance.json() == {"api_key": text, "agent_ids": ["analyst"]}
    assert (await client.post("/metadata/api_key_allowance", json={"api_key": "x"})).json()["agent_ids"] == []


@pytest.mark.parametrize("server_timings", [ServerTimings(known_key=0.0)], ids=["caches no key"])
async def test_a_revoked_or_expired_key_opens_nothing(keyed: Keyed, engine: Engine, database_url: str) -> None:
    revoked, key = await engine.keys.create("default")
    expired, old = await engine.keys.create("default", seconds=3600)
    clients = [await keyed(revoked), await keyed(expired)]
    assert [(await each.get("/agents/list")).status_code for each in clients] == [200, 200]
    await engine.keys.revoke(key.id)
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("update worker.keys set expires_at = now() where id = %s", (old.id,))
    assert [(await each.get("/agents/list")).status_code for each in clients] == [401, 401]


async def test_a_key_is_stored_as_its_digest_alone(engine: Engine, database_url: str) -> None:
    text, _ = await engine.keys.create("default", name="of a test")
    with psycopg.connect(database_url) as connection:
        rows = str(connection.execute("select * from worker.keys").fetchall())
    assert "of a test" in rows
    assert text not in rows
    assert text.removeprefix("wk_") not in rows


@pytest.mark.parametrize("server_timings", [ServerTimings(known_key=0.0)], ids=["caches no key"])
async def test_a_server_without_any_key_is_open_until_there_is_one(start: Start, engine: Engine) -> None:
    serving = await start()
    async with httpx.AsyncClient(base_url=serving.base, timeout=30) as client:
        await create(client)
        await engine.keys.create("default")
        assert (await client.get("/agents/list")).status_code == 401


def test_beyond_loopback_a_server_without_a_key_does_not_start(
    database_url: str, environment: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ConfigurationError, match=r"cannot listen on 0\.0\.0\.0 without an API key: set WORKER_API_KEY"):
        serve(Settings(), host="0.0.0.0")  # noqa: S104 - what is refused
    monkeypatch.setenv("PORT", "0")
    with pytest.raises(ConfigurationError, match="without an API key"):
        serve(Settings())


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("127.0.0.1", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),  # noqa: S104 - what is told apart
        ("example.com", False),
        ("::", False),
    ],
)
def test_loopback_is_told_from_the_rest(host: str, loopback: bool) -> None:
    assert is_loopback(host) is loopback


def test_the_tests_key_is_none_of_the_stored_form() -> None:
    assert not KEY.startswith("wk_")


async def test_a_worker_of_some_agents_makes_nobody_elses_tasks_wait_for_a_provider(
    client: httpx.AsyncClient, keyed: Keyed, engine: Engine
) -> None:
    everybodys = await keyed((await engine.keys.create("default", role=Role.Worker))[0])
    narrow = [
        await keyed((await engine.keys.create("default", role=Role.Worker, agents=[agent]))[0])
        for agent in ("analyst", "writer")
    ]
    failed = {"verb": "provider_failed", "id": "p", "error_code": "quota", "message": "m", "opens": True}

    async def asked(by: httpx.AsyncClient, verb: dict[str, Any]) -> Any:
        (result,) = (await by.post("/work", json={"worker_id": None, "verbs": [verb]})).json()["results"]
        return result["value"]

    async def seen() -> list[list[str]]:
        return [[each["id"] for each in await asked(by, {"verb": "providers"})] for by in narrow]

    assert (await asked(narrow[0], failed))["id"] == "p"
    assert await seen() == [["p"], []]
    known = {each.id for each in await engine.work.providers()}
    assert "p" not in known
    await asked(everybodys, failed)
    await asked(narrow[1], {"verb": "provider_answered", "id": "p"})
    assert {each.id for each in await engine.work.providers()} == known | {"p"}
    await asked(narrow[0], {"verb": "provider_answered", "id": "p"})
    assert await seen() == [[], []]
    assert [each.id for each in await engine.work.providers()] == ["p"]


async def test_a_key_of_some_agents_gives_no_task_of_another_a_child(
    client: httpx.AsyncClient, keyed: Keyed, engine: Engine
) -> None:
    theirs = await create(client, "writer")
    narrow = await keyed((await engine.keys.create("default", agents=["analyst"]))[0])
    for parent in (theirs["id"], "there-is-none"):
        wish = {"input": {"text": "x"}, "parent_execution": parent}
        assert (await narrow.post("/agent-execution/analyst", json=wish)).status_code == 404
    assert (await client.get(f"/agent-execution/{theirs['id']}/status")).json() == theirs
    own = await create(narrow)
    wish = {"input": {"text": "x"}, "parent_execution": own["id"]}
    assert (await narrow.post("/agent-execution/analyst", json=wish)).status_code == 200
