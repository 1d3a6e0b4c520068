"""Migrations in a deploy: two at once, beside running workers, before and after the code that needs them."""

import asyncio
import re
import threading
from collections import Counter
from collections.abc import Callable
from importlib import resources

import psycopg
import pytest

from tests.cli.conftest import here, shells
from tests.cli.shells import SECONDS, Shell
from tests.conftest import execute
from tests.supervisor.stories import Handlers, create
from tests.support import wait_until
from tests.workers import working
from worker.engine.database import migrate
from worker.engine.engine import Engine
from worker.engine.timings import EngineTimings
from worker.words.errors import Unavailable
from worker.words.statuses import AgentExecutionStatus as Status

__all__ = ["here", "shells"]

FUTURE = """
    alter table worker.tasks add column colour text not null default 'red';
    alter table worker.workers add column colour text;
    create table worker.colours (name text primary key, task_id text references worker.tasks (id) on delete cascade);
    insert into worker.migrations (name) values ('9999_colours.sql');
"""
CONTRACTS = re.compile(
    r"\b(drop\s+(table|column|schema)|rename\b|set\s+not\s+null|alter\s+column\s+\w+\s+(set\s+data\s+)?type)",
    re.IGNORECASE,
)
SHARED_BEFORE = {"0007"}  # released so; neither file needs the other


async def test_two_releases_that_migrate_at_once_both_succeed(
    here: Shell, empty_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", empty_database_url)
    both = [here.start("migrate"), here.start("migrate")]
    assert [await asyncio.to_thread(each.process.wait, SECONDS) for each in both] == [0, 0]
    applied = [line for each in both for line in each.log.splitlines() if line.endswith(".sql")]
    assert sorted(applied) == migrate.names()  # each by one of them
    assert execute(empty_database_url, "select name from worker.migrations order by 1") == [
        (name,) for name in migrate.names()
    ]


async def test_the_lock_of_a_migration_outlives_no_transaction(empty_database_url: str) -> None:
    await Engine(empty_database_url).migrate()
    assert execute(empty_database_url, "select count(*) from pg_locks where locktype = 'advisory'") == [(0,)]


async def test_older_code_works_on_a_newer_schema(empty_database_url: str) -> None:
    engine = Engine(empty_database_url)
    await engine.migrate()
    execute(empty_database_url, FUTURE)
    assert await engine.pending_migrations() == []
    assert await engine.migrate() == []

    async def work(task: object) -> str:
        return "done"

    handlers = Handlers()
    handlers.bind(work)
    await engine.open()
    async with working(engine, handlers):
        task = await create(engine)

        async def completed() -> bool:
            return (await engine.tasks.get(task.id)).status is Status.Completed

        await wait_until(completed, "a task was done by code that is older than its database")
    await engine.close()


async def test_a_migration_gives_way_to_those_who_work_while_a_backup_holds_a_table(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migrate, "names", lambda: ["9998_test.sql"])
    monkeypatch.setattr(migrate, "text", _altering)
    engine = Engine(database_url, timings=EngineTimings(migration_lock=1.0, migration_pause=0.05))
    with psycopg.connect(database_url) as backup:
        backup.execute("select count(*) from worker.tasks")  # and its transaction stays open
        migrating = asyncio.create_task(engine.migrate())
        await wait_until(_waits_for_a_lock(database_url), "the migration waits for the backup")
        await asyncio.wait_for(_read(database_url), 20)  # whoever reads gets on before the migration does
        assert not migrating.done()
    assert await migrating == ["9998_test.sql"]
    execute(database_url, "delete from worker.migrations where name = '9998_test.sql'")


async def test_a_migration_that_waits_in_vain_says_so(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(migrate, "names", lambda: ["9998_test.sql"])
    monkeypatch.setattr(migrate, "text", _altering)
    engine = Engine(database_url, timings=EngineTimings(migration_lock=1.0, migration=0.5))
    with psycopg.connect(database_url) as backup:
        backup.execute("select count(*) from worker.tasks")
        with pytest.raises(Unavailable, match=r"9998_test.sql waited 1 s for a lock on a table"):
            await engine.migrate()


def test_no_migration_takes_away_what_the_version_before_uses() -> None:
    folder = resources.files("worker.engine") / "migrations"
    for entry in folder.iterdir():
        sql = re.sub(r"--[^\n]*", "", entry.read_text(encoding="utf-8")) if entry.name.endswith(".sql") else ""
        assert CONTRACTS.findall(sql) == [], f"{entry.name}: expand first; see CONTRIBUTING.md"


def test_no_two_migrations_share_a_number() -> None:
    """Those that share one are applied in the order of their names, which nobody had in mind who wrote the second."""
    numbers = Counter(name.partition("_")[0] for name in migrate.names())
    assert {number for number, times in numbers.items() if times > 1} <= SHARED_BEFORE
    assert [number for number in numbers if not re.fullmatch(r"\d{4}", number)] == []


def _altering(_: str) -> str:
    return "alter table worker.tasks add column colour text; alter table worker.tasks drop column colour"


def _waits_for_a_lock(url: str) -> Callable[[], bool]:
    query = "select count(*) > 0 from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()"
    return lambda: execute(url, query) == [(True,)]


async def _read(url: str) -> None:
    """Read the table on a connection of its own, in a thread of its own."""
    done = threading.Event()

    def read() -> None:
        execute(url, "select count(*) from worker.tasks")
        done.set()

    threading.Thread(target=read, daemon=True).start()
    await wait_until(done.is_set, "a reader got on", 15)
