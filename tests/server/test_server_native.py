"""``POST /work`` and the stream of a native worker."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import asdict
from typing import Any

import httpx
import psycopg
import pytest

from tests.server.conftest import KEY, Start
from tests.server.serving import Serving, aevents_in
from tests.support import wait_until
from worker.contracts import Capabilities
from worker.engine.verbs.work import EngineWork
from worker.words.errors import Unavailable

CARD = {"id": "w1", "name": "a worker", "agents": ["analyst"], "concurrency": 5, "lease_seconds": 30}

Verb = dict[str, Any]
Ask = Callable[..., Coroutine[Any, Any, list[dict[str, Any]]]]


@pytest.fixture
def ask(client: httpx.AsyncClient) -> Ask:
    async def one(*verbs: Verb, worker_id: str | None = "w1") -> list[dict[str, Any]]:
        answer = await client.post("/default/work", json={"worker_id": worker_id, "verbs": verbs})
        assert answer.status_code == 200, answer.text
        return answer.json()["results"]

    return one


async def create(client: httpx.AsyncClient, text: str = "x") -> str:
    return (await client.post("/agent-execution/analyst", json={"input": {"text": text}})).json()["id"]


def demand(count: int = 1, seconds: float = 5, **more: Any) -> Verb:
    return {"verb": "assignments", "demand": {"total": count, "agents": {"analyst": count}}, "seconds": seconds, **more}


async def register(ask: Ask) -> None:
    (result,) = await ask({"verb": "register", "card": CARD}, worker_id=None)
    assert result["value"]["server"] == "agno-worker"
    assert result["value"]["capabilities"] == asdict(Capabilities())


async def test_a_tasks_life_in_verbs(client: httpx.AsyncClient, ask: Ask) -> None:
    await register(ask)
    task_id = await create(client)
    ((assignment,),) = [result["value"] for result in await ask(demand())]
    assert (assignment["task"]["id"], assignment["attempt"]) == (task_id, 1)
    run = {"task_id": task_id, "attempt": 1}
    results = await ask(
        {"verb": "emit", **run, "events": [{"type": "chunk", "data": "c"}], "journal": [["k", "[1]"]]},
        {"verb": "save", **run, "changes": {"internal_status": "busy"}},
        {"verb": "journal", "task_id": task_id},
        {"verb": "lost", "held": {task_id: 1, "gone": 1}},
        {"verb": "renew"},
        {"verb": "finish", **run, "outcome": {"status": "completed", "changes": {"result": "R"}}},
        {"verb": "finish", "task_id": task_id, "attempt": 9, "outcome": {"status": "completed"}},
        {"verb": "emit", "task_id": "unknown", "attempt": 1, "events": [{"type": "chunk"}]},
        {"verb": "dance"},
        {"verb": "emit", **run, "events": "none"},
    )
    assert results[0] == {"value": None}
    assert results[1]["value"]["internal_status"] == "busy"
    assert results[2] == {"value": {"k": "[1]"}}
    assert results[3] == {"value": {"gone": "stopped"}}
    assert results[4:6] == [{"value": None}] * 2
    errors = [(each["error"]["status_code"], each["error"]["kind"]) for each in results[6:]]
    assert errors == [(409, "LeaseLost"), (404, "TaskNotFound"), (422, "ValidationError"), (422, "ValidationError")]
    assert results[9]["error"]["field"] == "events"
    task = (await client.get(f"/agent-execution/{task_id}/status")).json()
    assert (task["status"], task["result"], task["internal_status"]) == ("completed", "R", "busy")
    assert (await ask({"verb": "leave"})) == [{"value": None}]
    assert (await client.get("/workers")).json() == {"workers": []}


@pytest.fixture
async def elsewhere(start: Start) -> AsyncIterator[Ask]:
    """The same questions to another server process on the same database."""
    other = await start(key=KEY)
    async with httpx.AsyncClient(base_url=other.base, headers={"x-api-key": KEY}, timeout=30) as client:

        async def one(*verbs: Verb, worker_id: str | None = "w1") -> list[dict[str, Any]]:
            answer = await client.post("/work", json={"worker_id": worker_id, "verbs": verbs})
            assert answer.status_code == 200, answer.text
            return answer.json()["results"]

        yield one


async def test_writes_that_are_sent_again_are_carried_out_once_whichever_process_they_reach(
    client: httpx.AsyncClient, ask: Ask, elsewhere: Ask
) -> None:
    await register(ask)
    task_id = await create(client)
    await ask(demand())
    run = {"task_id": task_id, "attempt": 1}
    batch = [
        {"verb": "emit", **run, "sequence": number, "events": [{"type": "chunk", "data": number}]} for number in (1, 2)
    ]
    done = [{"value": None}] * 2
    assert await asyncio.gather(ask(*batch), elsewhere(*batch), ask(*batch), elsewhere(*batch)) == [done] * 4
    assert await _chunks(client, task_id) == [1, 2]
    assert await elsewhere({**batch[0], "sequence": 3}) == [{"value": None}]
    assert await _chunks(client, task_id) == [1, 2, 1]
    (stale,) = await elsewhere({**batch[0], "attempt": 2, "sequence": 4})
    assert stale["error"]["kind"] == "LeaseLost"


async def _chunks(client: httpx.AsyncClient, task_id: str) -> list[Any]:
    async with client.stream("GET", f"/agent-execution/{task_id}/events?follow=false") as response:
        events = [event["data"] async for event in aevents_in(response)]
    return [event["data"] for event in events if event["type"] == "chunk"]


@pytest.mark.parametrize(
    ("last_word", "status", "errors"),
    [
        ({"verb": "finish", "outcome": {"status": "completed", "changes": {"result": "R"}}}, "completed", 0),
        ({"verb": "finish", "outcome": {"status": "paused"}}, "paused", 0),
        ({"verb": "hand_back", "error": "it raised", "delay": 100}, "pending", 1),
        ({"verb": "crashed", "reason": "was killed by SIGKILL", "delay": 100}, "pending", 0),
    ],
)
async def test_a_last_word_that_is_sent_again_is_taken_once_and_is_no_lost_lease(
    *, client: httpx.AsyncClient, ask: Ask, elsewhere: Ask, last_word: Verb, status: str, errors: int
) -> None:
    await register(ask)
    task_id = await create(client)
    await ask(demand())
    verb = {**last_word, "task_id": task_id, "attempt": 1, "sequence": 7}
    assert await ask(verb) == await elsewhere(verb) == [{"value": None}]
    task = (await client.get(f"/agent-execution/{task_id}/status")).json()
    assert (task["status"], task["errors"], task["last_event"]) == (status, errors, 3)
    assert task["crashes"] == (last_word["verb"] == "crashed")


async def test_what_follows_a_write_of_unknown_fate_is_not_written(
    serving: Serving, client: httpx.AsyncClient, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    await register(ask)
    task_id = await create(client)
    await ask(demand())
    real = EngineWork.emit

    async def broken(self: EngineWork, *arguments: Any, sequence: int | None = None) -> None:
        if sequence == 1:
            raise Unavailable("the connection broke")
        await real(self, *arguments, sequence=sequence)

    monkeypatch.setattr(EngineWork, "emit", broken)
    run = {"verb": "emit", "task_id": task_id, "attempt": 1}
    batch = [{**run, "sequence": number, "events": [{"type": "chunk", "data": number}]} for number in (1, 2)]
    assert [each["error"]["status_code"] for each in await ask(*batch)] == [503, 503]
    monkeypatch.setattr(EngineWork, "emit", real)
    assert await ask(*batch) == [{"value": None}] * 2
    assert await _chunks(client, task_id) == [1, 2]


async def test_deliveries_whose_answer_was_lost_are_due_again_through_any_process(
    client: httpx.AsyncClient, ask: Ask, elsewhere: Ask
) -> None:
    wish = {"handler": "h", "event_type": "task_finished", "agent_id": None}
    await ask({"verb": "register", "card": {**CARD, "subscriptions": [wish]}}, worker_id=None)
    for _ in range(2):
        await client.delete(f"/agent-execution/{await create(client)}")
    claim = {"verb": "deliveries", "limit": 1, "seconds": 5}
    ((kept,),) = [result["value"] for result in await ask(claim)]
    ((lost,),) = [result["value"] for result in await ask(claim)]  # as if this answer had never arrived
    assert await elsewhere({**claim, "seconds": 0}) == [{"value": []}]
    held = [{"subscription_id": kept["subscription_id"], "task_id": kept["task"]["id"], "claim": kept["claim"]}]
    ((again,),) = [result["value"] for result in await elsewhere({**claim, "held": held})]
    assert (again["task"]["id"], again["tries"], again["claim"]) == (lost["task"]["id"], 0, lost["claim"] + 1)
    settle = {"verb": "settle", "delivery": {**held[0], "number": 2}}
    assert await ask(settle) == [{"value": False}]


async def test_deliveries_for_a_client_that_hung_up_are_due_again(client: httpx.AsyncClient, ask: Ask) -> None:
    wish = {"handler": "h", "event_type": "task_finished", "agent_id": None}
    await ask({"verb": "register", "card": {**CARD, "subscriptions": [wish]}}, worker_id=None)
    claim = {"verb": "deliveries", "limit": 5, "seconds": 25}
    with pytest.raises(httpx.ReadTimeout):
        await client.post("/work", json={"worker_id": "w1", "verbs": [claim]}, timeout=0.5)
    task_id = await create(client)
    await client.delete(f"/agent-execution/{task_id}")
    ((delivery,),) = [result["value"] for result in await ask(claim)]
    assert (delivery["task"]["id"], delivery["tries"]) == (task_id, 0)


async def test_an_assignment_lost_on_its_way_is_queued_again_through_another_process(
    client: httpx.AsyncClient, ask: Ask, elsewhere: Ask
) -> None:
    await register(ask)
    task_id = await create(client)
    await ask(demand())  # as if this answer had never arrived
    ((assignment,),) = [result["value"] for result in await elsewhere(demand(held=[]))]
    assert (assignment["task"]["id"], assignment["attempt"]) == (task_id, 2)


async def test_a_long_poll_is_answered_when_work_comes(client: httpx.AsyncClient, ask: Ask) -> None:
    await register(ask)
    polls = [asyncio.create_task(ask(demand(seconds=20))) for _ in range(2)]
    tasks = {await create(client), await create(client)}
    results = await asyncio.wait_for(asyncio.gather(*polls), 10)
    given = {each["task"]["id"] for result in results for each in result[0]["value"]}
    assert given <= tasks
    assert given


async def test_nothing_is_claimed_for_a_client_that_hung_up(
    serving: Serving, client: httpx.AsyncClient, ask: Ask
) -> None:
    await register(ask)
    with pytest.raises(httpx.ReadTimeout):
        await client.post("/work", json={"worker_id": "w1", "verbs": [demand(seconds=25)]}, timeout=0.5)
    task_id = await create(client)

    async def untouched() -> bool:
        await ask({"verb": "renew"})
        return (await client.get(f"/agent-execution/{task_id}/status")).json()["status"] == "pending"

    await wait_until(untouched, "the task is pending")
    ((assignment,),) = [result["value"] for result in await ask(demand())]
    assert assignment["task"]["id"] == task_id


async def test_what_an_answer_lost_on_its_way_is_queued_again(client: httpx.AsyncClient, ask: Ask) -> None:
    await register(ask)
    task_id = await create(client)
    await ask(demand())  # as if this answer had never arrived
    ((assignment,),) = [result["value"] for result in await ask(demand(held=[]))]
    assert (assignment["task"]["id"], assignment["attempt"]) == (task_id, 2)
    assert (await client.get(f"/agent-execution/{task_id}/status")).json()["crashes"] == 0
    assert await ask(demand(seconds=0, held=[task_id])) == [{"value": []}]


async def test_long_polls_come_alone(client: httpx.AsyncClient, ask: Ask) -> None:
    await register(ask)
    answer = await client.post("/work", json={"worker_id": "w1", "verbs": [demand(), {"verb": "renew"}]})
    assert (answer.status_code, answer.json()["field"]) == (422, "verbs")
    for verbs in ([], [{"verb": "renew"}] * 513):
        assert (await client.post("/work", json={"worker_id": "w1", "verbs": verbs})).status_code == 422


async def test_the_stream_tells_of_stopped_tasks_and_hints_at_work(
    serving: Serving, client: httpx.AsyncClient, ask: Ask
) -> None:
    await register(ask)
    async with client.stream("GET", "/default/events/-/?worker_id=w1&native=1") as response:
        events = aevents_in(response)
        first = await anext(events)
        assert (first["event"], first["data"]["id"]) == ("worker-registration", "w1")
        task_id = await create(client)
        assert await _next(events, "work") == {}
        await ask(demand())
        await client.delete(f"/agent-execution/{task_id}")
        assert await _next(events, "task-stop") == {"task_id": task_id, "status": "stopped"}


async def _next(events: Any, name: str) -> Any:
    async with asyncio.timeout(10):
        async for event in events:
            if event["event"] == name:
                return event["data"]
    raise AssertionError(f"the stream ended without {name}")


async def test_an_unknown_worker_has_no_stream(client: httpx.AsyncClient) -> None:
    assert (await client.get("/default/events/-/?worker_id=nobody&native=1")).status_code == 404


async def test_the_lease_of_a_native_worker_is_three_heartbeats_and_its_stream_holds_it(
    client: httpx.AsyncClient, ask: Ask, database_url: str
) -> None:
    await register(ask)

    def left() -> float:
        with psycopg.connect(database_url) as connection:
            sql = "select extract(epoch from lease_until - now())::float8 from worker.workers where id = 'w1'"
            row = connection.execute(sql).fetchone()
            assert row is not None
            return row[0]

    assert 4 < left() <= 6
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("update worker.workers set lease_until = now() + interval '1 s'")
    async with client.stream("GET", "/default/events/-/?worker_id=w1&native=1"):
        await wait_until(lambda: left() > 4, "the open stream renewed the lease")


async def test_deliveries_are_claimed_and_settled(client: httpx.AsyncClient, ask: Ask) -> None:
    wish = {"handler": "h", "event_type": "task_finished", "agent_id": None}
    await ask({"verb": "register", "card": {**CARD, "subscriptions": [wish]}}, worker_id=None)
    task_id = await create(client)
    await client.delete(f"/agent-execution/{task_id}")
    (result,) = await ask({"verb": "deliveries", "limit": 5, "seconds": 10})
    (delivery,) = result["value"]
    assert (delivery["subscription"], delivery["task"]["id"]) == (wish, task_id)
    assert (delivery["event"]["type"], delivery["event"]["number"]) == ("task_finished", 2)
    named = {name: delivery[name] for name in ("subscription_id", "claim", "tries")}
    settle = {"verb": "settle", "delivery": {**named, "task_id": task_id, "number": 2}, "error": None}
    assert await ask(settle) == [{"value": False}]
    (again,) = await ask(settle)
    assert again["error"]["kind"] == "LeaseLost"
