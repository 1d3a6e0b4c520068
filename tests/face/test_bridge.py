import asyncio
import os
import signal
import subprocess
import sys
import threading
from collections.abc import AsyncIterator
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import pytest

from tests.support import wait_until
from worker.contracts import Platform
from worker.engine.engine import Engine
from worker.face import bridge
from worker.face.configuration import Configuration
from worker.face.pump import AHEAD
from worker.words.errors import ModuleException, TaskNotFound, Unavailable

mark: ContextVar[str] = ContextVar("mark", default="none")
pytestmark = pytest.mark.usefixtures("place")


async def where(platform: Platform) -> tuple[Platform, str, asyncio.AbstractEventLoop]:
    return platform, threading.current_thread().name, asyncio.get_running_loop()


def test_sync_calls_block_on_a_private_loop_and_share_one_platform() -> None:
    first, second = bridge.block(where), bridge.block(where, Configuration())
    assert first == second
    assert first[1] == "worker-platform"


async def test_the_sync_version_of_an_async_function_runs_in_the_callers_thread_and_blocks_for_its_calls() -> None:
    async def located(more: str) -> tuple[Any, ...]:
        return threading.current_thread().name, (await bridge.across(where))[1], more

    async def nested() -> tuple[Any, ...]:
        return await bridge.across(lambda _: located("from the platform's loop"))

    assert bridge.blocking(located)("kept") == ("MainThread", "worker-platform", "kept")
    assert bridge.blocking(nested)()[:2] == ("worker-platform", "worker-platform"), "within the call, nothing blocks"
    assert await located("afterwards") == ("MainThread", "worker-platform", "afterwards")
    with pytest.raises(RuntimeError, match=r"sleep.* awaits something other than a platform"):
        bridge.blocking(asyncio.sleep)(1)


async def test_async_calls_from_another_loop_go_across_and_sync_ones_block_beside_a_running_loop() -> None:
    platform, thread, loop = await bridge.across(where)
    assert thread == "worker-platform"
    assert loop is not asyncio.get_running_loop()
    assert bridge.block(where) == (platform, thread, loop)


def test_a_call_made_on_the_platforms_loop_stays_there() -> None:
    async def nested(_: Platform) -> bool:
        return (await bridge.across(where))[2] is asyncio.get_running_loop()

    assert bridge.block(nested)


async def test_two_configurations_have_two_platforms(database_url: str) -> None:
    other = Configuration(database_url=database_url, organization_id="other")
    assert (await bridge.across(where))[0] is not (await bridge.across(where, other))[0]


async def test_context_variables_come_along() -> None:
    async def read(_: Platform) -> str:
        return mark.get()

    mark.set("mine")
    assert await bridge.across(read) == "mine"
    assert bridge.block(read) == "mine"


async def test_what_a_platform_starts_does_not_carry_the_run_that_asked_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: list[str] = []
    opened = Engine.open

    async def open_and_look(self: Engine) -> None:
        seen.append(mark.get())
        await opened(self)

    monkeypatch.setattr(Engine, "open", open_and_look)
    mark.set("mine")
    await bridge.across(where)
    assert seen == ["none"]


async def test_errors_carry_over() -> None:
    with pytest.raises(TaskNotFound):
        await bridge.across(lambda platform: platform.tasks.get("nobody"))
    with pytest.raises(TaskNotFound):
        bridge.block(lambda platform: platform.tasks.get("nobody"))


async def test_cancelling_the_caller_cancels_the_call() -> None:
    started, cancelled = threading.Event(), threading.Event()

    async def endless(_: Platform) -> None:
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    caller = asyncio.create_task(bridge.across(endless))
    await wait_until(started.is_set, "the call runs")
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    await wait_until(cancelled.is_set, "the call was cancelled")


async def test_a_call_that_is_cancelled_cancels_its_caller() -> None:
    async def leave(_: Platform) -> None:
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await bridge.across(leave)
    with pytest.raises(Unavailable):
        bridge.block(leave)


async def test_an_interrupt_while_blocked_cancels_the_call() -> None:
    started, cancelled = threading.Event(), threading.Event()
    main = threading.main_thread().ident
    assert main is not None

    def interrupt() -> None:
        started.wait(10)
        signal.pthread_kill(main, signal.SIGINT)

    async def endless(_: Platform) -> None:
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    thread = threading.Thread(target=interrupt)
    previous = signal.signal(signal.SIGINT, signal.default_int_handler)
    thread.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            bridge.block(endless)
    finally:
        signal.signal(signal.SIGINT, previous)
        thread.join()
    assert cancelled.wait(10)


