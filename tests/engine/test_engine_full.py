"""A database that is full: of data or of connections. The error says which, and nothing is half written."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from urllib.parse import urlsplit

import pytest

from tests.conftest import execute
from tests.contract.steps import claim, create, finish, note, numbers, run, worker
from tests.support import wait_until
from worker.contracts.waiting import Backoff
from worker.engine.engine import Engine
from worker.engine.timings import EngineTimings
from worker.words.errors import Unavailable
from worker.words.statuses import AgentExecutionStatus as Status

SECONDS = 20
FILL = """
    create function worker.full() returns trigger language plpgsql as
    $$ begin raise exception 'could not extend file: No space left on device' using errcode = '53100'; end $$;
    create trigger full_disk before insert on worker.{table} execute function worker.full()
"""
FREE = "drop function worker.full cascade"


@pytest.fixture
def timings() -> EngineTimings:
    return EngineTimings(away=0.3, reading=0.3, reconnect=Backoff(0.1, 0.1))


@pytest.mark.parametrize("table", ["tasks", "events"])
async def test_while_the_disk_is_full_a_create_says_so_and_stores_nothing(
    engine: Engine, database_url: str, table: str
) -> None:
    execute(database_url, FILL.format(table=table))
    outcomes = await asyncio.gather(*(create(engine) for _ in range(5)), return_exceptions=True)
    for error in outcomes:
        assert isinstance(error, Unavailable)
        assert error.description == "the database's disk is full"
        assert error.retry_after == 30
    assert execute(
        database_url, "select (select count(*) from worker.tasks), (select count(*) from worker.events)"
    ) == [(0, 0)]
    execute(database_url, FREE)
    assert await numbers(engine, (await create(engine)).id) == [1]


async def test_while_the_disk_is_full_nothing_is_claimed(engine: Engine, database_url: str) -> None:
    task = await create(engine)
    by = await worker(engine)
    execute(database_url, FILL.format(table="events"))
    with pytest.raises(Unavailable, match="disk is full"):
        await claim(engine, by)
    assert (await engine.tasks.get(task.id)).status is Status.Pending
    execute(database_url, FREE)
    assert [each.task.id for each in await claim(engine, by)] == [task.id]


async def test_while_the_disk_is_full_an_attempts_writes_wait_and_others_are_told(
    engine: Engine, database_url: str
) -> None:
    _, held = await run(engine)
    execute(database_url, FILL.format(table="events"))
    emitting = asyncio.create_task(engine.work.emit(held.task.id, 1, [note()]))
    with pytest.raises(Unavailable, match="disk is full"):
        await create(engine)
    assert not emitting.done()
    assert (await engine.tasks.get(held.task.id)).last_event == 2
    execute(database_url, FREE)
    await asyncio.wait_for(emitting, SECONDS)
    await finish(engine, held)
    assert await numbers(engine, held.task.id) == [1, 2, 3, 4]


@pytest.fixture
def limited_url(database_url: str) -> Iterator[str]:
    """The same database for a role whose connections are counted; a superuser's are not."""
    execute(database_url, "create role limited login")
    execute(
        database_url,
        "grant usage on schema worker to limited; grant all on all tables in schema worker to limited;"
        " grant all on all sequences in schema worker to limited",
    )
    yield urlsplit(database_url.replace("://postgres@", "://limited@")).geturl()
    execute(database_url, "drop owned by limited; drop role limited")


@pytest.fixture
async def limited(limited_url: str) -> AsyncIterator[Engine]:
    engine = Engine(limited_url)
    await engine.open()
    yield engine
    await engine.close()


async def test_a_database_with_no_connection_free_is_not_one_that_is_away(limited_url: str, database_url: str) -> None:
    execute(database_url, "alter role limited connection limit 0")
    engine = Engine(limited_url)
    with pytest.raises(Unavailable, match="no free connections") as told:
        await engine.open()
    assert told.value.retry_after == 5
    execute(database_url, "alter role limited connection limit -1")
    await engine.open()
    await create(engine)
    await engine.close()


async def test_while_no_connection_is_free_an_attempts_writes_wait_and_others_are_told(
    limited: Engine, database_url: str
) -> None:
    _, held = await run(limited)
    execute(database_url, "alter role limited connection limit 0")
    execute(database_url, "select pg_terminate_backend(pid) from pg_stat_activity where usename = 'limited'")
    emitting = asyncio.create_task(limited.work.emit(held.task.id, 1, [note()]))
    with pytest.raises(Unavailable, match="no free connections"):
        await create(limited)
    assert not emitting.done()
    assert execute(database_url, "select last_event from worker.tasks") == [(2,)]
    execute(database_url, "alter role limited connection limit -1")
    await asyncio.wait_for(emitting, SECONDS)
    await wait_until(lambda: limited.core.heartbeat.ready(0), "the pulse is back")
    await finish(limited, held)
    assert await numbers(limited, held.task.id) == [1, 2, 3, 4]
