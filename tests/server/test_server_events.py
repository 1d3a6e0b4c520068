"""Event streams: every number once, whoever is cut."""

import asyncio
import random
import socket
import time
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from tests.server.conftest import KEY
from tests.server.serving import Serving, aevents_in
from tests.support import wait_until
from worker.server.timings import ServerTimings

SUBSCRIBERS = 300
EVENTS = 200


async def create(client: httpx.AsyncClient, **fields: Any) -> str:
    answer = await client.post("/agent-execution/analyst", json={"input": {"text": "x"}, **fields})
    return answer.json()["id"]


async def push(client: httpx.AsyncClient, task_id: str, count: int, text: str = "t") -> None:
    events = [{"type": "chunk", "data": f"{text}{number}"} for number in range(count)]
    assert (await client.post(f"/agent-execution/{task_id}/events/push", json=events)).status_code == 200


class Follower:
    """A reader on a plain socket that is cut at random and resumes by the last number it saw."""

    def __init__(self, port: int, task_id: str, seed: int) -> None:
        self.port = port
        self.task_id = task_id
        self.chance = random.Random(seed)
        self.numbers: list[int] = []
        self.cuts = 0

    async def run(self) -> None:
        while not await self._once():
            self.cuts += 1

    async def _once(self) -> bool:
        """Read until the end, or until it is cut; whether that was the end."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        seen = self.numbers[-1] if self.numbers else 0
        writer.write(
            f"GET /agent-execution/{self.task_id}/events HTTP/1.1\r\nhost: x\r\nx-api-key: {KEY}\r\n"
            f"last-event-id: {seen}\r\nconnection: close\r\n\r\n".encode()
        )
        patience = self.chance.randint(1, 3 * EVENTS) if self.cuts < 3 else 10**9
        try:
            async for line in reader:
                if line.startswith(b"id: "):
                    self.numbers.append(int(line[4:]))
                    patience -= 1
                if line.startswith(b"data: ") and b'"task_finished"' in line:
                    return True
                if not patience:
                    return False
        finally:
            writer.transport.abort()
        raise AssertionError("the stream ended before the task")


async def test_300_subscribers_cut_at_random_each_see_every_number_once(
    serving: Serving, client: httpx.AsyncClient
) -> None:
    task_id = await create(client)
    followers = [Follower(serving.port, task_id, seed) for seed in range(SUBSCRIBERS)]
    began = time.monotonic()
    async with asyncio.TaskGroup() as group:
        for follower in followers:
            group.create_task(follower.run())
        for _ in range(20):
            await push(client, task_id, EVENTS // 20)
        await client.delete(f"/agent-execution/{task_id}")
    expected = list(range(1, EVENTS + 3))
    assert all(follower.numbers == expected for follower in followers)
    assert sum(follower.cuts for follower in followers) > SUBSCRIBERS / 4
    assert time.monotonic() - began < 20


async def test_a_stream_ends_only_when_the_task_is_over(client: httpx.AsyncClient) -> None:
    task_id = await create(client)
    pushed = [{"type": "task_finished", "data": {"status": "completed"}}, {"type": "chunk", "data": "more"}]
    seen: list[str] = []
    async with client.stream("GET", f"/agent-execution/{task_id}/events") as response:
        events = aevents_in(response)
        assert (await anext(events))["data"]["type"] == "connected"
        await client.post(f"/agent-execution/{task_id}/events/push", json=pushed)
        while "chunk" not in seen:
            seen.append((await anext(events))["data"]["type"])
        await client.delete(f"/agent-execution/{task_id}")
        seen += [event["data"]["type"] async for event in events]
    assert seen == ["task_created", "task_finished", "chunk", "task_finished"]


async def test_without_follow_a_stream_is_what_is_there_now(client: httpx.AsyncClient) -> None:
    task_id = await create(client)
    async with client.stream("GET", f"/agent-execution/{task_id}/events?follow=false") as response:
        kinds = [event["data"]["type"] async for event in aevents_in(response)]
    assert kinds == ["connected", "task_created"]


@pytest.mark.parametrize("server_timings", [ServerTimings(comment=0.1)], ids=["comments soon"])
async def test_a_quiet_stream_carries_a_comment(client: httpx.AsyncClient) -> None:
    task_id = await create(client)
    async with client.stream("GET", f"/agent-execution/{task_id}/events") as response:
        comments = [line async for line in _until_comments(response, 3)]
    assert comments == [": alive"] * 3


async def _until_comments(response: httpx.Response, count: int) -> AsyncIterator[str]:
    async for line in response.aiter_lines():
        if line.startswith(":"):
            yield line
            count -= 1
            if not count:
                return


@pytest.mark.parametrize("server_timings", [ServerTimings(slow_reader=0.5)], ids=["slow soon"])
async def test_a_reader_that_takes_nothing_is_dropped_and_can_resume(
    serving: Serving, client: httpx.AsyncClient
) -> None:
    task_id = await create(client)
    slow = socket.create_connection(("127.0.0.1", serving.port))
    slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    slow.sendall(f"GET /agent-execution/{task_id}/events HTTP/1.1\r\nhost: x\r\nx-api-key: {KEY}\r\n\r\n".encode())
    feeds = serving.service.feeds
    await wait_until(lambda: feeds._feeds, "the slow reader follows")
    for _ in range(20):
        await push(client, task_id, 4, "x" * 200_000)
    await wait_until(lambda: not feeds._feeds, "the slow reader was dropped")
    slow.close()
    async with client.stream("GET", f"/agent-execution/{task_id}/events?follow=false&after=1") as response:
        numbers = [int(event["id"]) async for event in aevents_in(response) if "id" in event]
    assert numbers == list(range(2, 82))


async def test_after_the_end_nothing_is_appended_until_a_retry(client: httpx.AsyncClient) -> None:
    task_id = await create(client)
    await client.delete(f"/agent-execution/{task_id}")
    refused = await client.post(f"/agent-execution/{task_id}/events/push", json=[{"type": "chunk", "data": "late"}])
    assert (refused.status_code, refused.json()["kind"]) == (409, "Conflict")
    assert (await client.post(f"/agent-execution/{task_id}/retry")).json()["status"] == "pending"
    await push(client, task_id, 1)


async def test_events_of_another_server_process_arrive(start: Any, client: httpx.AsyncClient) -> None:
    other = await start(key=KEY)
    task_id = await create(client)
    async with (
        httpx.AsyncClient(base_url=other.base, headers={"x-api-key": KEY}, timeout=30) as elsewhere,
        elsewhere.stream("GET", f"/agent-execution/{task_id}/events") as response,
    ):
        events = aevents_in(response)
        assert [(await anext(events))["data"]["type"] for _ in range(2)] == ["connected", "task_created"]
        await push(client, task_id, 1)
        assert (await anext(events))["id"] == "2"
