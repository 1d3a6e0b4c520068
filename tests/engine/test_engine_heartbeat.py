"""The pulse, with real processes that block, stop and die."""

import asyncio
import multiprocessing
import os
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.contract.steps import AGENT, claim, create, finish, run, worker
from tests.support import wait_until
from worker.engine import core
from worker.engine.engine import Engine
from worker.engine.timings import EngineTimings
from worker.words.attempts import AttemptOutcome
from worker.words.errors import LeaseLost
from worker.words.notices import Notice, WorkerLost, subscribe
from worker.words.statuses import AgentExecutionStatus as Status

ROOT = Path(__file__).parents[2]

OTHER = """
import asyncio, sys, time
from worker.engine import core
from worker.engine.liveness import heartbeat
from worker.engine.engine import Engine
from worker.words.work import Demand, WorkerCard
async def main():
    url, what, lease, count = sys.argv[1], sys.argv[2], float(sys.argv[3]), int(sys.argv[4])
    if what == "pooled":
        async def pooled(connection): return True
        core.is_pooled = pooled
    engine = Engine(url)
    await engine.open()
    card = WorkerCard(id=f"other-{what}", name="the other", agents=("analyst",), lease_seconds=lease)
    await engine.work.register(card)
    held = []
    while len(held) < count:
        held += await engine.work.assignments(card.id, lambda: Demand(9, {"analyst": 9}), 5)
    print("holds", flush=True)
    if what == "blocked":
        time.sleep(600)  # the loop is blocked; the pulse must not be
    await asyncio.Event().wait()
asyncio.run(main())
"""


@contextmanager
def other(url: str, what: str = "idle", lease: float = 30, count: int = 1) -> Generator[subprocess.Popen[str]]:
    """A worker in another process that holds tasks."""
    arguments = [sys.executable, "-c", OTHER, url, what, str(lease), str(count)]
    process = subprocess.Popen(arguments, cwd=ROOT, text=True, stdout=subprocess.PIPE)
    try:
        yield process
    finally:
        process.send_signal(signal.SIGCONT)
        process.kill()
        process.communicate()


async def holds(process: subprocess.Popen[str]) -> None:
    assert process.stdout is not None
    assert await asyncio.to_thread(process.stdout.readline) == "holds\n"


async def sql(url: str, statement: str) -> list[tuple[Any, ...]]:
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        cursor = await connection.execute(statement.encode())
        return await cursor.fetchall() if cursor.description else []


QUICK = EngineTimings(trust=0, scan=0.2)


@pytest.fixture
def timings() -> EngineTimings:
    """Of a rescuer that believes its connection at once and scans often."""
    return QUICK


@pytest.fixture
def lost() -> Iterator[list[WorkerLost]]:
    found: list[WorkerLost] = []

    def hear(notice: Notice) -> None:
        if isinstance(notice, WorkerLost) and notice.worker_id:
            found.append(notice)

    end = subscribe(hear)
    yield found
    end()


@pytest.fixture
async def rescuer(engine: Engine) -> Engine:
    """A worker that serves another agent and so only looks after the others."""
    await worker(engine, "nobody")
    return engine


async def test_a_registered_workers_session_lock_is_held_by_its_pulse(engine: Engine, database_url: str) -> None:
    await worker(engine)
    held = """
        select count(*) from pg_locks l join worker.workers w on l.objid::bigint = w.lock_key
        where l.locktype = 'advisory' and l.classid = 2003792492 and l.granted
    """
    assert await sql(database_url, held) == [(1,)]
    await engine.core.rows("select 1")
    await engine.close()
    assert await sql(database_url, held) == [(0,)]


async def test_the_lease_is_renewed_by_a_thread_while_the_loop_is_blocked(
    rescuer: Engine, database_url: str, lost: list[WorkerLost]
) -> None:
    task = await create(rescuer)
    with other(database_url, "blocked", lease=0.6) as process:
        await holds(process)
        first = await sql(database_url, "select max(lease_until) from worker.workers where name = 'the other'")
        later = f"select lease_until > '{first[0][0]}'::timestamptz + interval '1 s' and lease_until > now()"

        async def renewed() -> bool:
            return await sql(database_url, later + " from worker.workers where name = 'the other'") == [(True,)]

        await wait_until(renewed, "the lease was renewed for a second while the loop slept")
        assert (await rescuer.tasks.get(task.id)).status is Status.Executing
        assert lost == []


