"""What is over leaves, whole; what is live stays, whole, whatever happens to the clean-up."""

import asyncio
import os
import re
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.contract.steps import bring_to, claim, create, deliver, finish, hand_back, note, run, worker
from tests.support import wait_until
from worker.engine.database import migrate
from worker.engine.database.statements import retention as sql_retention
from worker.engine.engine import Engine
from worker.engine.timings import EngineTimings
from worker.engine.verbs import retention
from worker.engine.verbs.retention import Retention
from worker.words.audit import AuditQuery
from worker.words.errors import FileNotStored, TaskNotFound, Unavailable
from worker.words.notices import CleanedUp, Notice, PlatformTrouble, subscribe
from worker.words.statuses import AgentExecutionStatus as Status
from worker.words.statuses import TaskUpdateEventType
from worker.words.tasks import AgentExecutionInput, NewTask
from worker.words.upkeep import Removed
from worker.words.work import JournalEntry, KeptFile, Subscription, url_digest

DAYS = 30
PER_TASK = ("events", "journal", "cursors", "deliveries_set_aside", "task_files")


@pytest.fixture(scope="session", params=[18, 16], ids=["postgresql18", "postgresql16"])
def postgres_version(request: pytest.FixtureRequest) -> int:
    return request.param


class Database:
    """What the tests do behind the engine's back: move time, and look."""

    def __init__(self, url: str) -> None:
        self._url = url

    def __call__(self, statement: str, *parameters: Any) -> list[tuple[Any, ...]]:
        with psycopg.connect(self._url, autocommit=True) as connection:
            cursor = connection.execute(statement.encode(), parameters)
            return cursor.fetchall() if cursor.description else []

    def age(self, days: float, *task_ids: str) -> None:
        self(
            "update worker.tasks set finished_at = finished_at - make_interval(secs => %s) where id = any(%s)",
            days * 86_400,
            list(task_ids),
        )

    def counts(self) -> dict[str, int]:
        return {table: self(f"select count(*) from worker.{table}")[0][0] for table in ("tasks", *PER_TASK)}  # noqa: S608 - constants

    def many(self, count: int, *, events: int = 6) -> None:
        """Finished tasks of long ago, with their events, journals and cursors."""
        self(
            "insert into worker.tasks (id, organization_id, agent_id, status, last_event, finished_at, settings, state)"
            " select 'old-' || n, 'default', 'a', 'completed', %s, now() - make_interval(days => 40, secs => n),"
            ' \'{"input": {"text": "x"}}\', \'{}\' from generate_series(1, %s) n',
            events,
            count,
        )
        self(
            "insert into worker.events (task_id, number, type) select 'old-' || n, e, 'note'"
            " from generate_series(1, %s) n, generate_series(1, %s) e",
            count,
            events,
        )
        self(
            "insert into worker.journal (task_id, key, value)"
            " select 'old-' || n, 'k', '1' from generate_series(1, %s) n",
            count,
        )

    def check_whole(self) -> None:
        """Nothing of a task without the task, and no task without all of its events."""
        for table in PER_TASK:
            lost = f"select count(*) from worker.{table} where task_id not in (select id from worker.tasks)"  # noqa: S608 - constants
            assert self(lost) == [(0,)], table
        assert self(
            "select count(*) from worker.tasks t where t.last_event"
            " <> (select count(*) from worker.events e where e.task_id = t.id)"
        ) == [(0,)]


@pytest.fixture
def database(database_url: str) -> Database:
    return Database(database_url)


async def cleaned(engine: Engine, days: int = DAYS) -> Removed:
    total = Removed()
    async for removed in engine.clean(days):
        total += removed
    return total


async def full_task(engine: Engine, *, content: bytes = b"kept") -> str:
    """A finished task with something in every table."""
    listener = Subscription("listener", TaskUpdateEventType.Note)
    by = await worker(engine, subscriptions=[listener])
    task = await create(engine)
    (assignment,) = await claim(engine, by)
    await engine.work.emit(task.id, assignment.attempt, [note()], [JournalEntry("k", "1")])
    reference = await engine.tasks.store_file("a", "text/plain", content)
    await engine.work.keep_files(task.id, assignment.attempt, [KeptFile(url_digest("https://a"), reference)])
    (delivery,) = await deliver(engine, by)
    await engine.work.settle(delivery)
    await engine.keys.reserve("default", f"key of {task.id}", "digest", task.id)
    await finish(engine, assignment)
    await engine.work.leave(by.id)
    return task.id


