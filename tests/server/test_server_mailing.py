"""Deliveries on the streams of bare workers that announced handlers of other events."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest

from tests.server.conftest import KEY, Start
from tests.server.serving import BareWorker, Serving
from tests.support import wait_until

OpenWorker = Callable[..., Awaitable[BareWorker]]
WISH = "&handler=notes&events=task_finished,tool_call_request"


async def create(client: httpx.AsyncClient, agent: str = "analyst", **fields: Any) -> str:
    answer = await client.post(f"/agent-execution/{agent}", json={"input": {"text": "x"}, **fields})
    return answer.json()["id"]


def delivered(worker: BareWorker) -> list[dict[str, Any]]:
    return [data for name, data in worker.events if name == "task-event"]


async def until_delivered(worker: BareWorker, count: int) -> list[dict[str, Any]]:
    await wait_until(lambda: len(delivered(worker)) >= count, f"{count} events on the worker's stream")
    return delivered(worker)


async def test_an_announced_handlers_events_come_in_order_until_it_has_said_done(
    serving: Serving, client: httpx.AsyncClient, bare_worker: OpenWorker
) -> None:
    worker = await bare_worker(query=WISH)
    reference = (await client.post("/files?name=a.txt", content=b"x")).json()["reference"]
    given = {"text": "x", "files": [reference], "user": {"id": "u"}}
    task = await create(client, run_locally=True, worker_id="me", output_format="html", input=given)
    called = {"type": "tool_call_request", "data": {"request_id": "r", "operation_id": "search"}}
    await client.post(f"/agent-execution/{task}/events/push", json=[called, {"type": "chunk", "data": "passed over"}])
    await client.delete(f"/agent-execution/{task}")
    other = await create(client, "another-agent")
    await client.delete(f"/agent-execution/{other}")
    first, second = sorted(await until_delivered(worker, 2), key=lambda each: each["delivery"]["number"])
    assert [each["handler"] for each in (first, second)] == ["notes", "notes"]
    assert (first["event"]["type"], first["event"]["data"]["operation_id"]) == ("tool_call_request", "search")
    assert (second["event"]["type"], second["event"]["data"]["status"]) == ("task_finished", "stopped")
    assert second["task"]["input"]["files"][0].startswith(f"{serving.base}/files/")
    for told in (second["task"], second["event"]["data"]):  # as the public client can read it
        assert (told["id"], told["output_format"], told["input"]["user"]["email"]) == (task, None, "")
    for each in (first, second):
        done = await worker.say("task-event-done", {"delivery": each["delivery"]})
        assert done.json() == {"accepted": True}
    again = await worker.say("task-event-done", {"delivery": first["delivery"]})
    assert (again.status_code, again.json()["kind"]) == (409, "LeaseLost")
    assert len(delivered(worker)) == 2


async def test_a_failed_delivery_comes_again_and_its_word_may_reach_another_process(
    start: Start, client: httpx.AsyncClient, bare_worker: OpenWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = await bare_worker(query=WISH)
    other = await start(key=KEY)
    await client.delete(f"/agent-execution/{await create(client)}")
    (first,) = await until_delivered(worker, 1)
    async with httpx.AsyncClient(base_url=other.base, headers={"x-api-key": KEY}, timeout=30) as elsewhere:
        failed = {"id": worker.id, "event": "task-event-done", "data": {"delivery": first["delivery"], "error": "no"}}
        assert (await elsewhere.post(f"/events/{worker.id}", json=failed)).status_code == 200
    _, second = await until_delivered(worker, 2)
    assert second["event"] == first["event"]
    assert (second["delivery"]["tries"], second["delivery"]["claim"]) == (1, 2)


async def test_what_was_not_said_to_be_done_comes_again_when_the_stream_has_ended(
    client: httpx.AsyncClient, bare_worker: OpenWorker
) -> None:
    worker = await bare_worker(query=WISH)
    await client.delete(f"/agent-execution/{await create(client)}")
    (first,) = await until_delivered(worker, 1)
    await worker.close()
    heir = await bare_worker(query=WISH)
    (again,) = await until_delivered(heir, 1)
    assert again["event"] == first["event"]
    assert again["delivery"]["tries"] == 0


async def test_a_worker_has_only_so_many_deliveries_at_once_and_is_given_tasks_beside_them(
    client: httpx.AsyncClient, bare_worker: OpenWorker
) -> None:
    worker = await bare_worker(query=WISH)
    for _ in range(12):
        await client.delete(f"/agent-execution/{await create(client, run_locally=True, worker_id='me')}")
    task = await create(client)
    await wait_until(lambda: worker.given == [task], "the task is assigned")
    assert len(await until_delivered(worker, 10)) == 10
    for each in list(delivered(worker)):
        await worker.say("task-event-done", {"delivery": each["delivery"]})
    assert len({each["event"]["task_id"] for each in await until_delivered(worker, 12)}) == 12


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("handler=h", "events"),
        ("events=task_finished", "handler"),
        ("handler=h&events=chunk", "events"),
        ("handler=h&events=task_finished,,", "events"),
        ("handler=&events=task_finished", "handler"),
        (f"handler={'h' * 501}&events=task_finished", "handler"),
    ],
)
async def test_an_announcement_that_does_not_fit_is_refused(client: httpx.AsyncClient, query: str, field: str) -> None:
    refused = await client.get(f"/default/events/analyst/?{query}")
    assert (refused.status_code, refused.json()["field"]) == (422, field)


@pytest.mark.parametrize("data", [None, [], {}, {"delivery": {}}, {"delivery": {"task_id": "t"}, "error": 1}])
async def test_a_word_on_no_delivery_is_refused(client: httpx.AsyncClient, bare_worker: OpenWorker, data: Any) -> None:
    worker = await bare_worker()
    refused = await worker.say("task-event-done", data)
    assert refused.status_code == 422
    assert refused.json()["field"].startswith("data")


async def test_a_stream_with_announced_handlers_ends_with_its_server(
    serving: Serving, client: httpx.AsyncClient, bare_worker: OpenWorker
) -> None:
    worker = await bare_worker(query=WISH)
    await asyncio.to_thread(serving.stop)
    await wait_until(lambda: worker.ended, "the stream has ended")
    assert worker._task is not None
    assert worker._task.exception() is None  # an end, not a cut