async def test_a_killed_workers_tasks_are_pending_again_and_suspects_uncharged(
    rescuer: Engine, database_url: str, lost: list[WorkerLost]
) -> None:
    tasks = [await create(rescuer) for _ in range(3)]
    with other(database_url, count=3) as process:
        await holds(process)
        process.kill()

        async def freed() -> bool:
            return all([(await rescuer.tasks.get(task.id)).status is Status.Pending for task in tasks])

        await wait_until(freed, "the tasks of the killed worker are pending again")
    for task in tasks:
        found = await rescuer.tasks.get(task.id)
        assert (found.suspicions, found.crashes, found.errors, found.execution_attempts) == (1, 0, 0, 1)
        assert [each.outcome for each in await rescuer.tasks.attempts(task.id)] == [AttemptOutcome.Crashed]
    await wait_until(lambda: lost, "the loss was announced")
    assert (lost[0].worker_id, lost[0].name, lost[0].sign, lost[0].tasks) == ("other-idle", "the other", "lock", 3)
    assert await sql(database_url, "select gone_at is not null from worker.workers where name = 'the other'") == [
        (True,)
    ]


@pytest.mark.parametrize(
    ("suspicions", "crashes", "isolates", "status"),
    [(4, 0, True, Status.Pending), (3, 1, False, Status.Pending), (4, 2, False, Status.Failed)],
)
async def test_the_death_of_a_worker_is_charged_to_suspects_only_where_it_could_not_run_them_apart(
    rescuer: Engine, database_url: str, *, suspicions: int, crashes: int, isolates: bool, status: Status
) -> None:
    task = await create(rescuer)
    await sql(database_url, f"update worker.tasks set suspicions = {suspicions}, crashes = {crashes}")  # noqa: S608 - numbers of ours
    with other(database_url) as process:
        await holds(process)
        await sql(database_url, f"update worker.workers set isolates = {isolates} where name = 'the other'")  # noqa: S608 - of ours
        process.kill()

        async def moved() -> bool:
            return (await rescuer.tasks.get(task.id)).status is not Status.Executing

        await wait_until(moved, "the task of the killed worker was dealt with")
    found = await rescuer.tasks.get(task.id)
    assert (found.status, found.suspicions) == (status, suspicions + 1)
    assert found.crashes == crashes + (not isolates)
    if status is Status.Failed:
        assert found.result == "workers running the task died 5 times"
        assert found.finished_at is not None


