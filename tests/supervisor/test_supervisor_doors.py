"""Whatever way a user's code leaves, its task ends with a reason, its place is free, and its neighbours go on."""

import asyncio
import inspect
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import psycopg
import pytest

from tests.cli.conftest import here, shells
from tests.cli.shells import Running, Shell
from tests.server.serving import Serving
from tests.supervisor import doors
from tests.supervisor.stories import create
from tests.support import wait_until
from worker.engine.engine import Engine
from worker.words.statuses import AgentExecutionStatus as Status
from worker.words.tasks import TaskRecord

__all__ = ["here", "shells"]

KEY = "k" * 24
SECONDS = 60.0  # for all ways of a place; a busy machine does them in a fourth of it
SPECIAL = [name for name in doors.WAYS if name.removeprefix("group of ") not in doors.LANGUAGE]
COMPLETES = {
    "forks",
    "terminates a child",
    "stops the loop",
    "cancels itself",
    "cancels all",
    "takes signals",
    "replaces parts of the loop",
    "raises on signals",
}
"""Ways after which the code goes on, and answers."""

ANSWERS = {"lock", "odd", "odd within", "contains itself", "a type", "a function", "bytes", "module"}
"""Ways of which a listener's answer tells nothing: it is nobody's result."""

DUE = "select count(*) from worker.cursors where position < newest"

ENDS = {Status.Error, Status.Failed}


@pytest.fixture(params=["engine", "remote"])
async def worker(
    request: pytest.FixtureRequest, engine: Engine, here: Shell, database_url: str
) -> AsyncIterator[Running]:
    """A worker process with every handler, on the database or over HTTP."""
    here.handlers(inspect.getsource(doors))
    environment = {"WORKER_CONCURRENCY": "20", "WORKER_DRAIN_SECONDS": "3", "WORKER_CHILDREN": "0"}
    serving = None
    if request.param == "remote":
        serving = Serving(database_url, key=KEY).start()
        await serving.started()
        environment |= {"XPANDER_BASE_URL": serving.base, "XPANDER_API_KEY": KEY}
    running = here.start("run", **environment)
    await running.says("ready")
    yield running
    if serving is not None:
        serving.stop()


async def left(engine: Engine, agent: str, place: str, ways: list[str]) -> dict[str, TaskRecord]:
    """Have the code of a place leave in each of the ways; what became of the tasks, by way."""
    tasks = {way: await create(engine, agent, f"{place}/{way}") for way in ways}
    neighbour = await create(engine, "neighbour")

    async def all_ended() -> bool:
        found = [await engine.tasks.get(each.id) for each in (*tasks.values(), neighbour)]
        return all(each.status.is_terminal for each in found)

    try:
        await wait_until(all_ended, f"every task has ended: {agent} {place}", SECONDS)
    except AssertionError:
        stuck = [way for way, task in tasks.items() if not (await engine.tasks.get(task.id)).status.is_terminal]
        raise AssertionError(f"{agent} {place}: these have not ended: {stuck}") from None
    assert (await engine.tasks.get(neighbour.id)).result == "fine"
    return {way: await engine.tasks.get(task.id) for way, task in tasks.items()}


def check(found: dict[str, TaskRecord], *, may_complete: bool = False) -> None:
    for way, task in found.items():
        assert task.suspicions == 0, (way, task)
        if way not in COMPLETES and not may_complete:
            assert task.status in ENDS, (way, task.status, task.result)
        if task.status in ENDS:
            assert task.result, way  # the reason
            assert "object at 0x" not in task.result, (way, task.result)


def check_alone(here: Shell) -> None:
    """No child that code forked off goes on behind the worker."""
    left = [each for each in Path("/proc").glob("[0-9]*/cwd") if _folder(each).startswith(str(here.folder))]
    assert not left


def _folder(link: Path) -> str:
    """Where a process works; empty for one that has ended, or is somebody else's."""
    try:
        return str(link.readlink())
    except OSError:
        return ""


async def test_handlers(worker: Running, engine: Engine) -> None:
    for agent in ("async", "sync"):
        check(await left(engine, agent, "handler", list(doors.WAYS)))
    assert await asyncio.to_thread(worker.end, signal.SIGTERM) == 0


async def test_results_steps_and_tasks_of_its_own(worker: Running, engine: Engine, here: Shell) -> None:
    values = ["lock", "odd", "odd within", "contains itself", "a type", "a function", "bytes", "module", "generator"]
    for agent in ("async", "sync"):
        check(await left(engine, agent, "result", values))
        check(await left(engine, agent, "step", SPECIAL))
    for place in ("task", "thread"):
        check(await left(engine, "async", place, SPECIAL))
    assert await asyncio.to_thread(worker.end, signal.SIGTERM) == 0
    check_alone(here)


async def test_tools_and_hooks_of_agents(worker: Running, engine: Engine) -> None:
    for agent in ("async", "sync"):
        for place in ("tool", "hook"):
            check(await left(engine, agent, place, SPECIAL), may_complete=True)
    assert await asyncio.to_thread(worker.end, signal.SIGTERM) == 0


async def test_listeners(worker: Running, engine: Engine, database_url: str) -> None:
    check(await left(engine, "told", "listener", SPECIAL), may_complete=True)

    async def settled() -> bool:
        with psycopg.connect(database_url) as connection:
            return connection.execute(DUE).fetchone() == (0,)

    await wait_until(settled, "every event is delivered, or set aside", SECONDS)
    with psycopg.connect(database_url) as connection:
        errors = [error for (error,) in connection.execute("select error from worker.deliveries_set_aside")]
    assert all(errors), "each says why"
    assert len(errors) >= 2 * (len(SPECIAL) - len(COMPLETES) - len(ANSWERS))
    assert await asyncio.to_thread(worker.end, signal.SIGTERM) == 0