async def test_a_task_whose_time_is_over_leaves_with_all_that_is_its_own(engine: Engine, database: Database) -> None:
    old, young = await full_task(engine, content=b"old"), await full_task(engine, content=b"young")
    database("insert into worker.deliveries_set_aside select id, %s, 1, 10, 'no' from worker.subscriptions", old)
    database.age(31, old)
    database.age(29, young)
    database("update worker.files set used_at = now() - interval '2 days'")
    database("update worker.repeats set created_at = now() - interval '2 days'")
    before = database.counts()
    surplus = await engine.count_removable(DAYS)
    assert database.counts() == before
    removed = await cleaned(engine)
    # the journal of the young one goes too: nobody will read it
    assert removed == Removed(tasks=1, events=4, journal=2, files=1, file_bytes=3)
    assert surplus == removed
    with pytest.raises(TaskNotFound):
        await engine.tasks.get(old)
    assert database.counts() == {
        "tasks": 1,
        "events": 4,
        "journal": 0,
        "cursors": 1,
        "deliveries_set_aside": 0,
        "task_files": 1,
    }
    assert database("select count(*) from worker.repeats") == [(0,)]
    assert [event.number async for event in engine.tasks.events(young)] == [1, 2, 3, 4]
    assert await cleaned(engine) == Removed()


async def test_every_table_that_knows_tasks_is_cleaned(database: Database) -> None:
    rows = database(
        "select table_name from information_schema.columns where table_schema = 'worker' and column_name = 'task_id'"
    )
    documents = {"knowledge_documents", "knowledge_editions"}  # they stay when the task that read them is gone
    known = {*sql_retention.OF_TASKS, *documents, "repeats"}  # what may be repeated is forgotten by its own age
    assert {name for (name,) in rows} - known == set()


@pytest.mark.parametrize("status", [Status.Pending, Status.Executing, Status.Paused])
async def test_what_is_live_stays_however_old_it_is(engine: Engine, database: Database, status: Status) -> None:
    task = await bring_to(engine, status)
    database("update worker.tasks set created_at = created_at - interval '1 year', updated_at = '2000-01-01'")
    assert await cleaned(engine, 1) == Removed()
    assert (await engine.tasks.get(task.id)).status is status


async def test_a_task_stays_until_its_events_are_delivered(engine: Engine, database: Database) -> None:
    listener = Subscription("listener", TaskUpdateEventType.TaskFinished)
    by = await worker(engine, subscriptions=[listener])
    task = await create(engine)
    (assignment,) = await claim(engine, by)
    await finish(engine, assignment)
    database.age(40, task.id)
    assert (await cleaned(engine)).tasks == 0
    (delivery,) = await deliver(engine, by)
    assert (await cleaned(engine)).tasks == 0
    await engine.work.settle(delivery)
    assert (await cleaned(engine)).tasks == 1
    database.check_whole()


@pytest.mark.parametrize("status", ["failed", "error", "stopped"])
async def test_a_task_that_may_be_resumed_keeps_its_journal(engine: Engine, database: Database, status: str) -> None:
    task = await full_task(engine)
    database("update worker.tasks set status = %s where id = %s", status, task)
    database.age(29, task)
    assert await cleaned(engine) == Removed()
    assert await engine.work.journal(task) == {"k": "1"}
    database.age(2, task)
    surplus = await engine.count_removable(DAYS)
    removed = await cleaned(engine)
    assert (removed.tasks, removed.journal) == (surplus.tasks, surplus.journal) == (1, 1)


