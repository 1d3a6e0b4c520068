"""The grouped writer, with real connections and real processes beside it."""

import asyncio
import subprocess
import sys
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.contract.steps import AGENT, claim, create, finish, log, note, numbers, run, wish, worker
from tests.support import wait_until
from worker.engine.commit import queue
from worker.engine.commit.batch import NewRow
from worker.engine.engine import Engine
from worker.engine.liveness import wakeups as hubs
from worker.engine.state.client_changes import Retry
from worker.engine.state.run_changes import Append, Finish, Save
from worker.words.errors import LeaseLost, Unavailable, ValidationError
from worker.words.events import NewEvent
from worker.words.outcomes import Outcome
from worker.words.statuses import AgentExecutionStatus as Status
from worker.words.statuses import TaskUpdateEventType as Type
from worker.words.work import JournalEntry

ROOT = Path(__file__).parents[2]
SECONDS = 10


async def sql(url: str, statement: str, *parameters: object) -> list[tuple[Any, ...]]:
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        cursor = await connection.execute(statement.encode(), parameters)
        return await cursor.fetchall() if cursor.description else []


async def together(engine: Engine, *writes: Any) -> list[Any]:
    """Have writes done by one group: all are handed in before the writer's task gets a turn."""
    commits = engine.core.writer.commits
    outcomes = await asyncio.gather(*writes, return_exceptions=True)
    assert engine.core.writer.commits - commits == 1, "the writes were one group"
    return outcomes


async def test_what_is_handed_in_at_once_is_one_commit(engine: Engine) -> None:
    await together(engine, *(create(engine) for _ in range(100)))


async def test_two_changes_of_one_task_in_one_group_are_done_one_after_the_other(engine: Engine) -> None:
    _, assignment = await run(engine)
    task_id = assignment.task.id
    save = engine.tasks.update(task_id, {"payload_extension": {"a": 1}}, attempt=1)
    more = engine.tasks.update(task_id, {"payload_extension": {"b": 2}}, attempt=1)
    await together(engine, save, more, finish(engine, assignment, result="R"))
    task = await engine.tasks.get(task_id)
    assert (task.status, task.payload_extension) == (Status.Completed, {"a": 1, "b": 2})
    assert await numbers(engine, task_id) == [1, 2, 3, 4, 5]


async def test_in_one_group_only_the_loser_sees_its_loss(engine: Engine) -> None:
    _, assignment = await run(engine)
    other = await create(engine)
    task_id = assignment.task.id
    stopped, lost, created, unknown = await together(
        engine,
        engine.core.writer.write(Save("default", task_id, None, {"status": Status.Stopped})),
        engine.core.writer.write(Finish("default", task_id, 1, Outcome(Status.Completed, {"result": "late"}))),
        engine.core.writer.write(Append("default", other.id, None, [note()])),
        engine.core.writer.write(Append("default", "unknown", None, [note()])),
    )
    assert isinstance(lost, LeaseLost)
    assert type(unknown).__name__ == "TaskNotFound"
    assert not isinstance(stopped, Exception)
    assert not isinstance(created, Exception)
    assert (await engine.tasks.get(task_id)).result is None


async def test_a_journal_entry_before_a_retry_in_the_same_group_is_dropped_with_the_rest(engine: Engine) -> None:
    _, assignment = await run(engine)
    task_id, write = assignment.task.id, engine.core.writer.write
    await together(
        engine,
        write(Append("default", task_id, 1, [], [JournalEntry("k", "1")])),
        write(Finish("default", task_id, 1, Outcome(Status.Completed))),
        write(Retry("default", task_id)),
    )
    assert await engine.work.journal(task_id) == {}


@pytest.mark.parametrize("value", ["{", "", "1}, {"])
async def test_of_a_bad_row_among_good_ones_only_the_bad_ones_caller_hears(engine: Engine, value: str) -> None:
    by = await worker(engine)
    for _ in range(9):
        await create(engine)
    held = await claim(engine, by, 9)
    bad = held[4].task.id
    writes = [
        engine.work.emit(each.task.id, 1, [note()], [JournalEntry("k", value if each.task.id == bad else "1")])
        for each in held
    ]
    outcomes = await asyncio.gather(*writes, return_exceptions=True)
    assert [isinstance(outcome, Exception) for outcome in outcomes] == [each.task.id == bad for each in held]
    assert isinstance(outcomes[4], ValidationError)
    for each in held:
        wanted: dict[str, str] = {} if each.task.id == bad else {"k": "1"}
        assert await engine.work.journal(each.task.id) == wanted
        assert len(await numbers(engine, each.task.id)) == (2 if each.task.id == bad else 3)


