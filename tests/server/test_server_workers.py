"""Bare workers: registered on our server, given tasks, their results land."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import psycopg
import pytest

from tests.server.conftest import KEY, Start
from tests.server.serving import BareWorker, Serving
from tests.support import wait_until
from worker.engine.timings import EngineTimings
from worker.server.timings import ServerTimings

OpenWorker = Callable[..., Awaitable[BareWorker]]


async def create(client: httpx.AsyncClient, text: str = "do it", **fields: Any) -> dict[str, Any]:
    answer = await client.post("/agent-execution/analyst", json={"input": {"text": text}, **fields})
    assert answer.status_code == 200, answer.text
    return answer.json()


async def read(client: httpx.AsyncClient, task_id: str) -> dict[str, Any]:
    return (await client.get(f"/agent-execution/{task_id}/status")).json()


async def given(worker: BareWorker, count: int) -> list[str]:
    await wait_until(lambda: len(worker.given) >= count, f"{count} tasks on the worker's stream")
    return worker.given


async def test_a_bare_worker_is_given_tasks_and_its_results_land(
    client: httpx.AsyncClient, bare_worker: OpenWorker
) -> None:
    worker = await bare_worker()
    assert {"id", "name", "organization_id", "type", "created_at", "dedicated_agent_id"} <= worker.registration.keys()
    assert worker.registration["type"] == "worker"
    assert "configuration" not in worker.registration
    tasks = [await create(client, f"task {number}") for number in range(3)]
    done: list[str] = []
    for _ in tasks:
        task_id = (await given(worker, len(done) + 1))[len(done)]
        assert (await worker.save(task_id, status="executing")).json()["status"] == "executing"
        pushed = [{"type": "chunk", "task_id": task_id, "data": "half"}]
        assert (await client.post(f"/agent-execution/{task_id}/events/push", json=pushed)).status_code == 200
        whole = await read(client, task_id)
        saved = await worker.save(task_id, **{**whole, "status": "completed", "result": f"did {task_id}"})
        assert saved.status_code == 200, saved.text
        done.append(task_id)
    for task in tasks:
        ended = await read(client, task["id"])
        assert (ended["status"], ended["result"]) == ("completed", f"did {task['id']}")
        assert ended["execution_attempts"] == 1
    assert sorted(done) == sorted(task["id"] for task in tasks)


async def test_the_next_assignment_goes_out_after_the_first_patch_of_the_last(
    client: httpx.AsyncClient, bare_worker: OpenWorker
) -> None:
    worker = await bare_worker()
    for number in range(3):
        await create(client, f"task {number}")
    first = (await given(worker, 1))[0]
    await asyncio.wait_for(_nothing_more(worker, 1), 5)
    await worker.save(first, status="executing")
    assert len(await given(worker, 2)) == 2
    await asyncio.wait_for(_nothing_more(worker, 2), 5)


async def _nothing_more(worker: BareWorker, count: int) -> None:
    """A heartbeat and back is longer than an assignment takes; three of them, one after another."""
    for _ in range(20):
        assert (await worker.say("worker-heartbeat", "now")).json() == {"accepted": True}
        assert len(worker.given) == count


async def test_a_busy_worker_is_given_nothing_until_it_is_free(
    client: httpx.AsyncClient, bare_worker: OpenWorker
) -> None:
    worker = await bare_worker()
    await worker.say("worker-capacity-update", {"is_busy": True})
    await create(client)
    await _nothing_more(worker, 0)
    await worker.say("worker-capacity-update", {"is_busy": False})
    await given(worker, 1)


async def test_what_was_not_begun_goes_back_at_once_when_the_stream_drops_and_what_runs_does_not(
    client: httpx.AsyncClient, bare_worker: OpenWorker
) -> None:
    worker = await bare_worker()
    begun = await create(client, "begun")
    await given(worker, 1)
    await worker.save(begun["id"], status="executing")
    waiting = await create(client, "waiting")
    await given(worker, 2)
    await worker.close()

    async def is_back() -> bool:
        return (await read(client, waiting["id"]))["status"] == "pending"

    await wait_until(is_back, "the task that was not begun is pending again")
    task = await read(client, waiting["id"])
    assert (task["crashes"], task["errors"]) == (0, 0)
    assert (await read(client, begun["id"]))["status"] == "executing"
    assert (await worker.save(begun["id"], status="completed", result="R")).json()["result"] == "R"


def _dropped(url: str, worker_id: str) -> bool:
    with psycopg.connect(url) as connection:
        row = connection.execute("select dropped_at is not null from worker.workers where id = %s", (worker_id,))
        return row.fetchone() == (True,)


async def test_a_worker_that_comes_back_within_a_minute_gets_its_id_again(
    bare_worker: OpenWorker, database_url: str
) -> None:
    """The public client's heartbeats go on under the id it knows until it is told another."""
    first = await bare_worker()
    await first.close()
    await wait_until(lambda: _dropped(database_url, first.id), "the end of its stream is known")
    coming = asyncio.ensure_future(bare_worker())

    async def back() -> bool:
        await first.say("worker-heartbeat", "now")
        return coming.done()

    await wait_until(back, "it is registered again")
    assert (await coming).id == first.id
    other = await bare_worker("another-agent")
    assert other.id != first.id


