"""Whatever work in a child process does, its caller gets an answer or an error in time, and everybody else goes on."""

import asyncio
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.support import process_lives, wait_until
from worker import bounded
from worker.bounded import (
    AnswerTooLarge,
    BoundedError,
    Bounds,
    Busy,
    Crashed,
    NotStarted,
    OutOfMemory,
    Pool,
    Refused,
    TimeUp,
)
from worker.bounded.bounds import MEBIBYTE
from worker.bounded.process import Child
from worker.bounded.turns import Turns

LONG = Bounds(seconds=30)
SHORT = Bounds(seconds=0.5)


@pytest.fixture
def pool() -> Pool:
    return Pool("test", size=1, idle=5)


def work(name: str) -> str:
    return f"tests.bounded.work:{name}"


async def pid(pool: Pool) -> int:
    return await pool.run(work("pid"), bounds=LONG)


async def test_values_and_bytes_go_there_and_back(pool: Pool) -> None:
    given: list[Any] = [1, "ü \ud800", None, {"a": [2.5, True]}]
    assert await pool.run(work("echo"), *given, bounds=LONG) == given
    assert await pool.run(work("content"), 3 * 2**20, bounds=LONG) == b"x" * 3 * 2**20


async def test_an_idle_child_is_let_go() -> None:
    pool = Pool("test", size=1, idle=0.5)
    first = await pid(pool)
    await wait_until(lambda: not process_lives(first), "the idle child has ended")
    assert await pid(pool) != first


async def test_a_refusal_reaches_the_caller_and_keeps_the_child(pool: Pool) -> None:
    first = await pid(pool)
    with pytest.raises(Refused, match=r"no: \?"):
        await pool.run(work("refuses"), bounds=LONG)
    assert await pid(pool) == first


@pytest.mark.parametrize(
    ("name", "bounds", "error"),
    [
        ("sleeps", SHORT, TimeUp),
        ("computes", SHORT, TimeUp),
        ("swells", LONG, OutOfMemory),
        ("recurses", LONG, Crashed),
        ("dies", LONG, Crashed),
        ("exits", LONG, Crashed),
        ("no_json", LONG, Crashed),
        ("floods", LONG, AnswerTooLarge),
        ("floods_the_socket", LONG, BoundedError),
        ("gone", LONG, Crashed),
    ],
)
async def test_whatever_it_does_is_an_error_and_the_next_is_served(
    pool: Pool, name: str, bounds: Bounds, error: type[BoundedError]
) -> None:
    with pytest.raises(error):
        await pool.run(work(name), bounds=bounds)
    assert await pool.run(work("echo"), 1, bounds=LONG) == [1]


async def test_the_loop_goes_on_meanwhile(pool: Pool) -> None:
    computing = asyncio.create_task(pool.run(work("computes"), bounds=Bounds(seconds=1)))
    turns = 0
    while not computing.done():
        await asyncio.sleep(0.01)
        turns += 1
    assert isinstance(computing.exception(), TimeUp)
    assert turns > 20


@pytest.mark.parametrize("once", [True, False])
async def test_a_cancelled_call_ends_its_child_at_once(pool: Pool, tmp_path: Path, once: bool) -> None:
    said = tmp_path / "said"
    said.touch()
    before = said.stat().st_mtime
    bounds = Bounds(seconds=30, once=once)
    call = asyncio.create_task(pool.run(work("says_and_sleeps"), str(said), bounds=bounds))
    await wait_until(lambda: said.stat().st_mtime != before, "the work has begun")
    process = int(said.stat().st_mtime)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    await wait_until(lambda: not process_lives(process), "the child has ended")


def test_a_child_that_is_killed_as_it_has_answered_gets_no_other_job() -> None:
    child = Child()
    child.run("tests.bounded.work", "pid", (), LONG)
    child.kill()  # by a call that was cancelled at that moment
    assert not child.is_fit
    child.close()


async def test_a_call_cancelled_before_its_turn_is_never_begun(pool: Pool, tmp_path: Path) -> None:
    first = asyncio.create_task(pool.run(work("sleeps"), bounds=Bounds(seconds=2)))
    await asyncio.sleep(0)
    said = tmp_path / "said"
    said.touch()
    before = said.stat().st_mtime
    waiting = asyncio.create_task(pool.run(work("says_and_sleeps"), str(said), bounds=LONG))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(TimeUp):
        await first
    assert await pool.run(work("echo"), 1, bounds=LONG) == [1]
    assert said.stat().st_mtime == before


async def test_slow_work_holds_up_nobody_else() -> None:
    pool = Pool("test", size=1, idle=5, slow=0.05)
    slow = asyncio.create_task(pool.run(work("sleeps"), bounds=LONG))
    assert await asyncio.wait_for(pool.run(work("echo"), 1, bounds=LONG), 20) == [1]
    assert await asyncio.to_thread(lambda: pool.run_blocking(work("echo"), 2, bounds=LONG)) == [2]
    assert not slow.done()
    slow.cancel()


