"""Opening, migrating, and what errors of the database mean to a caller."""

import asyncio
import os
import shutil
import socket
import tempfile
from collections.abc import Generator, Iterator
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from tests.conftest import execute
from tests.contract.steps import create, numbers
from tests.support import wait_until
from worker.engine import core
from worker.engine.core import POOL_SIZE
from worker.engine.database import migrate
from worker.engine.database.connections import platform_error
from worker.engine.database.urls import normal_url, shown
from worker.engine.engine import Engine
from worker.words.errors import ConfigurationError, ModuleException, Unavailable, ValidationError
from worker.words.task_lists import TaskQuery

PASSWORD = "hunter2-of-the-test"


def messages(error: BaseException | None) -> str:
    """What a log would show of an error and of what it came from."""
    shown: list[str] = []
    while error is not None:
        shown.append(f"{error!r} {error}")
        error = error.__cause__
    return "\n".join(shown)


async def opening(url: str) -> ModuleException:
    """The error of opening an engine there, shown to hold no password."""
    engine = Engine(url)
    with pytest.raises(ModuleException) as caught:
        await engine.open()
    await engine.close()
    assert PASSWORD not in messages(caught.value)
    assert PASSWORD not in engine.description
    return caught.value


async def test_migrating_twice_applies_everything_once(empty_database_url: str) -> None:
    engine = Engine(empty_database_url)
    assert await engine.pending_migrations() == migrate.names()
    assert await engine.migrate() == migrate.names()
    assert await engine.migrate() == []
    assert await engine.pending_migrations() == []


async def test_asking_what_is_pending_changes_nothing(empty_database_url: str) -> None:
    await Engine(empty_database_url).pending_migrations()
    assert execute(empty_database_url, "select count(*) from pg_namespace where nspname = 'worker'") == [(0,)]


async def test_many_that_migrate_at_once_wait_for_one_another(empty_database_url: str) -> None:
    applied = await asyncio.gather(*(Engine(empty_database_url).migrate() for _ in range(6)))
    assert sorted(name for names in applied for name in names) == migrate.names()  # each by one of them
    assert execute(empty_database_url, "select count(*) from worker.migrations") == [(len(migrate.names()),)]


def _half_a_migration(_: str) -> str:
    return "create table worker.half (id int); select 1 / 0"


async def test_a_migration_that_fails_leaves_nothing_behind(
    empty_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migrate, "text", _half_a_migration)
    with pytest.raises((psycopg.Error, ModuleException)):
        await Engine(empty_database_url).migrate()
    monkeypatch.undo()
    assert execute(empty_database_url, "select to_regclass('worker.half')::text") == [(None,)]
    assert await Engine(empty_database_url).migrate() == migrate.names()


async def test_a_database_without_the_schema_says_what_to_run(empty_database_url: str) -> None:
    engine = Engine(empty_database_url)
    await engine.open()
    for verb in (engine.tasks.get("x"), create(engine), engine.tasks.find(TaskQuery())):
        with pytest.raises(ConfigurationError, match="run `worker migrate`"):
            await verb
    await engine.close()


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg", "postgres+asyncpg"])
async def test_a_url_with_herokus_scheme_or_sqlalchemys_is_taken(database_url: str, scheme: str) -> None:
    engine = Engine(f" {scheme}{database_url.removeprefix('postgresql')}\n")
    await engine.open()
    assert (await create(engine)).last_event == 1
    await engine.close()


def test_other_urls_are_left_as_they_are() -> None:
    assert normal_url("host=localhost dbname=x") == "host=localhost dbname=x"


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        (
            f"postgres://me:{PASSWORD}@db.example.com:5433/shop?sslmode=require",
            "PostgreSQL at db.example.com:5433, database shop",
        ),
        (f"postgresql://me:{PASSWORD}@/shop?host=%2Ftmp%2Fsocket", "PostgreSQL at a unix socket, database shop"),
        (f"host=a password={PASSWORD}", "PostgreSQL at a, database default"),
        (f"postgres://{PASSWORD}@[", "PostgreSQL (unreadable URL)"),
    ],
)
def test_what_is_shown_of_a_url_holds_no_secret(url: str, expected: str) -> None:
    assert shown(url) == expected


async def test_a_host_that_does_not_answer_is_unavailable() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound but not listening: refused
        error = await opening(f"postgresql://me:{PASSWORD}@127.0.0.1:{taken.getsockname()[1]}/x")
    assert isinstance(error, Unavailable)
    assert error.retry_after is not None


async def test_a_database_that_does_not_exist_is_a_matter_of_configuration(database_url: str) -> None:
    error = await opening(urlsplit(database_url)._replace(path="/nowhere").geturl())
    assert isinstance(error, ConfigurationError)
    assert "does not exist" in str(error)


async def test_a_user_that_does_not_exist_is_a_matter_of_configuration(database_url: str) -> None:
    error = await opening(database_url.replace("://postgres@", f"://nobody-known:{PASSWORD}@"))
    assert isinstance(error, ConfigurationError)
    assert "rejected the user or password" in str(error)


