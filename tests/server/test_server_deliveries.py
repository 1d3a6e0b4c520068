"""Failed deliveries over HTTP: what a key may see and retry."""

import httpx

from tests.contract.steps import create, deliver, worker
from tests.server.conftest import KEY, Start
from tests.server.serving import Serving
from worker.engine.engine import Engine
from worker.words.statuses import TaskUpdateEventType as Type
from worker.words.work import Subscription


async def set_aside(engine: Engine, *agents: str) -> None:
    """Have a delivery of a task of each agent set aside."""
    by = await worker(engine, *agents, subscriptions=[Subscription("handlers.tell", Type.TaskCreated)])
    for agent in agents:
        await create(engine, agent=agent)
    for delivery in await deliver(engine, by):
        await engine.work.settle(delivery, "gone", final=True)


async def test_a_key_for_some_agents_sees_and_retries_deliveries_of_theirs_alone(
    serving: Serving, client: httpx.AsyncClient, engine: Engine
) -> None:
    await set_aside(engine, "mine", "other")
    assert {each["agent_id"] for each in (await client.get("/deliveries")).json()} == {"mine", "other"}
    key, _ = await engine.keys.create("default", agents=["mine"])
    async with httpx.AsyncClient(base_url=serving.base, headers={"x-api-key": key}, timeout=30) as limited:
        (item,) = (await limited.get("/default/deliveries/")).json()
        assert (item["agent_id"], item["state"], item["error"]) == ("mine", "set_aside", "gone")
        assert (await limited.post("/deliveries/retry", json={"all": True})).json() == {"retried": 1}
    left = (await client.get("/deliveries", params={"state": "set_aside"})).json()
    assert [each["agent_id"] for each in left] == ["other"]


async def test_wrong_wishes_are_refused_by_name(client: httpx.AsyncClient) -> None:
    for body in ({}, {"ids": ["x"]}, {"ids": "x"}, {"all": "maybe"}, {"ids": ["1.2." + "t" * 300]}):
        answer = await client.post("/deliveries/retry", json=body)
        assert answer.status_code == 422, body
        assert answer.json()["description"]
    for query in ({"state": "lost"}, {"limit": 0}, {"before": "x"}):
        assert (await client.get("/deliveries", params=query)).status_code == 422, query
    assert (await client.post("/deliveries/retry", json={"ids": []})).json() == {"retried": 0}
    assert (await client.post("/deliveries/retry", json={"ids": ["1.2.unknown"]})).json() == {"retried": 0}


async def test_without_the_key_nothing_is_told(serving: Serving) -> None:
    async with httpx.AsyncClient(base_url=serving.base, timeout=30) as stranger:
        assert (await stranger.get("/deliveries")).status_code == 401
        assert (await stranger.post("/deliveries/retry", json={"all": True})).status_code == 401


async def test_a_webhook_url_is_refused_early_where_it_would_never_be_posted_to(
    client: httpx.AsyncClient, start: Start
) -> None:
    wish = {"input": {"text": "x"}, "webhook_url": "http://hooks.example/x"}
    for url in (wish["webhook_url"], "file:///etc/passwd", "https://user:canary@hooks.example/", 7):
        refused = await client.post("/agent-execution/a", json={**wish, "webhook_url": url})
        assert (refused.status_code, refused.json()["field"]) == (422, "webhook_url"), refused.text
        assert "canary" not in refused.text
    lenient = await start(key=KEY, allow_private_urls=True)
    async with httpx.AsyncClient(base_url=lenient.base, headers={"x-api-key": KEY}, timeout=30) as other:
        assert (await other.post("/agent-execution/a", json=wish)).status_code == 200
