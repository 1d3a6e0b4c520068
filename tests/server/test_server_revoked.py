"""What is open when its key goes: every stream and every long poll ends, busy or idle, and nothing comes after."""

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest

from tests.dashboard.browsing import Browser
from tests.server.conftest import KEY, Start
from tests.server.serving import Serving
from tests.support import wait_until
from worker.engine.engine import Engine
from worker.engine.verbs import page_sessions
from worker.server.timings import ServerTimings
from worker.words import notices
from worker.words.roles import Role

CARD = {"id": "w-of-the-key", "name": "w", "agents": ["idle"], "lease_seconds": 600}
SECONDS = 20.0  # the promise is five; machines are slow
POLLS = ServerTimings(keys=0.2)


class Open:
    """A stream that somebody has open."""

    def __init__(self, client: httpx.AsyncClient, path: str, headers: dict[str, str]) -> None:
        self.path = path
        self.text = ""
        self.ended = False
        self.task = asyncio.create_task(self._read(client, headers))

    async def _read(self, client: httpx.AsyncClient, headers: dict[str, str]) -> None:
        async with client.stream("GET", self.path, headers=headers, timeout=60) as answer:
            assert answer.status_code == 200, await answer.aread()
            async for piece in answer.aiter_text():
                self.text += piece
        self.ended = True


@pytest.fixture
async def client(serving: Serving) -> AsyncIterator[httpx.AsyncClient]:
    """A client without a key."""
    async with httpx.AsyncClient(base_url=serving.base, timeout=30) as client:
        yield client


async def _all_open(client: httpx.AsyncClient, serving: Serving, key: str) -> list[Open]:
    """A stream of every kind, each under way."""
    own = {"x-api-key": key, "x-worker-session": "s"}
    made = await client.post("/agent-execution/busy", json={"input": {"text": "x"}}, headers={"x-api-key": KEY})
    task_id = made.json()["id"]
    verbs = [{"verb": "register", "card": CARD}]
    assert "value" in (await client.post("/work", json={"verbs": verbs}, headers=own)).json()["results"][0]
    browser = Browser(client)
    assert (await browser.sign_in(key)).status_code == 303
    streams = [
        Open(client, f"/agent-execution/{task_id}/events", own),
        Open(client, "/events/idle", own),
        Open(client, f"/events/-?native=1&worker_id={CARD['id']}", own),
        Open(client, f"/ui/tasks/{task_id}/stream", {}),
    ]
    for each in streams:
        await wait_until(lambda each=each: each.text or each.task.done(), f"{each.path} has begun", SECONDS)
    del serving
    return streams


def _says_nothing(sessions: object) -> None:
    del sessions


@pytest.mark.parametrize(
    ("way", "server_timings"), [("told", ServerTimings()), ("found out", POLLS)], ids=["told", "found out"]
)
async def test_a_pages_stream_ends_when_its_session_is_signed_out(
    client: httpx.AsyncClient, serving: Serving, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    if way == "found out":
        monkeypatch.setattr(page_sessions.EngineSessions, "announce", _says_nothing)  # another process, behind a pooler
    made = await client.post("/agent-execution/busy", json={"input": {"text": "x"}}, headers={"x-api-key": KEY})
    async with httpx.AsyncClient(base_url=serving.base, timeout=30) as other:
        stays, leaves = Browser(other), Browser(client)
        for browser in (stays, leaves):
            assert (await browser.sign_in(KEY)).status_code == 303
        streams = [Open(each.client, f"/ui/tasks/{made.json()['id']}/stream", {}) for each in (stays, leaves)]
        for each in streams:
            await wait_until(lambda each=each: each.text or each.task.done(), "it has begun", SECONDS)
        await leaves.look("/")
        assert (await leaves.send("/ui/sign-out")).status_code == 303
        await wait_until(lambda: streams[1].ended, "the stream of the session has ended", SECONDS)
        assert not streams[0].ended  # the key's other session goes on
        streams[0].task.cancel()


@pytest.mark.parametrize(
    ("way", "server_timings"), [("revoked", ServerTimings()), ("expired", POLLS)], ids=["revoked", "expired"]
)
async def test_every_stream_ends_with_its_key(
    client: httpx.AsyncClient, serving: Serving, engine: Engine, way: str
) -> None:
    text, key = await engine.keys.create("default", role=Role.Admin, seconds=3600)
    streams = await _all_open(client, serving, text)
    own = {"x-api-key": text, "x-worker-session": "s"}
    poll = {"verb": "assignments", "demand": {"total": 1, "agents": {"idle": 1}}, "seconds": 25}
    polling = asyncio.create_task(
        client.post("/work", json={"worker_id": CARD["id"], "verbs": [poll]}, headers=own, timeout=60)
    )
    if way == "revoked":
        await engine.keys.revoke(key.id)
    else:
        await engine.core.rows("update worker.keys set expires_at = now() where id = %s", (key.id,))
    for each in streams:
        await wait_until(lambda each=each: each.ended, f"{each.path} has ended", SECONDS)
    assert (await polling).status_code == 401
    made = await client.post("/agent-execution/idle", json={"input": {"text": "secret"}}, headers={"x-api-key": KEY})
    assert made.json()["status"] == "pending"
    assert (await client.get("/agents/list", headers=own)).status_code == 401
    assert not any("secret" in each.text for each in streams)


async def test_a_stream_opened_without_a_key_ends_when_there_is_one(start: Start, engine: Engine) -> None:
    serving = await start()
    async with httpx.AsyncClient(base_url=serving.base, timeout=30) as client:
        task = (await client.post("/agent-execution/a", json={"input": {"text": "x"}})).json()
        stream = Open(client, f"/agent-execution/{task['id']}/events", {})
        await wait_until(lambda: stream.text, "it has begun", SECONDS)
        await engine.keys.create("default")
        await wait_until(lambda: stream.ended, "it has ended", SECONDS)
        assert (await client.get("/agents/list")).status_code == 401


@pytest.mark.parametrize("way", ["revoked", "expired", "of the environment"])
async def test_a_server_that_has_had_a_key_is_never_open_again(start: Start, engine: Engine, way: str) -> None:
    heard: list[notices.Notice] = []
    end = notices.subscribe(heard.append)
    text = KEY
    if way == "of the environment":
        keyed = await start(key=KEY)
        await wait_until(engine.keys.ever, "it is remembered", SECONDS)
        keyed.stop()
    else:
        text, key = await engine.keys.create("default", role=Role.Admin)
        await engine.core.rows("update worker.keys set expires_at = now() where id = %s", (key.id,))
        if way == "revoked":
            await engine.keys.revoke(key.id)
    serving = await start()
    async with httpx.AsyncClient(base_url=serving.base, timeout=30) as client:
        for headers in ({}, {"x-api-key": text}, {"x-api-key": "wrong"}):
            for path in ("/agents/list", "/acme/agent-execution/executions/history"):
                assert (await client.get(path, headers=headers)).status_code == 401, (headers, path)
        assert (await client.get("/")).status_code == 303
    await wait_until(lambda: any(isinstance(each, notices.NoKeyLeft) for each in heard), "the log says so", SECONDS)
    end()