@contextmanager
def _rule_first(file: Path, rule: str, url: str) -> Generator[None]:
    """Have the server demand something of a user, for a while."""
    rules = file.read_text()
    file.write_text(f"{rule}\n{rules}")
    execute(url, "select pg_reload_conf()")
    yield
    file.write_text(rules)
    execute(url, "select pg_reload_conf()")


async def test_a_wrong_password_is_a_matter_of_configuration(database_url: str) -> None:
    execute(database_url, f"create role asked login password 'other-{PASSWORD}'")
    try:
        ((file,),) = execute(database_url, "show hba_file")
        with _rule_first(Path(file), "local all asked scram-sha-256", database_url):
            error = await opening(database_url.replace("://postgres@", f"://asked:{PASSWORD}@"))
    finally:
        execute(database_url, "drop role asked")
    assert isinstance(error, ConfigurationError)
    assert "rejected the user or password" in str(error)


@pytest.mark.parametrize(
    "url", [f"mysql://me:{PASSWORD}@h/x", f"postgresql://me:{PASSWORD}@h:port/x", f"postgresql://{PASSWORD}@["]
)
def test_a_url_that_cannot_be_read_is_refused_before_anything_is_started(url: str) -> None:
    with pytest.raises(ConfigurationError, match="DATABASE_URL is not a valid PostgreSQL URL") as caught:
        Engine(url)
    assert PASSWORD not in messages(caught.value)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (psycopg.errors.TooManyConnections(), Unavailable),
        (psycopg.errors.DiskFull(), Unavailable),
        (psycopg.errors.AdminShutdown(), Unavailable),
        (psycopg.errors.DeadlockDetected(), Unavailable),
        (psycopg.errors.UndefinedColumn(), ConfigurationError),
        (psycopg.errors.CheckViolation(), ValidationError),
        (psycopg.DataError(), ValidationError),
        (KeyError("a defect"), type(None)),
    ],
)
def test_what_the_driver_raises_has_a_meaning(error: Exception, expected: type[object]) -> None:
    assert type(platform_error(error)) is expected


async def test_whoever_is_cancelled_as_a_connection_comes_free_is_cancelled(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many turns of the loop lie between the two: the pool and Python 3.11 each pass over a cancellation."""
    monkeypatch.setattr(core, "POOL_SIZE", 1)
    engine = Engine(database_url)
    await engine.open()

    async def use() -> None:
        async with engine.core.connection():
            await asyncio.Event().wait()

    try:
        for turns in range(20):
            async with engine.core.connection():
                waiting = asyncio.create_task(use())
                await asyncio.sleep(0.005)  # it waits by now, or the round shows nothing
            for _ in range(turns):
                await asyncio.sleep(0)
            waiting.cancel()
            await asyncio.wait([waiting], timeout=5)
            assert waiting.cancelled(), f"after {turns} turns"
    finally:
        await engine.close()


async def test_an_engine_can_be_opened_and_closed_twice(database_url: str) -> None:
    engine = Engine(database_url)
    await engine.open()
    tasks = engine.tasks
    await engine.open()
    assert engine.tasks is tasks
    task = await create(engine)
    await engine.close()
    await engine.close()
    with pytest.raises(Unavailable):
        await engine.tasks.get(task.id)
    await engine.open()
    assert await numbers(engine, task.id) == [1]
    await engine.close()


@pytest.fixture
def own_home() -> Iterator[Path]:
    home = Path(tempfile.mkdtemp(prefix="worker-own-"))
    home.chmod(0o711)  # as root the server runs under another account, which must get in
    yield home
    shutil.rmtree(home)


async def test_an_engine_without_a_url_brings_its_own_server_and_schema(own_home: Path) -> None:
    engine = Engine(home=own_home)
    await engine.open()
    assert engine.description == f"the embedded PostgreSQL in {own_home}"
    assert (await create(engine)).last_event == 1
    folder = str(conninfo_to_dict(engine.core.url)["host"])
    await engine.close()
    assert not os.path.exists(folder), "the last user stopped the server"  # noqa: ASYNC240, PTH110 - one look, after all is done


async def test_a_caller_that_leaves_as_it_returns_its_connection_takes_none_along(engine: Engine) -> None:
    pool = engine.core._pool
    assert pool is not None
    async with AsyncExitStack() as held:
        for _ in range(POOL_SIZE - 1):
            await held.enter_async_context(pool.connection())
        lent, done = asyncio.Event(), asyncio.Event()

        async def caller() -> None:
            async with pool.connection():
                lent.set()
                await done.wait()

        leaving = asyncio.create_task(caller())
        await lent.wait()
        waiting = asyncio.create_task(engine.core.rows("select 1 as one"))
        await wait_until(lambda: pool._pool.get_stats()["requests_waiting"] == 1, "another caller waits for it")
        async with pool._pool._lock:
            done.set()
            await wait_until(lambda: bool(pool._pool._lock._waiters), "the connection is being returned")
            leaving.cancel()
            await asyncio.wait({leaving})
        assert await asyncio.wait_for(waiting, 5) == [{"one": 1}]
