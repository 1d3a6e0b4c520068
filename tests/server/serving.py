"""A real server: uvicorn on a loopback port, in a thread with a loop of its own."""

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from typing import Any

import httpx

from worker.dashboard.app import create_pages
from worker.engine.engine import Engine
from worker.engine.timings import DEFAULT, EngineTimings
from worker.server.app import create_app
from worker.server.main import HttpServer, listen
from worker.server.timings import DEFAULT as SERVER_DEFAULT
from worker.server.timings import ServerTimings
from worker.settings import Settings

SECONDS = 30


class Serving:
    """A server on a database.

    Args:
        url: The database.
        key: The server's own key; none: it is open.
        port: Where it listens; 0: wherever a port is free.
        timings: The engine's.
        server_timings: The server's own.
        settings: Other settings.
    """

    def __init__(
        self,
        url: str,
        *,
        key: str | None = None,
        port: int = 0,
        timings: EngineTimings = DEFAULT,
        server_timings: ServerTimings = SERVER_DEFAULT,
        **settings: Any,
    ) -> None:
        values = {"server_key": key, **settings}
        self.settings = Settings(_env_file=None).model_copy(update={})  # pyright: ignore[reportCallIssue] # pydantic-settings' own option
        self.settings = Settings.model_validate({**self.settings.model_dump(), **values})
        self.engine = Engine(url, organization_id=self.settings.organization_id, timings=timings)
        self.app = create_app(self.engine, self.settings, pages=create_pages, timings=server_timings)
        self.service = self.app.state.service
        self._socket = listen("127.0.0.1", port)
        self.port: int = self._socket.getsockname()[1]
        self.base = f"http://127.0.0.1:{self.port}"
        self.server = HttpServer(self.app)
        self._thread = threading.Thread(target=self._run, name="server under test", daemon=True)
        self.error: BaseException | None = None

    def _run(self) -> None:
        try:
            asyncio.run(self.server.serve([self._socket]))
        except BaseException as error:  # noqa: BLE001 - shown by the test's own thread
            self.error = error

    def start(self) -> "Serving":
        self._thread.start()
        return self

    async def started(self) -> None:
        while not self.server.started:
            assert self._thread.is_alive(), self.error
            await asyncio.sleep(0.01)

    def stop(self) -> None:
        self.server.should_exit = True
        self._thread.join(SECONDS)
        assert not self._thread.is_alive(), "the server does not end"


def events_in(lines: Iterator[str]) -> Iterator[dict[str, Any]]:
    """Server-sent events of a response's lines: ``{"event", "id", "data"}``; comments are passed over."""
    event: dict[str, Any] = {}
    for line in lines:
        if not line:
            if "data" in event:
                yield event
            event = {}
        elif not line.startswith(":"):
            _take(event, line)


def _take(event: dict[str, Any], line: str) -> None:
    name, _, value = line.partition(":")
    event[name] = json.loads(value) if name == "data" else value.strip()


async def aevents_in(response: httpx.Response) -> AsyncIterator[dict[str, Any]]:
    """The same, as they come."""
    event: dict[str, Any] = {}
    async for line in response.aiter_lines():
        if not line:
            if "data" in event:
                yield event
            event = {}
        elif not line.startswith(":"):
            _take(event, line)


class BareWorker:
    """A worker that speaks the public protocol alone, in plain httpx.

    Args:
        client: With base URL and key.
        agent_id: Whose tasks.
        organization_id: In its address.
        query: Of its stream, beyond what the public client sends.
    """

    def __init__(
        self, client: httpx.AsyncClient, agent_id: str, organization_id: str = "default", query: str = ""
    ) -> None:
        self.client = client
        self.agent_id = agent_id
        self.organization_id = organization_id
        self.query = query
        self.registration: dict[str, Any] = {}
        self.events: list[tuple[str, dict[str, Any]]] = []
        self.heard = asyncio.Event()
        self.ended = False
        self._task: asyncio.Task[None] | None = None

    @property
    def id(self) -> str:
        return self.registration["id"]

    @property
    def given(self) -> list[str]:
        return [data["id"] for name, data in self.events if name == "agent-execution"]

    async def open(self) -> "BareWorker":
        self._task = asyncio.create_task(self._listen())
        async with asyncio.timeout(SECONDS):
            while not self.registration and not self._task.done():
                self.heard.clear()
                await self.heard.wait()
        return self

    async def _listen(self) -> None:
        url = f"/{self.organization_id}/events/{self.agent_id}/?environment=local&supports_llm_gateway=true"
        url += self.query
        try:
            async with self.client.stream("GET", url, timeout=httpx.Timeout(5, read=45)) as response:
                assert response.status_code == 200, await response.aread()
                async for event in aevents_in(response):
                    self.take(event["event"], event["data"])
        finally:
            self.ended = True
            self.heard.set()

    def take(self, name: str, data: dict[str, Any]) -> None:
        if name == "worker-registration":
            self.registration = data
        else:
            self.events.append((name, data))
        self.heard.set()

    async def say(self, event: str, data: Any) -> httpx.Response:
        url = f"/{self.organization_id}/events/{self.id}?type=worker&agent_id={self.agent_id}"
        return await self.client.post(url, json={"id": self.id, "event": event, "data": data})

    async def save(self, task_id: str, **changes: Any) -> httpx.Response:
        return await self.client.patch(f"/agent-execution/{task_id}/update", json=changes)

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError, httpx.HTTPError):
                await self._task
