"""2,000 tasks over HTTP with real processes; and our worker speaking the bare protocol to our own server."""

import asyncio
import re
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import psycopg
import pytest

from tests.cli.shells import SECONDS, Shell
from tests.conftest import forget_variables
from tests.remote.stories import KEY, OpenRemote
from tests.server.serving import Serving
from tests.supervisor.stories import Handlers, create, finished
from tests.support import wait_until
from worker import Task
from worker.engine.engine import Engine
from worker.remote.remote import Remote
from worker.settings import Settings
from worker.supervisor import Supervisor
from worker.supervisor.timings import DEFAULT, WorkerTimings

TASKS = 2_000
AT_ONCE = 200
HANDLERS = """
    from worker import on_task

    @on_task(agent_id="greeter")
    async def greet(task):
        return f"Hello, {task.input.text}!"
"""
SUMMARY = """
    select count(*), count(distinct result), min(attempt), max(attempt) from worker.tasks where status = 'completed'
"""
GAPS = """
    select count(*) from (
        select task_id, count(*) as events, max(number) as last, min(number) as first,
               count(*) filter (where type = 'task_finished') as ends
        from worker.events group by task_id
    ) logs join worker.tasks t on t.id = logs.task_id
    where events <> last or first <> 1 or ends <> 1 or last <> t.last_event
"""


@pytest.fixture
def here(tmp_path: Path, database_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shell]:
    forget_variables(monkeypatch)
    monkeypatch.setenv("DATABASE_URL", database_url)
    monkeypatch.setenv("WORKER_API_KEY", KEY)
    monkeypatch.setenv("WORKER_CONCURRENCY", "50")
    monkeypatch.setenv("WORKER_LOG", "logfmt")
    shell = Shell(tmp_path)
    shell.handlers(HANDLERS)
    yield shell
    shell.end_all()


async def test_a_worker_process_does_2000_tasks_of_a_server_process_each_once_and_without_a_gap(
    here: Shell, engine: Engine, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = here.start("serve", "--port", "0", "--host", "127.0.0.1")
    await server.says("server ready")
    found = re.search(r"address=(http://\S+)", server.log)
    assert found is not None
    monkeypatch.setenv("XPANDER_BASE_URL", found[1])
    monkeypatch.setenv("XPANDER_API_KEY", KEY)
    monkeypatch.setenv("WORKER_LOG_LEVEL", "warning")
    monkeypatch.delenv("DATABASE_URL")
    worker = here.start("run")

    for begin in range(0, TASKS, AT_ONCE):
        texts = (f"number {number}" for number in range(begin, begin + AT_ONCE))
        await asyncio.gather(*(create(engine, "greeter", text) for text in texts))
    with psycopg.connect(database_url, autocommit=True) as connection:

        def done() -> bool:
            return connection.execute(SUMMARY).fetchone() == (TASKS, TASKS, 1, 1)

        await wait_until(done, f"{TASKS} tasks completed, each with its own result, each in its first attempt", 90)
        assert connection.execute(GAPS).fetchone() == (0,)
    assert await asyncio.to_thread(worker.end) == 0
    assert await asyncio.to_thread(server.end) == 0
    assert "Traceback" not in server.log + worker.log


@pytest.fixture
async def serving(database_url: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Serving]:
    serving = Serving(database_url, key=KEY).start()
    await serving.started()
    yield serving
    await asyncio.to_thread(serving.stop)


@asynccontextmanager
async def bare_worker(remote: Remote, handlers: Handlers, timings: WorkerTimings = DEFAULT) -> AsyncGenerator[None]:
    """Our worker, speaking the bare protocol alone, for the length of a block."""
    remote.use_bare_protocol()
    supervisor = Supervisor(remote, handlers, Settings.model_validate({"drain_seconds": 5, "concurrency": 3}), timings)
    running = asyncio.create_task(supervisor.run())
    await supervisor.ready()
    try:
        yield
    finally:
        supervisor.stop()
        await running


async def test_our_worker_speaking_the_bare_protocol_does_the_tasks_of_our_own_server_each_once(
    serving: Serving, handlers: Handlers, open_remote: OpenRemote
) -> None:
    runs: list[str] = []

    async def work(task: Task) -> str:
        runs.append(task.id)
        task.internal_status = "looked at"
        return "done"

    handlers.bind(work)
    client = await open_remote(serving.base)
    async with bare_worker(await open_remote(serving.base), handlers):
        tasks = [await create(client) for _ in range(8)]  # type: ignore[arg-type] - a platform of the same contract
        for each in tasks:
            task = await finished(client, each)  # type: ignore[arg-type] - the same
            assert (task.status, task.result, task.internal_status) == ("completed", "done", "looked at")
            assert task.execution_attempts == 1
    assert sorted(runs) == sorted(each.id for each in tasks)


async def test_a_stop_that_the_stream_tells_ends_a_bare_run_without_a_look_at_its_status(
    serving: Serving, handlers: Handlers, open_remote: OpenRemote
) -> None:
    started, ended = asyncio.Event(), asyncio.Event()

    async def work(task: Task) -> None:
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    handlers.bind(work)
    client = await open_remote(serving.base)
    async with bare_worker(await open_remote(serving.base), handlers, WorkerTimings(lost=3600)):
        task = await create(client)  # type: ignore[arg-type] - a platform of the same contract
        await asyncio.wait_for(started.wait(), SECONDS)
        await client.tasks.stop(task.id)
        await asyncio.wait_for(ended.wait(), SECONDS)
    assert (await client.tasks.get(task.id)).status == "stopped"
