"""The database is away: requests are told so, worker streams wait."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import httpx
import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from tests.server.conftest import KEY, Start
from tests.server.serving import BareWorker, Serving
from tests.support import wait_until
from worker.contracts.waiting import Backoff
from worker.engine.timings import EngineTimings
from worker.server.timings import ServerTimings


class Socket:
    """A way to the database that can be taken away: a link to the folder of its socket."""

    def __init__(self, url: str, link: Path) -> None:
        self._real = url
        self._folder = str(conninfo_to_dict(url)["host"])
        self._link = link
        self.url = make_conninfo(url, host=str(link))

    def give(self) -> None:
        self._link.symlink_to(self._folder)

    def take(self) -> None:
        """Take it away, and cut who is connected."""
        self._link.unlink()
        with psycopg.connect(self._real, autocommit=True) as connection:
            connection.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity"
                " where datname = current_database() and pid <> pg_backend_pid() and backend_type = 'client backend'"
            )


@pytest.fixture
def timings() -> EngineTimings:
    return EngineTimings(reading=1)


@pytest.fixture
def server_timings() -> ServerTimings:
    return ServerTimings(database=Backoff(0.05, 0.05), bare_streams=Backoff(0.05, 0.05))


@pytest.fixture
def way(database_url: str, tmp_path: Path) -> Iterator[Socket]:
    link = tmp_path / "s"
    yield Socket(database_url, link)
    link.unlink(missing_ok=True)


async def is_ready(client: httpx.AsyncClient) -> bool:
    return (await client.get("/ready")).status_code == 200


async def test_while_the_database_is_away_requests_are_told_so_and_worker_streams_wait(
    start: Start, way: Socket
) -> None:
    serving = await start(url=way.url, key=KEY)
    async with httpx.AsyncClient(base_url=serving.base, headers={"x-api-key": KEY}, timeout=30) as client:
        for answer in (
            await client.get("/ready"),
            await client.get("/agents/list"),
            await client.post("/agent-execution/analyst", json={"input": {"text": "x"}}),
        ):
            assert answer.status_code == 503
            assert int(answer.headers["retry-after"]) > 0
            assert answer.json()["kind"] == "Unavailable"
        assert (await client.get("/health")).status_code == 200
        beat = await client.post("/default/events/w?type=worker", json={"event": "worker-heartbeat"})
        assert (beat.status_code, beat.json()) == (200, {"accepted": False})
        worker = BareWorker(client, "analyst")
        opening = asyncio.create_task(worker.open())
        refused = BareWorker(
            httpx.AsyncClient(base_url=serving.base, headers={"x-api-key": "wrong"}, timeout=30), "analyst"
        )
        refusing = asyncio.create_task(refused.open())
        await wait_until(lambda: serving.server.server_state.connections, "the streams are open")
        way.give()
        await opening
        await refusing
        assert worker.id
        await client.post("/agent-execution/analyst", json={"input": {"text": "x"}})
        await wait_until(lambda: worker.given, "a task on the stream that waited")
        await wait_until(lambda: refused.events, "the wrong key was told")
        assert (refused.events[0][0], worker.ended) == ("worker-environment-conflict", False)
        await worker.close()
        await refused.close()
        await refused.client.aclose()


@pytest.mark.parametrize("server_timings", [ServerTimings(known_key=0.0)], ids=["caches no key"])
async def test_a_stream_outlives_an_absence_of_the_database(start: Start, way: Socket) -> None:
    way.give()
    serving = await start(url=way.url, key=KEY)
    async with httpx.AsyncClient(base_url=serving.base, headers={"x-api-key": KEY}, timeout=30) as client:
        worker = await BareWorker(client, "analyst").open()
        way.take()
        away: Callable[[], Awaitable[bool]] = lambda: _answers(client, 503)  # noqa: E731 - a described condition
        await wait_until(away, "the server has noticed", 20)
        way.give()
        await wait_until(lambda: is_ready(client), "the database is back", 20)
        made: Callable[[], Awaitable[bool]] = lambda: _created(client)  # noqa: E731 - a described condition
        await wait_until(made, "a task can be made again", 20)
        await wait_until(lambda: worker.given, "a task on the very same stream", 20)
        assert not worker.ended
        await worker.close()


async def _answers(client: httpx.AsyncClient, status: int) -> bool:
    return (await client.get("/workers")).status_code == status


async def _created(client: httpx.AsyncClient) -> bool:
    return (await client.post("/agent-execution/analyst", json={"input": {"text": "x"}})).status_code == 200


async def test_a_schema_that_is_not_current_is_not_ready(start: Start, empty_database_url: str) -> None:
    serving = await start(url=empty_database_url, key=KEY)
    async with httpx.AsyncClient(base_url=serving.base, headers={"x-api-key": KEY}, timeout=30) as client:
        answer = await client.get("/ready")
        assert answer.status_code == 503
        assert "0001_tasks.sql" in answer.json()["description"]
        assert (await client.get("/agents/list")).status_code == 503


def test_serving_is_a_server(serving: Serving) -> None:
    assert serving.port