async def test_journals_go_a_day_after_the_end_also_where_tasks_are_kept_for_ever(
    engine: Engine, database: Database
) -> None:
    old, young = await full_task(engine), await full_task(engine)
    by, live = await run(engine)
    await engine.work.emit(live.task.id, live.attempt, [], [JournalEntry("k", "1")])
    database.age(1.1, old)
    database.age(0.9, young)
    assert await cleaned(engine, 0) == Removed(journal=1)
    assert await engine.work.journal(old) == {}
    assert await engine.work.journal(young) == {"k": "1"}
    await hand_back(engine, live)
    database("update worker.tasks set available_at = now() - interval '1 year' where id = %s", live.task.id)
    assert await cleaned(engine, 0) == Removed()
    assert await engine.work.journal(live.task.id) == {"k": "1"}
    database.age(1000, old, young)
    assert (await cleaned(engine, 0)).tasks == 0
    await engine.work.leave(by.id)


async def test_a_file_goes_a_day_after_its_last_use_and_never_while_a_task_names_it(
    engine: Engine, database: Database
) -> None:
    unused = await engine.tasks.store_file("a", "text/plain", b"unused")
    used = await engine.tasks.store_file("b", "text/plain", b"used")
    task = await engine.tasks.create(NewTask(agent_id="a", input=AgentExecutionInput(files=[used])))
    assert await cleaned(engine) == Removed()
    database("update worker.files set used_at = now() - interval '23 hours'")
    assert await cleaned(engine) == Removed()
    database("update worker.files set used_at = now() - interval '25 hours'")
    assert await cleaned(engine) == Removed(files=1, file_bytes=6)
    with pytest.raises(FileNotStored):
        await engine.tasks.open_file(unused)
    await engine.tasks.stop(task.id)
    database.age(31, task.id)
    assert await cleaned(engine) == Removed(tasks=1, events=2, files=1, file_bytes=4)


async def test_a_large_value_of_a_journal_is_kept_as_long_as_the_journal(engine: Engine, database: Database) -> None:
    _, assignment = await run(engine)
    large = JournalEntry("k", f'"{"x" * 300_000}"')
    await engine.work.emit(assignment.task.id, assignment.attempt, [], [large])
    database("update worker.files set used_at = '2000-01-01'")
    assert await cleaned(engine) == Removed()
    assert await engine.work.journal(assignment.task.id) == {"k": large.value}
    await finish(engine, assignment)
    database.age(2, assignment.task.id)
    assert await cleaned(engine) == Removed(journal=1, files=1, file_bytes=300_002)


async def test_storing_or_naming_a_file_again_keeps_it_another_day(engine: Engine, database: Database) -> None:
    reference = await engine.tasks.store_file("a", "text/plain", b"a")
    database("update worker.files set used_at = now() - interval '25 hours'")
    await engine.tasks.store_file("a", "text/plain", b"a")
    assert await cleaned(engine) == Removed()
    database("update worker.files set used_at = now() - interval '25 hours'")
    task = await engine.tasks.create(NewTask(agent_id="a", input=AgentExecutionInput(files=[reference])))
    await engine.tasks.stop(task.id)
    database.age(31, task.id)
    assert await cleaned(engine) == Removed(tasks=1, events=2)
    assert database("select now() - used_at < interval '1 minute' from worker.files") == [(True,)]


async def test_batches_are_small(engine: Engine, database: Database) -> None:
    database.many(1200, events=30)
    steps = [removed async for removed in engine.clean(DAYS)]
    assert sum(steps, Removed()) == Removed(tasks=1200, events=36_000, journal=1200)
    assert max(step.tasks for step in steps) <= 500
    assert max(step.events for step in steps) <= 20_000
    database.check_whole()


async def test_a_task_with_more_events_than_a_batch_holds_goes_alone(
    engine: Engine, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "EVENTS_PER_BATCH", 5)
    database.many(3, events=6)
    assert [step.tasks async for step in engine.clean(DAYS) if step.tasks] == [1, 1, 1]


async def test_many_files_go_in_pages_of_a_bounded_size(
    engine: Engine, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "FILE_BYTES_PER_BATCH", 250)
    for number in range(5):
        await engine.tasks.store_file("a", "text/plain", bytes([number]) * 100)
    database("update worker.files set used_at = '2000-01-01'")
    assert [step.files async for step in engine.clean(DAYS) if step.files] == [2, 2, 1]