def test_a_platform_that_could_not_be_opened_is_tried_again(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://nobody@127.0.0.1:1/nothing?connect_timeout=2")
    with pytest.raises(ModuleException) as refused:
        bridge.block(where)
    assert refused.value.status_code == 503
    monkeypatch.setenv("DATABASE_URL", database_url)
    assert bridge.block(where)[1] == "worker-platform"


class TestAdopted:
    """A worker's own loop, with its platform."""

    @pytest.fixture(autouse=True)
    async def adopted(self, engine: Engine) -> AsyncIterator[None]:
        bridge.adopt(asyncio.get_running_loop(), engine)
        yield
        await bridge.release()

    async def test_calls_happen_on_it(self, engine: Engine) -> None:
        assert await bridge.across(where) == (engine, "MainThread", asyncio.get_running_loop())
        in_thread = await asyncio.to_thread(bridge.block, where)
        assert in_thread == (engine, "MainThread", asyncio.get_running_loop())

    async def test_a_sync_call_on_it_goes_to_a_spare_loop_instead_of_waiting_for_itself(self, engine: Engine) -> None:
        mark.set("carried")

        async def look(platform: Platform) -> tuple[bool, str, bool]:
            return platform is engine, mark.get(), bridge.is_spare()

        assert bridge.block(look) == (False, "carried", True)
        assert await bridge.across(look) == (True, "carried", False)

    async def test_a_sync_call_within_such_a_call_goes_to_yet_another(self) -> None:
        async def outer(_: Platform) -> bool:
            here = asyncio.get_running_loop()
            return bridge.block(where)[2] is not here

        assert bridge.block(outer)

    async def test_sync_iteration_on_it_goes_to_a_spare_loop_too(self) -> None:
        assert list(bridge.iterate(numbers(3))) == [0, 1, 2]

    async def test_after_release_a_private_loop_serves(self, engine: Engine) -> None:
        await bridge.release()
        assert (await bridge.across(where))[0] is not engine


class Source:
    """Numbers, with a trace of how far it got and whether it was closed; it waits once it gave ``allowed`` of them."""

    def __init__(self, last: int, error: Exception | None = None) -> None:
        self.last, self.error = last, error
        self.given = 0
        self.closed = threading.Event()
        self.allowed = last

    async def __call__(self, _: Platform) -> AsyncIterator[int]:
        try:
            for number in range(self.last):
                await wait_until(lambda: self.given < self.allowed, "more is allowed", 60)
                self.given += 1
                yield number
            if self.error:
                raise self.error
        finally:
            self.closed.set()


def numbers(last: int, error: Exception | None = None) -> Any:
    return Source(last, error)


async def test_items_cross_in_order() -> None:
    assert [number async for number in bridge.aiterate(numbers(300))] == list(range(300))
    assert list(bridge.iterate(numbers(300))) == list(range(300))


async def test_items_come_as_they_are_made() -> None:
    source = numbers(2)
    source.allowed = 1
    items = bridge.aiterate(source)
    assert await anext(items) == 0
    source.allowed = 2
    assert await anext(items) == 1


def test_items_come_to_a_thread_as_they_are_made() -> None:
    source = numbers(2)
    source.allowed = 1
    items = bridge.iterate(source)
    assert next(items) == 0
    source.allowed = 2
    assert next(items) == 1


async def test_a_slow_reader_holds_the_source_up() -> None:
    source = numbers(10 * AHEAD)
    items = bridge.aiterate(source)
    await anext(items)
    await wait_until(lambda: source.given >= AHEAD, "the source is ahead")
    await asyncio.sleep(0)
    assert source.given <= AHEAD + 3
    await items.aclose()


async def test_leaving_early_ends_the_source() -> None:
    source, other = numbers(10 * AHEAD), numbers(10 * AHEAD)
    async for _ in bridge.aiterate(source):
        break
    await wait_until(source.closed.is_set, "the source of the async loop was closed")
    for _ in bridge.iterate(other):
        break
    await wait_until(other.closed.is_set, "the source of the sync loop was closed")


async def test_an_error_of_the_source_comes_after_its_last_item() -> None:
    items = bridge.aiterate(numbers(1, ZeroDivisionError()))
    assert await anext(items) == 0
    with pytest.raises(ZeroDivisionError):
        await anext(items)
    in_thread = bridge.iterate(numbers(1, ZeroDivisionError()))
    assert next(in_thread) == 0
    with pytest.raises(ZeroDivisionError):
        next(in_thread)


def test_closing_the_bridge_ends_whoever_waits() -> None:
    source = numbers(5)
    source.allowed = 1
    items = bridge.iterate(source)
    next(items)
    closing = threading.Thread(target=bridge.close)
    closing.start()
    with pytest.raises(Unavailable):
        next(items)
    closing.join()


PROGRAM = """
import atexit, os, threading
from worker import Tasks

atexit.register(lambda: print("left", [each.name for each in threading.enumerate()], flush=True))

task = Tasks().create("agent", "before the fork")
child = os.fork()
if child == 0:
    print("child", Tasks().get(task.id).input.text, flush=True)
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
print("parent", Tasks().get(task.id).input.text, flush=True)
"""


def test_a_forked_child_starts_anew_and_leaving_the_process_closes_its_platforms(database_url: str) -> None:
    environment = {**os.environ, "DATABASE_URL": database_url, "PYTHONPATH": str(Path(__file__).parents[2])}
    program = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", PROGRAM]
    done = subprocess.run(program, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "child before the fork",
        "parent before the fork",
        "left ['MainThread']",
    ]
    assert done.stderr == ""


@pytest.mark.parametrize(
    "script",
    [
        "from worker import Tasks; Tasks().create('agent', 'x')",
        "import asyncio; from worker import Tasks; asyncio.run(Tasks().acreate('agent', 'x')); raise SystemExit(3)",
    ],
    ids=["sync", "async"],
)
def test_a_script_that_ends_leaves_no_embedded_postgresql_behind(tmp_path: Path, script: str) -> None:
    away = ("DATABASE_URL", "XPANDER_BASE_URL", "XPANDER_API_KEY")
    environment = {name: value for name, value in os.environ.items() if name not in away}
    environment |= {"WORKER_HOME": str(tmp_path / "home"), "PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.stderr == ""
    (data,) = (tmp_path / "home" / "postgres").glob("*/PG_VERSION")
    assert not (data.parent / "postmaster.pid").exists(), "the last one out stops the server"
