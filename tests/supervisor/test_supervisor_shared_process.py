"""What a handler takes from the process, such as limits that it lowers, does not keep others from their work."""

import asyncio
import json
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from typing import Any
from unittest.mock import Mock

import pytest

from tests.supervisor.stories import Handlers, Serve, create, done, finished
from worker import Context, Task
from worker.engine.engine import Engine
from worker.supervisor import shared_parts, shared_process, verdict
from worker.words.notices import Notice, PlatformTrouble
from worker.words.statuses import AgentExecutionStatus as Status

pytestmark = pytest.mark.usefixtures("environment")


REPLACED: tuple[tuple[Any, str], ...] = (
    (ThreadPoolExecutor, "submit"),
    (threading.Thread, "start"),
    (threading, "Thread"),
    (json, "dumps"),
    (json, "loads"),
    (subprocess, "Popen"),
    (os, "urandom"),
    (os, "environ"),
    (time, "time"),
    (asyncio, "sleep"),
    (asyncio, "create_task"),
)
TRIES = 4  # to tell the reason: twice for the verdict, then for the end
MODULES = ("asyncio", "json", "socket", "threading")


def lower(number: int, soft: int) -> None:
    resource.setrlimit(number, (soft, resource.getrlimit(number)[1]))


def broken(*_: Any, **__: Any) -> None:
    raise RuntimeError("broken")


WAYS: dict[str, Callable[[], object]] = {
    "recursion": lambda: sys.setrecursionlimit(150),
    "files": lambda: lower(resource.RLIMIT_NOFILE, 5),
    "memory": lambda: lower(resource.RLIMIT_AS, 1024),
    "modules": lambda: [sys.modules.pop(name) for name in MODULES],
    "pools": lambda: setattr(ThreadPoolExecutor, "submit", None),
    "seconds": lambda: lower(resource.RLIMIT_CPU, 100_000),
}
REPLACING: dict[str, Callable[[], object]] = {
    "threads": lambda: setattr(threading.Thread, "start", broken),
    "no threads": lambda: setattr(threading, "Thread", None),
    "json": lambda: setattr(json, "dumps", broken),
    "a mock": lambda: setattr(json, "loads", Mock()),
    "processes": lambda: setattr(subprocess, "Popen", Mock()),
    "chance": lambda: setattr(os, "urandom", bytes),
    "time": lambda: setattr(time, "time", broken),
    "sleep": lambda: setattr(asyncio, "sleep", Mock()),
    "tasks": lambda: setattr(asyncio, "create_task", broken),
    "variables": lambda: os.environ.update(WORKER_CONCURRENCY="many"),
    "no variables": lambda: setattr(os, "environ", None),
    "search path": lambda: sys.path.clear(),  # noqa: PLW0108 - that of the moment
    "finders": lambda: sys.meta_path.clear(),  # noqa: PLW0108 - the same
    "umask": lambda: os.umask(0o777),
    "switches": lambda: sys.setswitchinterval(1000),
    "alarms": lambda: signal.setitimer(signal.ITIMER_VIRTUAL, 60),
    "stacks": lambda: threading.stack_size(32 * 1024),
}


@pytest.fixture(autouse=True)
def parts(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The process has its parts again, whatever a test does, and counts as the worker's own."""
    monkeypatch.setattr(shared_parts, "_is_own", True)
    for owner, name in REPLACED:
        monkeypatch.setattr(owner, name, getattr(owner, name))
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path])
    monkeypatch.setenv("WORKER_CONCURRENCY", "4")
    for name in MODULES:
        monkeypatch.setitem(sys.modules, name, sys.modules[name])
    recursion = sys.getrecursionlimit()
    numbers = (resource.RLIMIT_NOFILE, resource.RLIMIT_AS, resource.RLIMIT_CPU)
    former = {number: resource.getrlimit(number) for number in numbers}
    mask = os.umask(0o077)
    os.umask(mask)
    yield
    signal.setitimer(signal.ITIMER_VIRTUAL, 0)
    os.umask(mask)
    sys.setswitchinterval(0.005)
    threading.stack_size(0)
    sys.setrecursionlimit(recursion)
    for number, limit in former.items():
        resource.setrlimit(number, limit)


