"""How a worker leaves: real processes and their signals; hooks, threads that do not end, and what is written last."""

import asyncio
import json
import signal
import time

import pytest

from tests.cli.conftest import here, shells
from tests.cli.shells import Running, Shell
from tests.supervisor.stories import Handlers, Serve, create
from tests.support import wait_until
from worker import Context, Task
from worker.engine.engine import Engine
from worker.words.statuses import AgentExecutionStatus as Status
from worker.words.tasks import TaskRecord

__all__ = ["here", "shells"]

HANDLERS = """
    import asyncio, json, os, time
    from pathlib import Path
    from worker import Task, on_boot, on_shutdown, on_task

    WORDS = Path("words")
    stuck_task = None

    def say(word):
        with WORDS.open("a") as file:
            file.write(json.dumps(word) + chr(10))

    @on_boot
    async def first():
        say("boot")

    @on_boot
    async def second():
        match os.environ.get("BOOT"):
            case "raises":
                raise OSError("the port is taken")
            case "hangs":
                say("hangs")
                await asyncio.Event().wait()

    @on_shutdown
    def raises():
        say("raises")
        raise SystemExit(5)

    @on_shutdown
    async def hangs():
        say("hangs")
        await asyncio.Event().wait()

    @on_shutdown
    def last():
        say(["last", Task.load(stuck_task).status if stuck_task else None])

    @on_task(agent_id="waits")
    async def waits(task: Task) -> str:
        say("began")
        await asyncio.Event().wait()

    @on_task(agent_id="stuck")
    def stuck(task: Task) -> str:
        global stuck_task
        stuck_task = task.id
        say("began")
        time.sleep(60)

    @on_task(agent_id="thread")
    async def thread(task: Task) -> str:
        say("began")
        await asyncio.to_thread(time.sleep, 60)
"""


def words(here: Shell) -> list[object]:
    file = here.folder / "words"
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


async def begun(here: Shell, engine: Engine, *agents: str) -> tuple[Running, list[TaskRecord]]:
    """A worker with tasks in hand."""
    here.handlers(HANDLERS)
    tasks = [await create(engine, agent) for agent in agents]
    worker = here.start("run")
    await wait_until(lambda: words(here).count("began") == len(tasks), "all run", 40)
    return worker, tasks


async def ended(worker: Running, *numbers: int) -> float:
    """Signal a worker; how many seconds it took to leave."""
    began = time.monotonic()
    for number in numbers[:-1]:
        worker.process.send_signal(number)
        await wait_until(lambda: "worker draining" in worker.log, "it has heard that: two signals at once are one", 20)
    assert await asyncio.to_thread(worker.end, numbers[-1]) == 0, worker.log
    return time.monotonic() - began


async def test_hooks_run_whatever_happens_and_only_then_is_stuck_sync_work_handed_back(
    here: Shell, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORKER_DRAIN_SECONDS", "0.3")
    monkeypatch.setenv("WORKER_CONCURRENCY", "2")  # both threads of handlers are stuck: hooks need one of their own
    worker, tasks = await begun(here, engine, "stuck", "thread")
    assert await ended(worker, signal.SIGTERM, signal.SIGTERM) < 12
    assert words(here)[-3:] == ["raises", "hangs", ["last", "executing"]]
    for task in tasks:
        found = await engine.tasks.get(task.id)
        assert (found.status, found.suspicions, found.crashes, found.errors) == (Status.Pending, 0, 0, 0)
    assert worker.log.count("worker draining") == 1


async def test_ctrl_c_twice_leaves_at_once_with_everything_handed_back(here: Shell, engine: Engine) -> None:
    worker, tasks = await begun(here, engine, "waits", "thread")
    took = await ended(worker, signal.SIGINT, signal.SIGINT)
    assert took < 12, worker.log  # the drain alone would be 24
    assert {(await engine.tasks.get(task.id)).status for task in tasks} == {Status.Pending}


async def test_a_start_that_fails_half_way_undoes_what_its_hooks_did(
    here: Shell, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BOOT", "raises")
    here.handlers(HANDLERS)
    ran = await asyncio.to_thread(here.worker, "run")
    assert ran.returncode == 1
    assert "the port is taken" in ran.stdout + ran.stderr
    assert words(here) == ["boot", "raises", "hangs", ["last", None]]
    assert await engine.core.rows("select 1 from worker.workers") == []


async def test_a_start_that_hangs_is_ended_by_the_first_signal(
    here: Shell, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BOOT", "hangs")
    here.handlers(HANDLERS)
    worker = here.start("run")
    await wait_until(lambda: words(here) == ["boot", "hangs"], "the hook hangs", 40)
    assert await ended(worker, signal.SIGTERM) < 8
    assert words(here)[2:] == ["raises", "hangs", ["last", None]]
    assert await engine.core.rows("select 1 from worker.workers") == []


async def test_a_sync_handler_that_ends_when_it_is_told_is_handed_back_once_it_has_ended(
    environment: object, engine: Engine, handlers: Handlers, serve: Serve
) -> None:
    seen: list[object] = []

    def handler(task: Task, context: Context) -> str:
        seen.append("began")
        context.stopping.wait(20)
        time.sleep(0.3)  # what it still has to put in order
        seen.append(Task.load(task.id).status)
        return "half of it"

    handlers.bind(handler)
    async with serve(drain_seconds=0.1) as supervisor:
        task = await create(engine)
        await wait_until(lambda: seen, "it runs")
        supervisor.stop()
    assert seen == ["began", Status.Executing]
    found = await engine.tasks.get(task.id)
    assert (found.status, found.result, found.errors) == (Status.Pending, None, 0)