@pytest.mark.parametrize("server_timings", [ServerTimings(rejoin=0.5)], ids=["rejoins soon"])
async def test_a_new_process_in_the_place_of_a_dead_one_does_not_keep_its_tasks_alive(
    client: httpx.AsyncClient, bare_worker: OpenWorker, database_url: str
) -> None:
    """It has the same key, agent and address, and comes within seconds; nobody heartbeats for the one before it."""
    first = await bare_worker()
    task = await create(client)
    await given(first, 1)
    await first.save(task["id"], status="executing")
    await first.close()
    await wait_until(lambda: _dropped(database_url, first.id), "the end of its stream is known")
    before = _lease(database_url, first.id)
    second = await bare_worker()
    assert second.id != first.id
    await second.say("worker-heartbeat", "now")
    assert _lease(database_url, first.id) == before
    assert second.given == []


async def test_two_workers_at_once_have_ids_of_their_own(bare_worker: OpenWorker) -> None:
    first, second = await bare_worker(), await bare_worker()
    assert first.id != second.id


async def test_heartbeats_may_reach_another_server_process(
    start: Start, client: httpx.AsyncClient, bare_worker: OpenWorker, database_url: str
) -> None:
    worker = await bare_worker()
    other = await start(key=KEY)
    async with httpx.AsyncClient(base_url=other.base, headers={"x-api-key": KEY}, timeout=30) as elsewhere:
        before = _lease(database_url, worker.id)
        url = f"/default/events/{worker.id}?type=worker&agent_id=analyst"
        answer = await elsewhere.post(url, json={"id": worker.id, "event": "worker-heartbeat", "data": "now"})
        assert answer.json() == {"accepted": True}
        assert _lease(database_url, worker.id) > before
        busy = {"id": worker.id, "event": "worker-capacity-update", "data": {"is_busy": True}}
        await elsewhere.post(url, json=busy)
        await create(client)
        await _nothing_more(worker, 0)
        await elsewhere.post(url, json={**busy, "data": {"is_busy": False}})
        await given(worker, 1)


def _lease(url: str, worker_id: str) -> Any:
    with psycopg.connect(url) as connection:
        row = connection.execute("select lease_until from worker.workers where id = %s", (worker_id,)).fetchone()
        assert row is not None
        return row[0]


async def test_a_stopped_task_is_told_on_the_workers_stream(client: httpx.AsyncClient, bare_worker: OpenWorker) -> None:
    worker = await bare_worker()
    task = await create(client)
    await given(worker, 1)
    await worker.save(task["id"], status="executing")
    await client.delete(f"/agent-execution/{task['id']}")
    told = ("task-stop", {"task_id": task["id"], "status": "stopped"})
    await wait_until(lambda: told in worker.events, "the stop on the worker's stream")
    late = await worker.save(task["id"], status="completed", result="too late")
    assert (late.status_code, late.json()["status"]) == (200, "stopped")


async def test_a_task_that_the_public_client_could_not_read_reaches_it_readable(
    client: httpx.AsyncClient, bare_worker: OpenWorker
) -> None:
    user = {"id": "u1", "first_name": "No", "last_name": "Address"}
    task = await create(client, output_format="html", input={"text": "x", "user": user})
    worker = await bare_worker()
    await given(worker, 1)
    data = worker.events[0][1]
    assert (data["id"], data["output_format"], data["source"]) == (task["id"], None, "sdk")
    assert data["input"]["user"]["email"] == ""
    assert "configuration" not in data


async def test_a_task_to_be_run_locally_is_not_dispatched(client: httpx.AsyncClient, bare_worker: OpenWorker) -> None:
    worker = await bare_worker()
    mine = await create(client, "mine", run_locally=True, worker_id=worker.id)
    assert mine["status"] == "executing"
    yours = await create(client, "yours")
    assert await given(worker, 1) == [yours["id"]]
    done = await worker.save(mine["id"], status="completed", result="R")
    assert (done.json()["status"], done.json()["result"]) == ("completed", "R")


