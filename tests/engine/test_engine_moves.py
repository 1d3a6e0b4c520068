"""A process is on one server, which it can write to: it leaves one that only reads, with every connection it has."""

import asyncio
import shutil
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from psycopg.conninfo import conninfo_to_dict

from tests.conftest import execute
from tests.contract.steps import claim, create, finish, note, run
from tests.engine.proxy import Proxy
from tests.support import wait_until
from worker.engine.database.connections import connect, connect_sync
from worker.engine.database.server_identity import KnownServer, ServerIdentity
from worker.engine.database.urls import settled, url_with_defaults
from worker.engine.embedded import Embedded
from worker.engine.engine import Engine
from worker.words.errors import TaskNotFound, Unavailable

ROUNDS = 5

CONNECTIONS = "select count(*) from pg_stat_activity where application_name = 'agno-worker'"


@pytest.fixture
def old() -> Iterator[str]:
    """A server of this test's own, which is to be replaced."""
    home = Path(tempfile.mkdtemp(prefix="worker-old-"))
    home.chmod(0o711)
    with Embedded.start(home) as server:
        yield server.url
    shutil.rmtree(home)


@pytest.fixture
async def address(old: str) -> AsyncIterator[Proxy]:
    folder = Path(tempfile.mkdtemp(prefix="way-"))
    proxy = Proxy(old, folder)
    await proxy.give()
    yield proxy
    await proxy.take()
    shutil.rmtree(folder)


async def test_a_server_that_only_reads_is_left_with_every_connection(
    old: str, address: Proxy, database_url: str
) -> None:
    """A switchover behind one address: the old primary stays up, read-only, and closes nothing."""
    await Engine(old).migrate()
    name = database_url.rsplit("/", 1)[1].split("?", maxsplit=1)[0]
    execute(old, f"create database {name} template {old.rsplit('/', 1)[1].split('?', maxsplit=1)[0]}")
    url = address.url.replace("dbname=worker", f"dbname={name}")
    engine = Engine(url)
    await engine.open()
    _, held = await run(engine)
    await asyncio.gather(*(engine.tasks.get(held.task.id) for _ in range(4)))
    execute(old, "alter system set default_transaction_read_only = on")
    execute(old, "select pg_reload_conf()")
    await wait_until(lambda: execute(old, "show default_transaction_read_only") == [("on",)], "it only reads")
    address.lead_to(database_url)

    async def created() -> bool:
        try:
            task = await create(engine)
        except Unavailable:  # a machine may be busier than a call's bound is long
            return False
        return (task.id,) in execute(database_url, "select id from worker.tasks")

    await wait_until(created, "tasks are created on the new server", 60)
    with pytest.raises(TaskNotFound):  # what ran is not known to the server that it is on now
        await asyncio.wait_for(engine.work.emit(held.task.id, held.attempt, [note()]), 20)

    def left() -> bool:
        return execute(old, CONNECTIONS) == [(0,)]

    await wait_until(left, "no connection leads to the old server any more", 20)
    await engine.close()


async def test_a_lost_connection_has_the_others_looked_at_and_burns_no_claim(engine: Engine, database_url: str) -> None:
    by, held = await run(engine)
    await asyncio.gather(*(engine.tasks.get(held.task.id) for _ in range(4)))
    execute(
        database_url,
        "select pg_terminate_backend(pid) from pg_stat_activity"
        " where application_name = 'agno-worker' and datname = current_database()",
    )
    await finish(engine, held)  # the writer finds out
    task = await create(engine)
    assert [each.task.id for each in await claim(engine, by)] == [task.id]


async def test_once_a_connection_works_again_all_of_them_do(engine: Engine, database_url: str) -> None:
    """The pool's own wait for another one would be a second here, two for the next, and four for the one after it."""
    await run(engine)
    begun = time.monotonic()
    for _ in range(ROUNDS):
        await asyncio.gather(*(engine.core.rows("select pg_sleep(0.01)") for _ in range(2)))
        execute(
            database_url,
            "select pg_terminate_backend(pid) from pg_stat_activity"
            " where application_name = 'agno-worker' and datname = current_database()",
        )
        engine.core.server.suspect()
        assert await engine.core.rows("select 1 as one") == [{"one": 1}]
    assert time.monotonic() - begun < ROUNDS * 0.8


class Way:
    """In place of a connection."""


def test_a_primary_that_was_replaced_is_not_gone_back_to() -> None:
    home = ServerIdentity()
    home._enter(Way(), KnownServer(cluster=7, started=1.0, timeline=1))
    home._enter(Way(), KnownServer(cluster=7, started=2.0, timeline=2))
    with pytest.raises(Unavailable, match="timeline 1, but its cluster has reached 2"):
        home._enter(Way(), KnownServer(cluster=7, started=1.0, timeline=1))
    home._enter(Way(), KnownServer(cluster=8, started=3.0, timeline=1))  # another cluster: a backup that was restored


def test_dead_connections_are_given_up_by_default_and_a_url_may_say_otherwise() -> None:
    said = conninfo_to_dict(url_with_defaults("postgres://me@db.example.com/x?tcp_user_timeout=3000"))
    assert (said["tcp_user_timeout"], said["keepalives_idle"], said["keepalives_count"]) == ("3000", "5", "3")
    assert "target_session_attrs" not in said
    several = conninfo_to_dict(url_with_defaults("postgresql://me@a,b/x"))
    assert several["target_session_attrs"] == "read-write"


LIBPQ = {
    "PGHOST": "127.0.0.1",
    "PGHOSTADDR": "127.0.0.1",
    "PGPORT": "1",
    "PGUSER": "nobody",
    "PGPASSWORD": "none",
    "PGSSLMODE": "verify-full",
    "PGSSLROOTCERT": "/nowhere",
    "PGOPTIONS": "-c statement_timeout=1",
    "PGTARGETSESSIONATTRS": "read-only",
    "PGREQUIREPEER": "nobody",
    "PGCHANNELBINDING": "require",
    "PGSSLNEGOTIATION": "direct",
}


async def test_a_handlers_variables_for_its_own_database_do_not_reach_ours(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in LIBPQ.items():
        monkeypatch.setenv(name, value)
    connection = await connect(engine.core.url)
    await connection.close()
    with connect_sync(engine.core.url) as blocking:
        assert blocking.execute("select 1").fetchone() == (1,)


def test_the_variables_count_as_they_were_when_the_engine_was_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGSSLMODE", "require")
    monkeypatch.setenv("PGTARGETSESSIONATTRS", "primary")
    said = conninfo_to_dict(settled("postgresql://me@db.example.com/x?options=-cwork_mem%3D8MB"))
    assert (said["sslmode"], said["target_session_attrs"], said["options"]) == ("require", "primary", "-cwork_mem=8MB")
    monkeypatch.setenv("PGSERVICE", "theirs")
    assert "sslmode" not in conninfo_to_dict(settled("postgresql://me@db.example.com/x"))