async def test_who_will_not_wait_longer_is_told(pool: Pool) -> None:
    first = asyncio.create_task(pool.run(work("sleeps"), bounds=Bounds(seconds=2)))
    await asyncio.sleep(0)
    with pytest.raises(Busy):
        await pool.run(work("echo"), 1, bounds=LONG, patience=0.1)
    with pytest.raises(TimeUp):
        await first


def test_one_who_sends_much_does_not_hold_up_one_who_sends_little() -> None:
    turns: Turns[str] = Turns()
    for number in range(5):
        turns.put("many", f"many {number}")
    turns.put("one", "one")
    turns.put("two", "two")
    assert turns.drop("many 1")
    assert not turns.drop("many 1")
    taken = [turns.take(0) for _ in range(7)]
    assert taken == ["many 0", "one", "two", "many 2", "many 3", "many 4", None]


async def test_once_means_a_process_of_its_own(pool: Pool) -> None:
    once = Bounds(seconds=30, once=True)
    assert len({await pool.run(work("pid"), bounds=once) for _ in range(3)}) == 3
    assert len({await pool.run(work("parent"), bounds=once) for _ in range(3)}) == 1 or not bounded.FORKS


@pytest.mark.parametrize("once", [True, False])
async def test_how_work_ends_is_said_and_the_next_is_done(pool: Pool, once: bool) -> None:
    bounds = Bounds(seconds=30, once=once)
    with pytest.raises(Crashed, match="SIGSEGV"):
        await pool.run(work("dies"), bounds=bounds)
    with pytest.raises(Crashed, match="exit code 3"):
        await pool.run(work("exits"), bounds=bounds)
    with pytest.raises(OutOfMemory):
        await pool.run(work("swells"), bounds=bounds)
    with pytest.raises(TimeUp):
        await pool.run(work("computes"), bounds=Bounds(seconds=0.3, once=once))
    assert await pool.run(work("echo"), 1, bounds=bounds) == [1]


async def test_what_copies_need_is_imported_once(pool: Pool) -> None:
    needed = Bounds(seconds=30, once=True, imports=("colorsys", "no_such_module"))
    assert await pool.run(work("has_imported"), "colorsys", bounds=needed) is bounded.FORKS


@pytest.mark.skipif(not bounded.FORKS, reason="only a copy finds what an earlier job had imported")
async def test_what_a_child_has_imported_takes_no_memory_from_the_next_job(pool: Pool) -> None:
    bounds = Bounds(seconds=30, memory=200 * MEBIBYTE, once=True, imports=("tests.bounded.a_large_library",))
    assert len(await pool.run(work("content"), 50 * MEBIBYTE, bounds=replace(bounds, answer=100 * MEBIBYTE))) > 0
    with pytest.raises(OutOfMemory):
        await pool.run(work("content"), 300 * MEBIBYTE, bounds=bounds)


async def test_it_knows_no_secret_writes_no_file_and_outlives_a_signal_to_all(
    pool: Pool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "secret")
    assert not [each for each in await pool.run(work("secrets"), bounds=LONG) if "KEY" in each]
    assert "File too large" in await pool.run(work("writes"), str(tmp_path / "left"), bounds=LONG)
    assert await pool.run(work("ignores_signals"), bounds=LONG) == "still here"


async def test_a_system_that_gives_no_process_is_said_so(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise BlockingIOError(11, "Resource temporarily unavailable")

    with monkeypatch.context() as patch:
        patch.setattr(subprocess, "Popen", refuse)
        with pytest.raises(NotStarted):
            await pool.run(work("echo"), bounds=LONG)
    assert await pool.run(work("echo"), bounds=LONG) == []


def test_every_loop_and_thread_shares_the_children(pool: Pool) -> None:
    assert asyncio.run(pid(pool)) == asyncio.run(pid(pool))


PARENT = """
import asyncio, os, signal, sys
from worker.bounded import Bounds, Pool

async def main():
    pool = Pool("test", size=2)
    print(await pool.run("tests.bounded.work:pid", bounds=Bounds(seconds=30)), flush=True)
    await asyncio.sleep(60)

asyncio.run(main())
"""


def test_a_child_ends_with_its_parent() -> None:
    parent = subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE)
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    parent.stdout.close()
    until = time.monotonic() + 20
    while process_lives(child):
        assert time.monotonic() < until, "the child has not ended"
        time.sleep(0.02)


async def test_the_pools_of_the_product_are_there() -> None:
    assert await bounded.checks.run(work("echo"), 1, bounds=LONG) == [1]
