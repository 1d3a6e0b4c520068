"""Stories with real workers: deploys, deaths, stops. Each ends with everything finished, nothing twice, no gap."""

import asyncio
import os
import random
import shutil
import signal
import tempfile
import time
from pathlib import Path

import pytest

from tests.cli.shells import Shell
from tests.crash.fleet import Fleet, ledger_of
from tests.support import wait_until
from worker.engine.embedded import Embedded
from worker.engine.engine import Engine
from worker.engine.timings import DEFAULT
from worker.words.statuses import AgentExecutionStatus as Status

TRUST = DEFAULT.trust + 1  # what a rescuer must have lived before it is believed
NOTICED = 5  # seconds that a death may take to be noticed on a busy machine; two at best


async def test_a_rolling_deploy_loses_nothing_and_charges_nobody(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKER_DRAIN_SECONDS", "0.5")
    workers = [await fleet.start()]
    for _ in range(3):
        await fleet.create("long", 2, "4")
        await fleet.create("short", 10)
        await wait_until(lambda: fleet.count("executing"), "a task runs", 20)
        workers.append(await fleet.start())
        leaving = workers.pop(0)
        began = time.monotonic()
        assert await asyncio.to_thread(leaving.end, signal.SIGTERM) == 0
        assert time.monotonic() - began < 8
    await fleet.all_terminal()
    tasks = await fleet.tasks()
    assert {(task["status"], task["crashes"], task["errors"]) for task in tasks} == {("completed", 0, 0)}
    await fleet.events_are_gapless()


async def test_a_killed_workers_tasks_are_done_by_another_and_its_death_is_noticed_soon(fleet: Fleet) -> None:
    victim, _ = await fleet.start(), await fleet.start()
    await wait_until(lambda: fleet.oldest_worker(TRUST), "both workers are old enough to be believed", 2 * TRUST)
    await fleet.create("long", 8, "2")
    await wait_until(lambda: fleet.count("executing"), "tasks run", 20)
    victim.process.kill()
    died = time.monotonic()
    held = "select count(*) as n from worker.workers where gone_at is null"

    async def noticed() -> bool:
        return (await fleet.engine.core.rows(held))[0]["n"] == 1

    await wait_until(noticed, "the death is noticed", NOTICED)
    assert time.monotonic() - died < NOTICED
    await fleet.all_terminal()
    tasks = await fleet.tasks()
    assert {task["status"] for task in tasks} == {"completed"}
    runs = fleet.runs()
    assert len(runs) == len(set(runs))  # no attempt began twice
    assert all(task["attempt"] == 1 + int(str(task["suspicions"])) and task["crashes"] == 0 for task in tasks)
    await fleet.events_are_gapless()


async def test_a_worker_that_was_frozen_past_its_lease_overwrites_nothing(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORKER_LEASE_SECONDS", "3")
    frozen = await fleet.start()
    (task_id,) = await fleet.create("long", 1, "2")
    await wait_until(lambda: fleet.count("executing"), "the task runs", 20)
    frozen.process.send_signal(signal.SIGSTOP)
    try:
        await fleet.start()
        await fleet.all_terminal()
    finally:
        frozen.process.send_signal(signal.SIGCONT)
    await frozen.says("no longer owns its task")
    task = await fleet.engine.tasks.get(task_id)
    assert (task.status, task.result, task.execution_attempts) == (Status.Completed, "done by attempt 2", 2)
    await fleet.create("short", 4)  # it is a worker again
    await fleet.all_terminal()
    await fleet.events_are_gapless()


async def test_stops_at_random_moments_end_each_task_once(fleet: Fleet) -> None:
    await fleet.start()
    ids = await fleet.create("short", 60)
    moments = random.Random(7)

    async def stop(task_id: str) -> Status:
        await asyncio.sleep(moments.uniform(0, 1))  # the random moment itself
        return (await fleet.engine.tasks.stop(task_id)).status

    answers = await asyncio.gather(*(stop(task_id) for task_id in ids))
    assert set(answers) <= {Status.Stopped, Status.Completed}
    await fleet.all_terminal(10)
    for task_id, answered in zip(ids, answers, strict=True):
        assert (await fleet.engine.tasks.get(task_id)).status is answered
    await fleet.events_are_gapless()


async def test_a_database_that_restarts_under_load_costs_no_task_and_no_worker(
    here: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = new_home()
    servers = [await asyncio.to_thread(Embedded.start, home)]
    monkeypatch.setenv("DATABASE_URL", servers[0].url)
    monkeypatch.setenv("STORY_LEDGER", str(ledger_of(here.folder)))
    engine = Engine(servers[0].url)
    try:
        await engine.migrate()
        await engine.open()
        fleet = Fleet(here, engine)
        workers = [await fleet.start(), await fleet.start()]
        await fleet.create("long", 12, "3")
        for _ in range(2):
            await wait_until(lambda: fleet.count("executing"), "tasks run", 20)
            os.kill(servers[-1].pid, signal.SIGQUIT)  # immediate: as a power cut, for PostgreSQL
            await wait_until(lambda: not answers(home), "the server is gone", 10)
            servers.append(await asyncio.to_thread(Embedded.start, home))
        await fleet.all_terminal()
        tasks = await fleet.tasks()
        assert {(task["status"], task["crashes"]) for task in tasks} == {("completed", 0)}
        assert all("worker lost" not in worker.log for worker in workers)
        for worker in workers:
            assert await asyncio.to_thread(worker.end) == 0
        await fleet.events_are_gapless()
    finally:
        await engine.close()
        for server in servers:
            await asyncio.to_thread(server.close)
        shutil.rmtree(home, ignore_errors=True)


def new_home() -> Path:
    home = Path(tempfile.mkdtemp(prefix="restarts-"))
    home.chmod(0o711)  # as root the server runs under another account, which must get in
    return home


def answers(home: Path) -> bool:
    return any(home.glob("postgres/*/postmaster.pid"))