@pytest.mark.parametrize("timings", [EngineTimings(trust=1.0, scan=0.05)], ids=["quick"])
async def test_a_free_lock_does_not_count_before_the_rescuers_connection_is_old_enough(
    engine: Engine, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = await create(engine)
    with other(database_url) as process:
        await holds(process)
        process.kill()
        process.wait()
        loop = asyncio.get_running_loop()
        await worker(engine, "nobody")
        began = loop.time()

        async def freed() -> bool:
            return (await engine.tasks.get(task.id)).status is Status.Pending

        await wait_until(freed, "the task is pending again")
        assert loop.time() - began > 0.8


@pytest.mark.parametrize("minutes", [-10, 2])
async def test_a_held_lock_means_a_live_owner_whatever_the_clock_says(
    rescuer: Engine, database_url: str, lost: list[WorkerLost], minutes: int
) -> None:
    """The database's clock jumps: leases are over, or last for ever, from one moment to the next."""
    task = await create(rescuer)
    with other(database_url, lease=600) as process:
        await holds(process)
        await sql(
            database_url,
            f"update worker.workers set lease_until = now() - interval '{minutes} minutes' where name = 'the other'",  # noqa: S608 - a number of ours
        )
        scans = rescuer.core.heartbeat._scan_at
        await wait_until(lambda: rescuer.core.heartbeat._scan_at > scans + 0.8, "several scans went by")
        assert (await rescuer.tasks.get(task.id)).status is Status.Executing
        assert lost == []


async def test_a_lease_that_is_renewed_has_not_run_out_whatever_the_clock_says(
    rescuer: Engine, database_url: str, lost: list[WorkerLost]
) -> None:
    """Where there are no locks, as behind a pooler: the clock jumps two minutes ahead, and leases are over."""
    task = await create(rescuer)
    with other(database_url, "pooled", lease=3) as process:
        await holds(process)
        ask = "select lease_until < now() from worker.workers where name = 'the other'"
        await sql(database_url, "update worker.workers set lease_until = now() - interval '2 min' where not has_lock")

        async def renewed() -> bool:
            return await sql(database_url, ask) == [(False,)]

        await wait_until(renewed, "it has renewed its lease", 20)
        assert lost == []
        assert (await rescuer.tasks.get(task.id)).status is Status.Executing


@pytest.mark.parametrize("timings", [replace(QUICK, spare=0.1)], ids=["quick"])
async def test_a_lease_that_nobody_renews_runs_out_whatever_the_clock_says(
    rescuer: Engine, database_url: str, lost: list[WorkerLost]
) -> None:
    """The clock was set back ten minutes: by it, the lease of a worker that has died goes on for as long."""
    task = await create(rescuer)
    with other(database_url, "pooled", lease=0.6) as process:
        await holds(process)
        process.kill()
        await asyncio.to_thread(process.wait)
        await sql(database_url, "update worker.workers set lease_until = now() + interval '10 min' where not has_lock")

        async def freed() -> bool:
            return (await rescuer.tasks.get(task.id)).status is Status.Pending

        await wait_until(freed, "the dead worker's task is pending again", 20)
        await wait_until(lambda: lost, "the loss was announced")
        assert [each.sign for each in lost] == ["lease"]


async def test_while_somebody_holds_the_tasks_nobody_is_taken_for_dead(
    rescuer: Engine, database_url: str, lost: list[WorkerLost]
) -> None:
    """A lock on the tasks holds up neither renewals nor the scan."""
    task = await create(rescuer)
    with other(database_url, lease=2) as process:
        await holds(process)
        async with await psycopg.AsyncConnection.connect(database_url) as holder:
            await holder.execute("lock table worker.tasks in access exclusive mode")
            asked = "select lease_until from worker.workers where name = 'the other'"
            ((before,),) = await sql(database_url, asked)

            async def renewed() -> bool:
                return (await sql(database_url, asked))[0][0] > before + timedelta(seconds=3)

            await wait_until(renewed, "it renews its lease under the lock, for longer than a lease", 20)
        assert lost == []
        assert (await rescuer.tasks.get(task.id)).status is Status.Executing


async def test_a_worker_whose_lease_ran_out_is_buried_though_its_lock_was_held(
    rescuer: Engine, database_url: str, lost: list[WorkerLost]
) -> None:
    """SIGSTOP keeps its connections open: the server ends the session that was silent for a lease."""
    task = await create(rescuer)
    with other(database_url, lease=1) as process:
        await holds(process)
        os.kill(process.pid, signal.SIGSTOP)

        async def freed() -> bool:
            return (await rescuer.tasks.get(task.id)).status is Status.Pending

        await wait_until(freed, "the stopped worker's task is pending again")
        await wait_until(lambda: lost, "the loss was announced")
        assert lost[0].sign == "lease"
        assert [each.outcome for each in await rescuer.tasks.attempts(task.id)] == [AttemptOutcome.LostLease]
        os.kill(process.pid, signal.SIGCONT)

        async def back() -> bool:
            return await sql(database_url, "select gone_at from worker.workers where name = 'the other'") == [(None,)]

        await wait_until(back, "the worker that was taken for dead is listed again")


async def test_a_worker_taken_for_dead_is_fenced_and_claims_again_once_it_has_renewed(
    engine: Engine, database_url: str
) -> None:
    by, old = await run(engine)
    second = await create(engine)
    await sql(database_url, "update worker.workers set gone_at = now()")
    await engine.core.rescue.release_orphans()
    assert (await engine.tasks.get(old.task.id)).suspicions == 1
    with pytest.raises(LeaseLost):
        await finish(engine, old)
    assert await claim(engine, by, 9, seconds=0) == []
    await engine.work.renew(by.id)
    again = await claim(engine, by, 9, seconds=0)
    assert sorted(each.task.id for each in again) == sorted([old.task.id, second.id])
    assert await engine.core.rescue.release_orphans() == 0


async def test_behind_a_pooler_leases_alone_decide(
    database_url: str, lost: list[WorkerLost], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def pooled(connection: object) -> bool:
        return True

    monkeypatch.setattr(core, "is_pooled", pooled)
    engine = Engine(database_url, poll=0.1, timings=QUICK)
    await engine.open()
    try:
        assert "behind a pooler" in engine.description
        await worker(engine, "nobody")
        task = await create(engine)
        with other(database_url, "pooled", lease=1.5) as process:
            await holds(process)
            held = "select count(*) from pg_locks where locktype = 'advisory' and classid = 2003792492"
            assert await sql(database_url, held) == [(0,)]
            assert await sql(database_url, "select bool_or(has_lock) from worker.workers") == [(False,)]
            process.kill()

            async def freed() -> bool:
                return (await engine.tasks.get(task.id)).status is Status.Pending

            await wait_until(freed, "the killed worker's lease ran out")
        await wait_until(lambda: lost, "the loss was announced")
        assert lost[0].sign == "lease"
    finally:
        await engine.close()


async def test_a_live_worker_without_a_lock_is_left_alone_while_its_lease_holds(
    rescuer: Engine, database_url: str, lost: list[WorkerLost]
) -> None:
    task = await create(rescuer)
    with other(database_url, "pooled", lease=30) as process:
        await holds(process)
        scans = rescuer.core.heartbeat._scan_at

        async def scanned() -> bool:
            return rescuer.core.heartbeat._scan_at > scans + 0.8

        await wait_until(scanned, "several scans went by")
        assert (await rescuer.tasks.get(task.id)).status is Status.Executing
        assert lost == []


async def test_when_the_pulses_connection_is_killed_it_takes_its_lock_again(engine: Engine, database_url: str) -> None:
    await worker(engine)
    held = """
        select pid from pg_locks where locktype = 'advisory' and classid = 2003792492 and granted
        and database = (select oid from pg_database where datname = current_database())
    """
    ((first,),) = await sql(database_url, held)
    await sql(database_url, f"select pg_terminate_backend({first})")

    async def again() -> bool:
        rows = await sql(database_url, held)
        return len(rows) == 1 and rows[0][0] != first

    await wait_until(again, "another session of the same worker holds the lock")


async def test_what_a_rescuer_that_died_halfway_left_is_found_by_the_next(rescuer: Engine, database_url: str) -> None:
    """The dead worker is marked as gone, its tasks and cursors are still held."""
    task = await create(rescuer)
    with other(database_url) as process:
        await holds(process)
        process.kill()
        await sql(database_url, "update worker.workers set gone_at = now() where name = 'the other'")

        async def freed() -> bool:
            return (await rescuer.tasks.get(task.id)).status is Status.Pending

        await wait_until(freed, "the orphan is pending again")


async def test_a_leaving_worker_is_no_rescuer_of_others(engine: Engine, database_url: str) -> None:
    """What a dead worker held is suspected, whoever leaves meanwhile."""
    by, _ = await run(engine)
    dead = await create(engine, agent="other")
    await sql(
        database_url,
        f"""
        insert into worker.workers (
            id, organization_id, name, agents, any_agent, concurrency, has_lock, lease_seconds, lease_until, gone_at
        ) values ('dead', 'default', 'dead', '{{}}', false, 1, true, 30, now(), now());
        update worker.tasks set status = 'executing', worker_id = 'dead', attempt = 1 where id = '{dead.id}'
        """,  # noqa: S608 - an id of ours
    )
    await engine.work.leave(by.id)
    assert (await engine.tasks.get(dead.id)).status is Status.Executing
    await engine.core.rescue.release_orphans()
    assert (await engine.tasks.get(dead.id)).suspicions == 1


def test_the_agent_of_the_other_process_is_the_suites() -> None:
    assert AGENT in OTHER


async def test_it_takes_and_leaves_its_lock_at_once_however_long_the_beat(database_url: str) -> None:
    engine = Engine(database_url, timings=EngineTimings(beat=3600, scan=3600))
    await engine.open()
    held = "select count(*) from pg_locks where locktype = 'advisory' and classid = 2003792492 and granted"

    async def locks(number: int) -> bool:
        return await sql(database_url, held) == [(number,)]

    await worker(engine)
    await wait_until(lambda: locks(1), "the worker holds its lock")
    engine.core.heartbeat.release()
    await wait_until(lambda: locks(0), "it has let go of it")
    await asyncio.wait_for(engine.close(), 20)


async def test_a_forked_process_does_not_keep_the_session_of_its_parent(engine: Engine) -> None:
    """The worker's lock is free once the worker is dead, whatever processes its handlers have left behind."""
    engine.guard()
    beating = engine.core.heartbeat
    await wait_until(lambda: beating.ready(0), "it listens")
    assert beating._connection is not None
    descriptor = beating._connection.fileno()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # threads run here, and the child does nothing
        child = multiprocessing.get_context("fork").Process(target=time.sleep, args=(60,))
        child.start()
    try:
        links = [Path(f"/proc/{process}/fd/{descriptor}") for process in ("self", child.pid)]
        await wait_until(lambda: str(links[1].readlink()) == os.devnull, "the child has let go of it")
        assert str(links[0].readlink()).startswith("socket:")
    finally:
        child.kill()
        child.join()
