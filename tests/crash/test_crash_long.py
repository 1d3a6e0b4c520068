"""The long stories (`make crash`): many deaths, deploys, restarts and stops under load, each ending in three sentences.

Every accepted task is terminal; no call is made again once it was completed; every log is gapless and in order.
"""

import asyncio
import os
import shutil
import signal
import time
from collections import Counter

import pytest

from tests.cli.shells import Running, Shell
from tests.crash.chance import chance_of, scaled, told
from tests.crash.fleet import Fleet, ledger_of
from tests.crash.test_crash_fleet import answers, new_home
from tests.support import free_port, wait_until
from worker.engine.embedded import Embedded
from worker.engine.engine import Engine
from worker.words.statuses import AgentExecutionStatus as Status

pytestmark = [pytest.mark.crash, pytest.mark.timeout(3600)]

PATIENCE = 300  # seconds for what is left at the end of a story
STOP_SECONDS = 1.0  # promise 8: a stop reaches the run within a second


async def all_completed(fleet: Fleet) -> None:
    """Nothing ended otherwise, and nothing was charged."""
    tasks = await fleet.tasks()
    assert Counter((task["status"], task["crashes"], task["errors"]) for task in tasks) == {
        (Status.Completed, 0, 0): len(tasks)
    }


async def test_one_of_two_workers_is_killed_at_random_moments(fleet: Fleet) -> None:
    chance = chance_of("kill -9")
    kills, per_kill = scaled(200), 5
    await fleet.start()  # it lives, and rescues
    coming = asyncio.create_task(fleet.start())
    for number in range(kills):
        victim, coming = await coming, asyncio.create_task(fleet.start())  # the next one starts while this one lives
        await fleet.create("calling", per_kill, f"{chance.uniform(0, 0.6):.3f}")
        await asyncio.sleep(chance.uniform(0, 2))  # the random moment itself
        assert await asyncio.to_thread(victim.end, signal.SIGKILL) == -signal.SIGKILL
        if number % 20 == 19:
            told(f"{number + 1} kills; {await fleet.count('completed')} of {(number + 1) * per_kill} tasks completed")
    await coming
    repeats = await fleet.the_three_sentences(calls=3, seconds=PATIENCE)
    await all_completed(fleet)
    deaths = Counter(int(str(task["suspicions"])) for task in await fleet.tasks())
    told(f"{kills * per_kill} tasks, {kills} kills; deaths a task saw: {dict(sorted(deaths.items()))}")
    told(f"{repeats} calls were cut off, and made again under the same key")