async def test_a_task_that_somebody_has_locked_is_passed_over(
    engine: Engine, database: Database, database_url: str
) -> None:
    database.many(3)
    async with await psycopg.AsyncConnection.connect(database_url) as other:
        await other.execute("select from worker.tasks where id = 'old-2' for update")
        async with asyncio.timeout(10):
            assert (await cleaned(engine)).tasks == 2
        database.check_whole()
    assert (await cleaned(engine)).tasks == 1


async def test_a_retry_beside_the_clean_up_finds_its_task_whole_or_gone(engine: Engine, database: Database) -> None:
    database.many(300)

    async def retry(number: int) -> bool:
        try:
            await engine.tasks.retry(f"old-{number}")
        except TaskNotFound:
            return False
        return True

    cleaning = asyncio.create_task(cleaned(engine))
    kept = sum(await asyncio.gather(*(retry(number) for number in range(1, 301))))
    removed = await cleaning
    assert kept + removed.tasks == 300
    assert database("select count(*) from worker.tasks where status = 'pending'") == [(kept,)]
    database.check_whole()


async def test_a_clean_up_that_is_killed_leaves_nothing_half(
    engine: Engine, database: Database, environment: Path
) -> None:
    database.many(20_000)
    command = [sys.executable, "-m", "worker", "clean"]
    process = await asyncio.create_subprocess_exec(*command, stdout=subprocess.DEVNULL, cwd=environment, env=os.environ)
    await wait_until(lambda: database("select count(*) from worker.tasks")[0][0] < 20_000, "some tasks are gone", 60)
    process.send_signal(signal.SIGKILL)
    await process.wait()
    left = database("select count(*) from worker.tasks")[0][0]
    assert 0 < left < 20_000
    database("analyze")  # what was just filled has no statistics, and the check joins all of it
    database.check_whole()
    assert (await cleaned(engine)).tasks == left or database("select count(*) from worker.tasks") == [(0,)]


HURRIED = EngineTimings(first_clean=(0.0, 0.05), clean=0.05)


@pytest.fixture
async def fleet(database_url: str) -> AsyncIterator[list[Engine]]:
    """Three processes that look after the database, as far as it can tell."""
    engines = [Engine(database_url, retention_days=DAYS, timings=HURRIED) for _ in range(3)]
    for engine in engines:
        await engine.open()
    yield engines
    for engine in engines:
        await engine.close()


@pytest.fixture
async def heard() -> AsyncIterator[list[Notice]]:
    notices: list[Notice] = []
    end = subscribe(notices.append)
    yield notices
    end()


async def test_one_of_the_fleet_cleans_up_once_a_day(
    fleet: list[Engine], database: Database, heard: list[Notice]
) -> None:
    database.many(10)
    fleet[0].guard()
    await worker(fleet[1])
    fleet[2].guard()
    await wait_until(lambda: any(isinstance(each, CleanedUp) for each in heard), "the clean-up is done")
    assert [each.removed.tasks for each in heard if isinstance(each, CleanedUp)] == [10]
    database.many(5)
    looked = database("select done_at from worker.chores")
    await asyncio.sleep(0)
    database("update worker.chores set done_at = done_at - interval '23 hours'")
    assert [each.removed.tasks for each in heard if isinstance(each, CleanedUp)] == [10]
    database("update worker.chores set done_at = done_at - interval '2 hours'")
    await wait_until(lambda: sum(isinstance(each, CleanedUp) for each in heard) == 2, "the next day's is done")
    assert database("select count(*) from worker.tasks") == [(0,)]
    assert database("select done_at from worker.chores") != looked
    assert not [each for each in heard if isinstance(each, PlatformTrouble)]


async def test_another_process_takes_over_from_one_that_went_silent(
    fleet: list[Engine], database: Database, heard: list[Notice]
) -> None:
    database.many(10)
    database("insert into worker.chores (name, begun_at) values ('retention', now() - interval '9 minutes')")
    fleet[0].guard()
    assert not await fleet[0].core.rows(sql_retention.BEGIN)
    database("update worker.chores set begun_at = now() - interval '11 minutes'")
    await wait_until(lambda: any(isinstance(each, CleanedUp) for each in heard), "another took over")


