"""The scenarios over HTTP, with one server process. Raw sockets generate the load, since client libraries cost more."""

import asyncio
import json
import os
import time
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager

from benchmarks.machine import percentiles
from benchmarks.processes import answer, create_many, started
from benchmarks.scenarios import LINES, figures, finished, fresh, latency_lines, serving, until_finished
from worker.engine.engine import Engine
from worker.registry import Registry
from worker.remote.remote import Remote
from worker.words.statuses import TaskUpdateEventType

CONNECTIONS = 32  # connections that create tasks concurrently
SUBSCRIBERS = 300
EVENTS_A_PUSH = 500
BODY = b'{"input":{"text":"a question of a few words"}}'
CREATE = (
    b"POST /agent-execution/%b HTTP/1.1\r\nhost: localhost\r\n"
    b"content-type: application/json\r\ncontent-length: %d\r\n\r\n%b"
)


@contextmanager
def server() -> Generator[int]:
    """Run a server process.

    Yields:
        Its port.
    """
    with started("serve") as process:
        yield answer(process)["port"]


class Connection:
    """A persistent connection that sends requests in order, with as little overhead as possible."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def ask(self, request: bytes) -> bytes:
        """Send a request and return the body of the response."""
        self._writer.write(request)
        head = await self._reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
        body = await self._reader.readexactly(length)
        if b" 200 " not in head[:20]:
            raise RuntimeError(f"{head!r} {body!r}")
        return body

    async def create(self, agent: str) -> str:
        """Create a task and return its id."""
        return json.loads(await self.ask(_request("POST", f"/agent-execution/{agent}", BODY)))["id"]

    async def push(self, task_id: str, count: int) -> None:
        """Push events to a task."""
        body = json.dumps([{"type": "chunk", "data": "a few words of an answer"}] * count).encode()
        address = f"/agent-execution/{task_id}/events/push"
        await self.ask(_request("POST", address, body))


@asynccontextmanager
async def connected(port: int) -> AsyncGenerator[Connection]:
    """Open a connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield Connection(reader, writer)
    finally:
        writer.close()
        await writer.wait_closed()


def _request(method: str, address: str, body: bytes = b"") -> bytes:
    head = f"{method} {address} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json"
    return f"{head}\r\ncontent-length: {len(body)}\r\n\r\n".encode() + body


async def creates(engine: Engine, count: int) -> LINES:
    """Measure task creation over HTTP; a task is durable when the response arrives."""
    await fresh(engine)
    times: list[float] = []

    async def create(connection: Connection, share: int) -> None:
        for _ in range(share):
            began = time.perf_counter()
            await connection.create("noop")
            times.append(time.perf_counter() - began)

    async def one(port: int, share: int) -> None:
        async with connected(port) as connection:
            await create(connection, share)

    with server() as port:
        await one(port, 50)  # warm-up: the first requests of a process compile code and connect
        times.clear()
        began = time.perf_counter()
        await asyncio.gather(*(one(port, count // CONNECTIONS) for _ in range(CONNECTIONS)))
        seconds = time.perf_counter() - began
        alone: list[float] = times.copy()
        times.clear()
        await one(port, 200)
    return [
        (f"HTTP: creates/s, {CONNECTIONS} connections", f"{len(alone) / seconds:.0f}/s"),
        (f"HTTP: one create among {CONNECTIONS}, p50/p95/p99", percentiles(alone)),
        ("HTTP: one create alone, p50/p95/p99", percentiles(times)),
    ]


async def events(engine: Engine, count: int) -> LINES:
    """Measure events that are pushed over HTTP to subscribers over HTTP."""
    await fresh(engine)
    lines: LINES = []
    with server() as port:
        for subscribers, each in ((1, count * 5), (SUBSCRIBERS, count)):
            seconds = await _followed(port, subscribers, each)
            rate = f"{subscribers * each / seconds:.0f}/s ({each / seconds:.0f} pushed/s)"
            lines.append((f"HTTP: events/s to {subscribers} subscriber{'s' * (subscribers > 1)}", rate))
    return lines


async def _followed(port: int, subscribers: int, count: int) -> float:
    """Return the seconds from the first pushed event until every subscriber has read the last one."""
    ready = asyncio.Semaphore(0)

    async def follow(task_id: str) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(_request("GET", f"/agent-execution/{task_id}/events"))
        seen, tail = 0, b""
        while seen < count + 1:  # the task's creation is an event as well
            piece = await reader.read(1 << 18)
            if not piece:
                raise RuntimeError(f"a stream ended after {seen} events")
            found = (tail + piece).count(b"\nid: ")
            if found and not seen:
                ready.release()
            seen, tail = seen + found, piece[-4:]
        writer.transport.abort()

    async with connected(port) as connection, asyncio.TaskGroup() as group:
        task_id = await connection.create("followed")
        for _ in range(subscribers):
            group.create_task(follow(task_id))
        for _ in range(subscribers):
            await ready.acquire()
        began = time.perf_counter()
        for begin in range(0, count, EVENTS_A_PUSH):
            await connection.push(task_id, min(EVENTS_A_PUSH, count - begin))
    return time.perf_counter() - began


async def lives(engine: Engine, count: int) -> LINES:
    """Measure whole no-op lives from a backlog, with one server process and one worker process."""
    return [await _lives(engine, count), await _lives(engine, max(5, count // 10), "--bare")]


async def _lives(engine: Engine, count: int, *dialect: str) -> tuple[str, str]:
    await fresh(engine)
    await create_many(engine, "noop", count)
    with server() as port:
        os.environ["XPANDER_BASE_URL"] = f"http://127.0.0.1:{port}"
        try:
            with started("work", "--count", str(count), *dialect) as worker:
                await until_finished(engine, count)
                _, seconds = await finished(engine)
                measured = answer(worker)
        finally:
            del os.environ["XPANDER_BASE_URL"]
    name = "bare" if dialect else "native"
    return f"HTTP, {name}: lives/s from a backlog of {count}", figures(count, seconds, measured)


async def latency(engine: Engine, count: int) -> LINES:
    """Measure an idle worker that reaches its server over HTTP: create to handler's start, create to result seen."""
    await fresh(engine)
    starts: dict[str, float] = {}
    began: dict[str, float] = {}
    seen: dict[str, float] = {}

    async def handler(task: object) -> str:
        starts[getattr(task, "id", "")] = time.perf_counter()
        return "done"

    registry = Registry()
    registry.add(handler, TaskUpdateEventType.TaskCreated, "near")
    with server() as port:
        remote = Remote(f"http://127.0.0.1:{port}")
        await remote.open()
        try:
            async with serving(remote, registry), connected(port) as connection:
                for _ in range(count):
                    at = time.perf_counter()
                    task_id = await connection.create("near")
                    await _until_finished(port, task_id)
                    began[task_id], seen[task_id] = at, time.perf_counter() - at
                    await asyncio.sleep(0.01)  # idle in between, since this measures latency
        finally:
            await remote.close()
    return latency_lines("over HTTP", began, starts, seen)


async def _until_finished(port: int, task_id: str) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(_request("GET", f"/agent-execution/{task_id}/events"))
    try:
        await reader.readuntil(b'"type":"task_finished"')
    except asyncio.LimitOverrunError as error:
        raise RuntimeError(f"task {task_id} went on for ever") from error
    finally:
        writer.transport.abort()
