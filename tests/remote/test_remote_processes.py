"""The command line against a platform over HTTP, as real processes that have no database."""

import asyncio
import json
import signal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from tests.cli.shells import Shell
from tests.conftest import forget_variables
from tests.remote.stories import KEY, all_end, none_twice
from tests.server.serving import Serving
from worker.testing import StandIn

HANDLERS = """
    import asyncio
    from worker import on_task

    @on_task(agent_id="greeter")
    async def greet(task):
        task.internal_status = "greeted"
        return f"Hello, {task.input.text}!"

    @on_task(agent_id="waiter")
    async def wait(task):
        await asyncio.Event().wait()
"""
NO_DATABASE = "postgresql://nobody@127.0.0.1:1/nothing"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shell]:
    """A shell whose environment names a database that is not there."""
    forget_variables(monkeypatch)
    monkeypatch.setenv("DATABASE_URL", NO_DATABASE)
    monkeypatch.setenv("XPANDER_API_KEY", KEY)
    monkeypatch.setenv("WORKER_LOG_LEVEL", "debug")
    shell = Shell(tmp_path)
    shell.handlers(HANDLERS)
    yield shell
    shell.end_all()


@pytest.fixture
async def platform(here: Shell, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[StandIn]:
    async with StandIn(["greeter", "waiter"], key=KEY) as stand_in:
        monkeypatch.setenv("XPANDER_BASE_URL", stand_in.url)
        yield stand_in


async def ran(shell: Shell, *arguments: str) -> CompletedProcess[str]:
    """Run a command to its end, without holding up the platform in this loop."""
    return await asyncio.to_thread(shell.worker, *arguments)


async def test_a_worker_and_its_clients_work_over_http_with_no_database(platform: StandIn, here: Shell) -> None:
    worker = here.start("run")
    await worker.says("worker ready")

    done = await ran(here, "task", "create", "--agent", "greeter", "--text", "Ada", "--wait")
    assert (done.returncode, done.stdout) == (0, "Hello, Ada!\n"), done.stderr
    assert done.stderr.endswith("completed: greeted\n")

    (task_id,) = platform.tasks
    none_twice(platform, [task_id])
    shown = await ran(here, "task", "show", task_id, "--json")
    assert json.loads(shown.stdout)["result"] == "Hello, Ada!"
    listed = await ran(here, "task", "list", "--json")
    assert [each["id"] for each in json.loads(listed.stdout)] == [task_id]
    followed = await ran(here, "task", "events", task_id, "--follow", "--json")
    assert json.loads(followed.stdout.splitlines()[-1])["type"] == "task_finished"
    again = await ran(here, "task", "retry", task_id)
    assert again.returncode == 1
    assert "cannot retry a task" in again.stderr

    assert await asyncio.to_thread(worker.end) == 0
    told = [event for _, event, _ in platform.reports if event != "worker-heartbeat"]
    assert told[-2:] == ["worker-finished", "worker-finished"]  # one a stream
    assert "worker stopped" in worker.log
    assert KEY not in worker.log  # at the level that tells most


async def test_a_running_task_is_stopped_from_another_shell(platform: StandIn, here: Shell) -> None:
    worker = here.start("run")
    await worker.says("worker ready")
    created = await ran(here, "task", "create", "--agent", "waiter", "--text", "x")
    task_id = created.stdout.strip()
    await worker.says("task started")
    stopped = await ran(here, "task", "stop", task_id)
    assert (stopped.returncode, stopped.stdout) == (0, f"{task_id} stopped\n")
    await worker.says("the run no longer owns its task")
    assert (platform.status(task_id), platform.ends[task_id]) == ("stopped", 0)


async def test_a_worker_told_to_stop_hands_back_what_it_runs_and_another_does_it(
    platform: StandIn, here: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORKER_DRAIN_SECONDS", "0")
    worker = here.start("run")
    await worker.says("worker ready")
    task_id = platform.create("waiter")
    await worker.says("task started")
    assert await asyncio.to_thread(worker.end, signal.SIGTERM) == 0
    assert platform.status(task_id) == "pending"
    here.handlers(HANDLERS.replace("await asyncio.Event().wait()", "return 'done'"))
    second = here.start("run")
    await all_end(platform, [task_id])
    assert await asyncio.to_thread(second.end) == 0
    none_twice(platform, [task_id])


async def test_a_wrong_key_is_named_without_being_shown(
    platform: StandIn, here: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XPANDER_API_KEY", "canary")
    monkeypatch.setenv("WORKER_LOG_LEVEL", "info")
    for arguments in (("task", "list"), ("run",)):
        failed = await ran(here, *arguments)
        assert failed.returncode == 1
        assert "check XPANDER_API_KEY" in failed.stdout + failed.stderr
        assert "canary" not in failed.stdout + failed.stderr
        assert "Traceback" not in failed.stderr


async def test_the_same_commands_work_on_our_own_server(
    database_url: str, here: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    serving = Serving(database_url, key=KEY).start()
    try:
        await serving.started()
        monkeypatch.setenv("XPANDER_BASE_URL", serving.base)
        worker = here.start("run")
        await worker.says("worker ready")
        done = await ran(here, "task", "create", "--agent", "greeter", "--text", "Ada", "--wait", "--json")
        task = json.loads(done.stdout)
        assert (task["status"], task["result"], task["execution_attempts"]) == ("completed", "Hello, Ada!", 1)
        events = await ran(here, "task", "events", task["id"], "--json")
        numbers = [json.loads(line)["number"] for line in events.stdout.splitlines()]
        assert numbers == list(range(1, len(numbers) + 1))
        assert (await ran(here, "task", "retry", task["id"])).returncode == 0
        assert await asyncio.to_thread(worker.end) == 0
    finally:
        await asyncio.to_thread(serving.stop)