async def test_a_rolling_deploy_of_workers_every_five_seconds(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tasks of thirty steps of a second each; a worker lives ten seconds, and gets three to drain."""
    monkeypatch.setenv("WORKER_DRAIN_SECONDS", "3")
    workers = [await fleet.start(), await fleet.start()]
    count, steps = 12, 30
    await fleet.create("stepping", count, str(steps))
    began = time.monotonic()
    leaving: list[asyncio.Task[int]] = []
    while await fleet.count("pending", "executing"):
        due = began + 5 * (len(leaving) + 1)  # every five seconds, however long a start takes
        await asyncio.sleep(max(0, due - time.monotonic()))
        workers.append(await fleet.start())
        leaving.append(asyncio.create_task(asyncio.to_thread(workers.pop(0).end, signal.SIGTERM)))
        assert time.monotonic() - began < PATIENCE
    assert set(await asyncio.gather(*leaving)) == {0}
    repeats = await fleet.the_three_sentences()
    await all_completed(fleet)
    tasks = await fleet.tasks()
    assert {task["suspicions"] for task in tasks} == {0}
    assert fleet.keys() == count * steps
    attempts = sorted(int(str(task["attempt"])) for task in tasks)
    told(f"{len(leaving)} deploys; attempts: {attempts}; {repeats} steps cut off")


async def test_a_worker_is_frozen_past_its_lease_and_goes_on(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKER_LEASE_SECONDS", "3")
    chance = chance_of("freeze")
    workers = [await fleet.start(), await fleet.start()]
    for _ in range(scaled(5)):
        await fleet.create("calling", 20, "0.4")
        frozen = chance.choice(workers)
        await asyncio.sleep(chance.uniform(0, 1))  # the random moment itself
        frozen.process.send_signal(signal.SIGSTOP)
        try:
            await fleet.all_terminal(PATIENCE)
        finally:
            frozen.process.send_signal(signal.SIGCONT)
        await wait_until(lambda: fleet.workers_here(2), "the frozen worker is listed again", 30)
    repeats = await fleet.the_three_sentences(calls=3, seconds=PATIENCE)
    await all_completed(fleet)
    told(f"{repeats} calls were cut off, and made again under the same key")


async def test_the_server_under_remote_workers_is_killed(fleet: Fleet, here: Shell) -> None:
    chance = chance_of("server")
    port = free_port()
    remote = {"XPANDER_BASE_URL": f"http://127.0.0.1:{port}", "DATABASE_URL": ""}
    server = await serve(here, port)
    workers = [await fleet.start(**remote), await fleet.start(**remote)]
    for _ in range(scaled(8)):
        await fleet.create("calling", 20, "0.3")
        await asyncio.sleep(chance.uniform(0, 3))  # the random moment itself
        assert await asyncio.to_thread(server.end, signal.SIGKILL) == -signal.SIGKILL
        server = await serve(here, port)
    repeats = await fleet.the_three_sentences(calls=3, seconds=PATIENCE)
    await all_completed(fleet)
    assert all(worker.process.poll() is None for worker in workers), "the workers live on"
    suspicions = sum(int(str(task["suspicions"])) for task in await fleet.tasks())
    told(f"{repeats} calls cut off; {suspicions} times a task's worker was not heard of for six seconds")


BEGUN_ANEW = """
    select e.task_id, e.type from worker.events e join worker.tasks t on t.id = e.task_id
    where e.attempt < t.attempt and e.type <> 'task_updated'
"""
"""What attempts that were not the last one told, beside that they were given and taken back."""


async def test_postgresql_restarts_five_times_under_load(here: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """In immediate mode, which is a power cut to it; the last time it stays away for twenty seconds."""
    chance = chance_of("database")
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
        for number in range(5):
            await fleet.create("calling", 30, "0.4")
            await wait_until(lambda: fleet.count("executing"), "tasks run", 20)
            await asyncio.sleep(chance.uniform(0, 2))  # the random moment itself
            os.kill(servers[-1].pid, signal.SIGQUIT)
            await wait_until(lambda: not answers(home), "the server is gone", 10)
            await asyncio.sleep(20 if number == 4 else chance.uniform(0, 2))  # how long it is away
            servers.append(await asyncio.to_thread(Embedded.start, home))
        repeats = await fleet.the_three_sentences(calls=3, seconds=PATIENCE)
        await all_completed(fleet)
        assert {task["suspicions"] for task in await fleet.tasks()} == {0}, "no live worker is taken for dead"
        assert repeats == 0, "no run was disturbed"
        assert await engine.core.rows(BEGUN_ANEW) == [], "what was given again had not begun: a claim's answer was lost"
        assert all("worker lost" not in worker.log for worker in workers)
        for worker in workers:
            assert await asyncio.to_thread(worker.end) == 0
    finally:
        await engine.close()
        for server in servers:
            await asyncio.to_thread(server.close)
        shutil.rmtree(home, ignore_errors=True)


@pytest.mark.crash(places=2)
async def test_stops_at_random_moments_reach_the_run_within_a_second(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORKER_CONCURRENCY", "25")
    chance = chance_of("stops")
    for _ in range(2):
        await fleet.start()
    ids = await fleet.create("stoppable", scaled(500), "1.5")
    asked: dict[str, float] = {}
    answered: dict[str, Status] = {}

    async def stop(task_id: str) -> None:
        await asyncio.sleep(chance.uniform(0, len(ids) / 50 * 1.5 * 1.2))  # the random moment itself
        asked[task_id] = time.time()
        answered[task_id] = (await fleet.engine.tasks.stop(task_id)).status
        assert time.time() - asked[task_id] < STOP_SECONDS

    await asyncio.gather(*(stop(task_id) for task_id in ids))
    await fleet.the_three_sentences(seconds=PATIENCE)
    await wait_until(fleet.all_runs_ended, "every run that began has ended", 30)
    for task in await fleet.tasks():
        assert task["status"] == answered[str(task["id"])], "what a stop answered stands"
    late = [end - asked[task_id] for task_id, end in fleet.ends().items() if answered[task_id] is Status.Stopped]
    told(
        f"{Counter(str(status) for status in answered.values())}; the latest run ended {max(late):.2f} s after its stop"
    )
    assert max(late) < STOP_SECONDS


async def serve(shell: Shell, port: int) -> Running:
    """Start a server and wait until it is there."""
    server = shell.start("serve", "--port", str(port))
    await server.says("server ready")
    return server