async def test_a_clean_up_that_fails_is_tried_again(
    fleet: list[Engine], database: Database, heard: list[Notice], monkeypatch: pytest.MonkeyPatch
) -> None:
    database.many(10)
    whole = Retention.clean
    broken = iter([True])

    def clean(self: Retention, days: int) -> Any:
        if next(broken, False):
            raise Unavailable("the database is away")
        return whole(self, days)

    monkeypatch.setattr(Retention, "clean", clean)
    fleet[0].guard()
    await wait_until(lambda: any(isinstance(each, PlatformTrouble) for each in heard), "it is told")
    database("update worker.chores set begun_at = now() - interval '11 minutes'")
    await wait_until(lambda: any(isinstance(each, CleanedUp) for each in heard), "it is done")


@pytest.mark.parametrize("timings", [HURRIED], ids=["hurried"])
async def test_nothing_is_cleaned_up_by_an_engine_that_was_not_told_to(engine: Engine, database: Database) -> None:
    engine.guard()
    that_was_told = Engine(engine.core.url, retention_days=1)
    assert len(that_was_told.core.upkeep) == len(engine.core.upkeep) + 1
    assert database("select count(*) from worker.chores") == [(0,)]


async def test_the_plans_are_by_index_however_much_is_kept(engine: Engine, database: Database) -> None:
    await full_task(engine)
    database.many(20_000, events=2)
    database(
        "insert into worker.files (organization_id, sha256, media_type, size, content)"
        " select 'default', md5(n::text), '', 1, 'x' from generate_series(1, 20000) n"
    )
    database(
        "insert into worker.task_files select 'old-' || n, 'd', 'default', md5(n::text), '', ''"
        " from generate_series(1, 20000) n"
    )
    database("analyze")
    ids = [f"old-{n}" for n in range(20)]  # of 20,000: as 1,000 of a million
    statements: list[tuple[str, Any]] = [
        (sql_retention.PICK_TASKS, {"days": DAYS, "limit": 500}),
        (sql_retention.DROP_JOURNALS, {"after": "", "limit": 200}),
        (sql_retention.PAGE_OF_FILES, {"organization": "", "sha256": "", "limit": 500}),
        (sql_retention.DROP_FILES, {"organization": "default", "files": ids}),
        *((statement, (ids,)) for statement in sql_retention.OF_TASKS.values()),
    ]
    for statement, parameters in statements:
        rows = await engine.core.rows(f"explain {statement}", parameters)  # pyright: ignore[reportArgumentType] # a constant
        plan = "\n".join(row["QUERY PLAN"] for row in rows)
        scanned = re.findall(r"Seq Scan on (\w+)", plan)
        assert {*scanned} <= {"subscriptions", "cursors", "deliveries_set_aside"}, plan  # of a row or two here


async def test_a_database_of_before_knows_its_uploads(engine: Engine, database: Database) -> None:
    """What migration 0005 fills in: pending tasks from before it keep their uploads."""
    reference = await engine.tasks.store_file("a", "text/plain", b"a")
    task = await engine.tasks.create(NewTask(agent_id="a", input=AgentExecutionInput(files=[reference])))
    expected = await engine.tasks.kept_files(task.id)
    database("delete from worker.task_files")
    sql = (Path(migrate.__file__).parents[1] / "migrations" / "0005_files.sql").read_text()
    start = sql.index("insert into worker.task_files")
    database(sql[start : sql.index(";", start)])
    assert [each.reference.partition("/")[0] for each in await engine.tasks.kept_files(task.id)] == [
        each.reference.partition("/")[0] for each in expected
    ]


async def test_lines_of_the_audit_log_leave_when_their_time_is_over(database_url: str, database: Database) -> None:
    engine = Engine(database_url, audit_days=90)
    await engine.open()
    try:
        for _ in range(3):
            await engine.tasks.stop((await create(engine)).id)
        database(
            "update worker.audit set at = now() - interval '91 days' where id <> (select max(id) from worker.audit)"
        )
        assert (await engine.count_removable(0)).audit == 2
        assert await cleaned(engine, 0) == Removed(audit=2)
        assert len(await engine.tasks.audit(AuditQuery())) == 1
        keeps = Engine(database_url)
        await keeps.open()
        database("update worker.audit set at = now() - interval '91 days'")
        assert await cleaned(keeps, 0) == Removed()
        await keeps.close()
    finally:
        await engine.close()