@pytest.mark.parametrize(
    ("way", "in_thread"),
    [*((way, True) for way in WAYS), *((way, False) for way in (*WAYS, *REPLACING))],  # the loop is the test's own
)
async def test_what_a_handler_takes_from_the_process_is_there_for_everything_after_it(
    engine: Engine, handlers: Handlers, serve: Serve, way: str, *, in_thread: bool
) -> None:
    def sync(task: Task) -> str:
        (WAYS | REPLACING)[way]()
        raise ValueError("afterwards")

    async def coroutine(task: Task) -> str:
        return sync(task)

    async def neighbour(task: Task, context: Context) -> str:
        await context.step("counts", lambda: json.dumps([1]))
        await asyncio.to_thread(subprocess.run, [sys.executable, "-c", "import asyncio"], check=True, timeout=60)
        return import_module("asyncio").__name__

    handlers.bind(sync if in_thread else coroutine, "takes")
    handlers.bind(neighbour, "neighbour")
    async with serve():
        assert (await finished(engine, await create(engine, "takes"))).status is Status.Error
        assert (await done(engine, "neighbour")).result == "asyncio"
        assert signal.getitimer(signal.ITIMER_VIRTUAL) == (0, 0)


async def test_a_replacement_that_works_stays(engine: Engine, handlers: Handlers, serve: Serve) -> None:
    calls: list[str] = []

    def traced(owner: Any, name: str) -> None:
        function = getattr(owner, name)

        def tracing(*arguments: Any, **options: Any) -> Any:
            calls.append(name)
            return function(*arguments, **options)

        setattr(owner, name, tracing)

    def instruments(task: Task) -> None:
        for owner, name in ((threading.Thread, "start"), (json, "dumps"), (subprocess, "Popen"), (time, "time")):
            traced(owner, name)
        os.environ["WORKER_CONCURRENCY"] = "3"

    def neighbour(task: Task) -> str:
        return json.dumps([1])

    handlers.bind(instruments, "instruments")
    handlers.bind(neighbour, "neighbour")
    async with serve():
        await done(engine, "instruments")
        calls.clear()
        assert (await done(engine, "neighbour")).result == "[1]"
        assert "dumps" in calls
        assert os.environ["WORKER_CONCURRENCY"] == "3"


async def test_mocks_of_a_process_that_is_not_the_workers_own_stay(
    engine: Engine, handlers: Handlers, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    def handler(task: Task) -> str:
        return type(subprocess.Popen).__name__

    monkeypatch.setattr(shared_parts, "_is_own", False)
    monkeypatch.setattr(subprocess, "Popen", Mock())
    handlers.bind(handler)
    async with serve():
        for _ in range(2):
            assert (await done(engine)).result == "Mock"


async def test_the_end_of_a_run_that_cannot_be_told_is_tried_again_with_pauses(
    engine: Engine, handlers: Handlers, serve: Serve, notices: list[Notice], monkeypatch: pytest.MonkeyPatch
) -> None:
    tries = 0
    message = verdict.message

    def failing(error: BaseException) -> str:
        nonlocal tries
        tries += 1
        if tries < TRIES:
            raise RuntimeError("broken")
        return message(error)

    def handler(task: Task) -> None:
        monkeypatch.setattr(verdict, "message", failing)
        raise ValueError("the reason")

    handlers.bind(handler)
    async with serve():
        task = await done(engine)
    assert (task.status, task.result, tries) == (Status.Error, "broken", TRIES)
    (trouble,) = [each for each in notices if isinstance(each, PlatformTrouble)]
    assert (trouble.doing, bool(trouble.again_in)) == ("saving the outcome of a run", True)


def test_a_limit_that_was_raised_or_is_that_of_the_operator_stays() -> None:
    shared_process.remember()
    sys.setrecursionlimit(sys.getrecursionlimit() + 500)
    raised = sys.getrecursionlimit()
    shared_process.restore()
    assert sys.getrecursionlimit() == raised
