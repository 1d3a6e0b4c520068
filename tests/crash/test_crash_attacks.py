"""A fleet under attack does everybody else's tasks: peers without a key that never finish what they send, and tasks
whose schemas, patterns and results never end."""

import asyncio
import json
import re
import statistics
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.crash.fleet import Fleet
from tests.support import free_port

KEY = "a-key-of-the-story"
SLOW, HALF, BODY = 500, 60, 10 * 1024 * 1024  # slow connections; half-sent bodies, and how large each says it is
MEDIAN_SECONDS = 0.1  # of /health meanwhile
MEMORY = 100 * 1024 * 1024  # that the server may take on top
SECONDS = 40.0  # for everybody else's tasks; a machine may be busy with other tests
OTHERS = 30

HOSTILE = """
    from agno.agent import Agent

    from worker import Task, on_task, run_agent
    from worker.testing import ScriptedModel

    @on_task(agent_id="hostile", timeout=20)
    async def hostile(task: Task) -> Task:
        return await run_agent(Agent(model=ScriptedModel([task.title or ""]), telemetry=False), task)
"""

_DOUBLING = {f"a{i}": {"allOf": [{"$ref": f"#/$defs/a{i - 1}"}] * 2} for i in range(1, 40)}
SCHEMAS: list[tuple[dict[str, Any], str]] = [
    ({"$defs": {"a0": {}, **_DOUBLING}, "$ref": "#/$defs/a39"}, '{"a":1}'),
    ({"type": "string", "pattern": "^(a+)+$"}, json.dumps("a" * 60 + "!")),
    ({"$ref": "#"}, "{}"),
]


@asynccontextmanager
async def peer(port: int) -> AsyncGenerator[Callable[[bytes], Awaitable[None]]]:
    """A connection, as a function that sends."""
    _, writer = await asyncio.open_connection("127.0.0.1", port)

    async def send(data: bytes) -> None:
        writer.write(data)
        await writer.drain()

    try:
        yield send
    finally:
        writer.transport.abort()
        with suppress(OSError):
            await writer.wait_closed()


async def endless_header(port: int) -> None:
    """A header that never ends."""
    async with peer(port) as send:
        await send(b"GET /health HTTP/1.1\r\nHost: localhost\r\nX: ")
        while True:
            await send(b"b" * 65536)


async def half_sent(port: int) -> None:
    """A body that is begun."""
    head = f"POST /work HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {BODY}\r\n\r\n"
    async with peer(port) as send:
        await send(head.encode())
        for _ in range(BODY // 65536 - 1):
            await send(b"[" * 65536)
        await asyncio.sleep(600)


async def slow(port: int) -> None:
    """A request that comes byte by byte."""
    async with peer(port) as send:
        await send(b"GET / HTTP/1.1\r\nHost: localhost\r\nX-a: b")
        while True:
            await asyncio.sleep(1)
            await send(b"c")


async def again(attack: Callable[[int], Awaitable[None]], port: int) -> None:
    """Whoever is thrown out comes back."""
    while True:
        with suppress(OSError):
            await attack(port)
        await asyncio.sleep(0.2)


@asynccontextmanager
async def under_attack(port: int) -> AsyncGenerator[None]:
    attacks = [slow] * SLOW + [half_sent] * HALF + [endless_header]
    attacking = [asyncio.create_task(again(each, port)) for each in attacks]
    try:
        yield
    finally:
        for each in attacking:
            each.cancel()
        await asyncio.gather(*attacking, return_exceptions=True)


def resident(pid: int) -> int:
    """Bytes of memory that a process holds."""
    return int((re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text()) or ["", "0"])[1]) * 1024


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the memory of another process is read from /proc")
async def test_a_fleet_under_attack_does_everybody_elses_tasks(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKER_API_KEY", KEY)
    fleet.shell.handlers(HOSTILE, "hostile")
    port = free_port()
    server = fleet.shell.start("serve", "--host", "127.0.0.1", "--port", str(port))
    await server.says("server ready")
    worker = await fleet.start()
    took: list[float] = []
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", headers={"x-api-key": KEY}, timeout=30) as client:

        async def create(agent: str, **wish: Any) -> str:
            answer = await client.post(f"/agent-execution/{agent}", json={"input": {"text": "x"}, **wish})
            return answer.raise_for_status().json()["id"]

        async def status(task_id: str) -> str:
            return (await client.get(f"/agent-execution/{task_id}/status")).json()["status"]

        async def health(until: asyncio.Event) -> None:
            while not until.is_set():
                began = time.monotonic()
                assert (await client.get("/health")).status_code == 200
                took.append(time.monotonic() - began)
                await asyncio.sleep(0.02)

        await create("short")  # what is loaded when it is first used is loaded
        before, most = resident(server.process.pid), 0
        async with under_attack(port):
            hostile = [await create("hostile", title=said, output_schema=schema) for schema, said in SCHEMAS]
            over = asyncio.Event()
            looking = asyncio.create_task(health(over))
            others = [await create("short") for _ in range(OTHERS)]
            async with asyncio.timeout(SECONDS):
                for task_id in (*others, *hostile):
                    while await status(task_id) in ("pending", "executing"):
                        most = max(most, resident(server.process.pid))
                        await asyncio.sleep(0.1)
            over.set()
            await looking
        assert {await status(each) for each in others} == {"completed"}
        assert {await status(each) for each in hostile} == {"error"}
    median = statistics.median(took)
    print(f"/health median {median * 1000:.1f} ms of {len(took)}, memory +{(most - before) / 2**20:.0f} MiB")  # noqa: T201
    assert median < MEDIAN_SECONDS
    assert most - before < MEMORY
    assert worker.process.poll() is None
    assert {task["crashes"] for task in await fleet.tasks()} == {0}