async def test_a_journal_value_reaches_no_other_task(engine: Engine) -> None:
    _, mine = await run(engine)
    theirs = await create(engine)
    forged = f'1}},{{"task_id":"{theirs.id}","key":"k","value":2'
    with pytest.raises(ValidationError):
        await engine.work.emit(mine.task.id, 1, [], [JournalEntry("k", forged)])
    assert await engine.work.journal(theirs.id) == {}


async def test_a_row_that_the_database_refuses_leaves_its_neighbours_alone(engine: Engine, database_url: str) -> None:
    tasks = [await create(engine) for _ in range(5)]
    await sql(database_url, "alter table worker.tasks add constraint no_bad check (result <> 'bad')")
    results = ["a", "bad", "b", "bad", "c"]
    outcomes = await asyncio.gather(
        *(engine.tasks.update(task.id, {"result": result}) for task, result in zip(tasks, results, strict=True)),
        return_exceptions=True,
    )
    assert [isinstance(outcome, ValidationError) for outcome in outcomes] == [False, True, False, True, False]
    stored = [(await engine.tasks.get(task.id)).result for task in tasks]
    assert stored == ["a", None, "b", None, "c"]


@pytest.mark.parametrize("size", [256 * 1024 + 1, 3_000_000])
async def test_a_large_value_goes_another_way_and_is_stored(engine: Engine, size: int) -> None:
    _, assignment = await run(engine, text="x" * size)
    items = engine.core.writer.items
    large = "y\0" * (size // 2)
    await engine.work.emit(assignment.task.id, 1, [note(large)], [JournalEntry("k", f'"{"z" * size}"')])
    await finish(engine, assignment, result=large)
    task = await engine.tasks.get(assignment.task.id)
    assert (task.input.text, task.result) == ("x" * size, large.replace("\0", "\ufffd"))
    assert len((await engine.work.journal(task.id))["k"]) == size + 2
    assert (await log(engine, task.id))[-2].data.text == task.result
    assert engine.core.writer.items == items + 2


async def test_no_group_waits_for_a_large_value_and_no_large_value_for_a_group(
    engine: Engine, database_url: str
) -> None:
    small, large = [await create(engine) for _ in range(2)]
    big = NewEvent(type=Type.Chunk, data="x" * 300_000)
    for stuck, free in ((small, large), (large, small)):
        async with await psycopg.AsyncConnection.connect(database_url) as blocker:
            await blocker.execute("select from worker.tasks where id = %s for update", (stuck.id,))
            waiting = asyncio.create_task(engine.tasks.push(stuck.id, [note() if stuck is small else big]))
            await asyncio.wait_for(engine.tasks.push(free.id, [note() if free is small else big]), SECONDS)
            assert not waiting.done()
            await blocker.rollback()
        await asyncio.wait_for(waiting, SECONDS)


async def test_a_group_locks_its_tasks_in_the_order_of_their_ids(engine: Engine, database_url: str) -> None:
    low, *others = sorted([(await create(engine)).id for _ in range(20)])
    free = "select count(*) from (select from worker.tasks for update skip locked) as free"
    assert engine.core.writer._connection is not None
    backend = engine.core.writer._connection.info.backend_pid
    async with await psycopg.AsyncConnection.connect(database_url) as blocker:
        await blocker.execute("select from worker.tasks where id = %s for update", (low,))
        pushes = [asyncio.create_task(engine.tasks.push(each, [note()])) for each in [*others[::-1], low]]
        await wait_until(lambda: _waits(database_url, backend), "the group waits for its first task")
        assert await sql(database_url, free) == [(19,)], "it holds none of the later ones yet"
        await blocker.rollback()
    await asyncio.wait_for(asyncio.gather(*pushes), SECONDS)


async def test_large_and_small_values_of_one_task_stay_gapless(engine: Engine) -> None:
    _, assignment = await run(engine)
    big = NewEvent(type=Type.Chunk, data="x" * 300_000)
    await asyncio.gather(*(engine.work.emit(assignment.task.id, 1, [big if i % 3 == 0 else note()]) for i in range(12)))
    assert await numbers(engine, assignment.task.id) == list(range(1, 15))


async def test_the_change_of_a_cancelled_caller_stands_and_its_neighbours_stand_too(engine: Engine) -> None:
    task = await create(engine)
    leaver = asyncio.create_task(engine.tasks.update(task.id, {"title": "left"}))
    stayer = asyncio.create_task(engine.tasks.update(task.id, {"result": "stayed"}))
    await asyncio.sleep(0)  # both have handed in their change
    leaver.cancel()
    assert (await stayer).result == "stayed"
    with pytest.raises(asyncio.CancelledError):
        await leaver
    assert (await engine.tasks.get(task.id)).title == "left"


async def test_when_the_connection_is_killed_what_it_was_at_is_done_once_on_another(
    engine: Engine, database_url: str
) -> None:
    await create(engine)
    assert engine.core.writer._connection is not None
    backend = engine.core.writer._connection.info.backend_pid
    async with await psycopg.AsyncConnection.connect(database_url) as blocker:
        await blocker.execute("lock table worker.events in access exclusive mode")
        creating = [asyncio.create_task(create(engine)) for _ in range(20)]
        await wait_until(lambda: _waits(database_url, backend), "the group waits half-way through its transaction")
        await sql(database_url, "select pg_terminate_backend(%s)", backend)
    tasks = await asyncio.wait_for(asyncio.gather(*creating), SECONDS)
    assert await sql(database_url, "select count(*) from worker.tasks") == [(21,)]
    assert {(await engine.tasks.get(task.id)).status for task in tasks} == {Status.Pending}


async def _waits(url: str, backend: int) -> bool:
    rows = await sql(url, "select wait_event_type from pg_stat_activity where pid = %s", backend)
    return rows == [("Lock",)]


async def test_a_connection_killed_while_idle_is_replaced(engine: Engine, database_url: str) -> None:
    await create(engine)
    await sql(
        database_url,
        "select pg_terminate_backend(pid) from pg_stat_activity"
        " where datname = current_database() and pid <> pg_backend_pid()",
    )
    made: list[Any] = []

    async def works() -> bool:
        try:
            made.append(await create(engine))
        except Unavailable:
            return False
        return True

    await wait_until(works, "writes work again")
    await wait_until(lambda: _readable(engine, made[0].id), "reads work again")


async def _readable(engine: Engine, task_id: str) -> bool:
    try:
        return (await engine.tasks.get(task_id)).id == task_id
    except Unavailable:
        return False


async def test_a_closing_writer_commits_what_waits_and_refuses_what_comes_later(
    engine: Engine, database_url: str
) -> None:
    creating = [asyncio.create_task(create(engine)) for _ in range(10)]
    await asyncio.sleep(0)  # all have handed in theirs
    await engine.close()
    assert len(await asyncio.gather(*creating)) == 10
    assert await sql(database_url, "select count(*) from worker.tasks") == [(10,)]
    with pytest.raises(Unavailable):
        await engine.tasks.create(wish())


async def test_a_write_that_collides_with_a_subscription_given_up_is_done_all_the_same(
    engine: Engine, database_url: str
) -> None:
    await sql(
        database_url,
        "insert into worker.subscriptions (organization_id, handler, event_type)"
        " values ('default', 'old', 'task_created')",
    )
    await engine.core.writer.write(NewRow("warm-up", "other", AGENT, {"input": {"text": "x"}}, {}, 0))
    assert engine.core.writer._connection is not None
    backend = engine.core.writer._connection.info.backend_pid
    async with await psycopg.AsyncConnection.connect(database_url) as retiring:
        await retiring.execute("delete from worker.subscriptions")
        creating = asyncio.create_task(create(engine))
        await wait_until(lambda: _waits(database_url, backend), "the write waits for the one that gives up")
        await retiring.commit()
    task = await asyncio.wait_for(creating, SECONDS)
    assert await numbers(engine, task.id) == [1]


OVERLAP = """
import asyncio, random, sys
from worker.engine.engine import Engine
from worker.words.events import NewEvent
async def main():
    url, seed, ids = sys.argv[1], int(sys.argv[2]), sys.argv[3].split(",")
    engine = Engine(url)
    await engine.open()
    print("ready", flush=True)
    sys.stdin.readline()
    chance = random.Random(seed)
    for _ in range(12):
        await asyncio.gather(*(
            engine.tasks.push(task_id, [NewEvent(type="note", data={"text": str(seed)})])
            for task_id in chance.sample(ids, len(ids))
        ))
    await engine.close()
asyncio.run(main())
"""


def start(script: str, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", script, *arguments],
        cwd=ROOT,
        text=True,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


async def test_two_processes_on_the_same_tasks_neither_deadlock_nor_leave_gaps(
    engine: Engine, database_url: str
) -> None:
    ids = [(await create(engine)).id for _ in range(20)]
    deadlocks = "select deadlocks from pg_stat_database where datname = current_database()"
    before = await sql(database_url, deadlocks)
    processes = [start(OVERLAP, database_url, str(seed), ",".join(ids)) for seed in (1, 2)]
    for process in processes:
        assert process.stdout is not None
        assert await asyncio.to_thread(process.stdout.readline) == "ready\n"
    ends = [asyncio.to_thread(process.communicate, "go\n") for process in processes]
    for process, (_, errors) in zip(processes, await asyncio.gather(*ends), strict=True):
        assert (process.returncode, errors) == (0, "")
    for task_id in ids:
        assert await numbers(engine, task_id) == list(range(1, 1 + 24 + 1))
    assert await sql(database_url, deadlocks) == before


async def test_a_hint_reaches_another_process(engine: Engine, database_url: str) -> None:
    """Its hub is woken by NOTIFY alone: nobody polls within the limit."""
    listener = Engine(database_url, poll=600)
    await listener.open()
    try:
        task = await create(engine)
        seen: list[int | None] = []

        async def follow() -> None:
            seen.extend([event.number async for event in listener.tasks.events(task.id)])

        following = asyncio.create_task(follow())
        await wait_until(lambda: listener.core.heartbeat.ready(0), "the other process listens")
        await engine.tasks.push(task.id, [note()])
        await engine.tasks.stop(task.id)
        await asyncio.wait_for(following, SECONDS)
        assert seen == [1, 2, 3]
    finally:
        await listener.close()


async def test_the_hint_of_a_last_write_before_closing_reaches_another_process(
    engine: Engine, database_url: str
) -> None:
    """Its worker is woken by NOTIFY alone: nobody polls within the limit."""
    listener = Engine(database_url, poll=600)
    await listener.open()
    try:
        by = await worker(listener)
        waiting = asyncio.create_task(claim(listener, by, seconds=60))
        await wait_until(lambda: by.id in listener.core.writer.hand_offs.workers, "the worker waits for a hint")
        task = await create(engine)
        await engine.close()
        assert [each.task.id for each in await asyncio.wait_for(waiting, SECONDS)] == [task.id]
    finally:
        await listener.close()


@pytest.mark.parametrize("length", [10, 128])
def test_a_hint_is_cut_at_the_border_of_an_id(length: int) -> None:
    ids = [str(number).zfill(length) for number in range(2000)]
    text = hubs.hint("me", "wd", ids)
    sender, flags, rest = text.split(";")
    assert (sender, flags) == ("me", "wd")
    assert len(text) <= 7900
    assert len(text) >= 7900 - length - 1
    assert rest.split(",") == ids[: len(rest.split(","))]


def test_a_short_hint_is_whole() -> None:
    assert hubs.hint("me", "w", ["a", "b"]) == "me;w;a,b"
    assert hubs.hint("me", "", []) == "me;;"


async def test_more_ids_than_a_hint_holds_are_still_committed_and_told(
    engine: Engine, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue, "GROUP_ITEMS", 400)
    tasks = await together(engine, *(create(engine) for _ in range(400)))
    assert await sql(database_url, "select count(*) from worker.tasks") == [(len(tasks),)]


async def test_a_group_holds_no_more_than_its_bytes(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queue, "GROUP_BYTES", 10_000)
    commits = engine.core.writer.commits
    await asyncio.gather(*(create(engine, "x" * 4_000) for _ in range(10)))
    assert engine.core.writer.commits - commits == 5