@pytest.mark.parametrize("timings", [EngineTimings(trust=0.2)], ids=["quick"])
async def test_a_worker_gone_for_a_minute_loses_its_task(
    client: httpx.AsyncClient, bare_worker: OpenWorker, database_url: str, monkeypatch: Any
) -> None:
    worker = await bare_worker()
    task = await create(client)
    await given(worker, 1)
    await worker.save(task["id"], status="executing")
    await worker.close()

    def dropped() -> bool:
        with psycopg.connect(database_url) as connection:
            sql = (
                "select dropped_at is not null, lease_until > now() + interval '50 s' from worker.workers where id = %s"
            )
            return connection.execute(sql, (worker.id,)).fetchone() == (True, True)

    await wait_until(dropped, "the end of its stream is known, and its lease has most of a minute to go")
    with psycopg.connect(database_url, autocommit=True) as connection:  # a minute passes
        connection.execute(
            "update worker.workers set lease_until = now(), lease_seconds = 1 where id = %s", (worker.id,)
        )

    async def pending() -> bool:
        return (await read(client, task["id"]))["status"] == "pending"

    await wait_until(pending, "its task is pending again")


def nested(levels: int) -> list[Any]:
    """Lists within lists."""
    value: list[Any] = []
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("changes", "status", "reason"),
    [
        ({"result": "y" * 11_000_000}, 413, "exceeds 10,485,760 bytes"),
        ({"result": nested(101)}, 422, "nested more than 100 levels deep"),
        ({"internal_status": "y" * 256}, 422, "internal_status has 256 characters"),
        ({"tokens": {"prompt_tokens": "many"}}, 422, "tokens must be an object with the fields"),
    ],
    ids=["too large", "too deep", "too long", "of another form"],
)
async def test_a_last_word_that_is_refused_ends_the_task_with_the_reason(
    client: httpx.AsyncClient, bare_worker: OpenWorker, changes: dict[str, Any], status: int, reason: str
) -> None:
    """The public worker logs the answer and goes on: its task would stay executing as long as it lives."""
    worker = await bare_worker()
    task = await create(client)
    await given(worker, 1)
    await worker.save(task["id"], status="executing")
    answer = await worker.save(task["id"], status="completed", **changes)
    assert answer.status_code == status
    ended = await read(client, task["id"])
    assert ended["status"] == "error"
    assert reason in ended["result"]
    other = await create(client, "the next")
    await wait_until(lambda: other["id"] in worker.given, "the next task is given to it")


async def test_somebody_elses_save_that_is_refused_ends_nothing(
    client: httpx.AsyncClient, bare_worker: OpenWorker
) -> None:
    worker = await bare_worker("another-agent")
    task = await create(client)
    too_large, too_long = {"result": "y" * 11_000_000}, {"internal_status": "y" * 256}
    assert (await worker.save(task["id"], status="completed", **too_large)).status_code == 413
    assert (await worker.save(task["id"], status="completed", **too_long)).status_code == 422
    assert await read(client, task["id"]) == task


async def test_workers_are_listed(client: httpx.AsyncClient, bare_worker: OpenWorker) -> None:
    worker = await bare_worker()
    (listed,) = (await client.get("/workers")).json()["workers"]
    assert (listed["id"], listed["agents"], listed["bare"], listed["running"]) == (worker.id, ["analyst"], True, 0)


async def test_an_agent_that_a_worker_serves_is_listed_as_the_public_client_reads_it(
    client: httpx.AsyncClient, bare_worker: OpenWorker
) -> None:
    await bare_worker()
    (agent,) = (await client.get("/agents/list")).json()
    assert (agent["id"], agent["framework"], agent["status"]) == ("analyst", "agno", "ACTIVE")
    assert agent["agno_settings"] == {"session_storage": False}
    assert isinstance(agent["environment_id"], str)
    assert (await client.get("/agents/analyst")).json() == agent


async def test_the_servers_end_ends_every_stream_properly(serving: Serving, bare_worker: OpenWorker) -> None:
    worker = await bare_worker()
    await asyncio.to_thread(serving.stop)
    await wait_until(lambda: worker.ended, "the stream has ended")
    assert worker._task is not None
    assert worker._task.exception() is None  # an end, not a cut


async def test_a_wrong_key_opens_no_stream(serving: Serving) -> None:
    async with httpx.AsyncClient(base_url=serving.base, headers={"x-api-key": "wrong"}, timeout=30) as stranger:
        assert (await stranger.get("/default/events/analyst/")).status_code == 401
