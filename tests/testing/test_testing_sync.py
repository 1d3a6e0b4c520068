"""``run_handler_sync`` does what ``run_handler`` does, whatever the handler does."""

import asyncio
import contextvars
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from worker import Context, Task, Tasks
from worker.testing import HandlerRun, run_handler, run_handler_sync
from worker.words.errors import ConfigurationError

pytestmark = pytest.mark.usefixtures("environment", "worker_platform")

colour = contextvars.ContextVar("colour", default="none")


class Panic(BaseException): ...


def leaves(task: Task) -> Any:
    match task.input.text:
        case "exit":
            sys.exit(3)
        case "panic":
            raise Panic("a panic")
        case "iterator":
            return next(iter([]))
        case "group":
            raise ExceptionGroup("", [ConnectionError("away")])
        case "lock":
            return threading.Lock()
        case _:
            return colour.get()


async def leaves_async(task: Task) -> Any:
    if task.input.text == "cancelled":
        raise asyncio.CancelledError
    return leaves(task)


def yields(task: Task) -> Iterator[str]:
    yield "one "
    yield "two"


def seen(run: HandlerRun) -> tuple[Any, ...]:
    return run.status, run.result, type(run.error), run.retry_in is None, [event.type for event in run.events]


@pytest.mark.parametrize("text", ["exit", "panic", "iterator", "group", "lock", "cancelled", "colour"])
async def test_both_tell_the_same_of_a_handler(text: str) -> None:
    colour.set("blue")
    for handler in (leaves, leaves_async):
        options: dict[str, Any] = {"text": text, "events_streaming": True}
        expected = seen(await run_handler(handler, **options))
        assert seen(run_handler_sync(handler, **options)) == expected  # beside a running loop
        context = contextvars.copy_context()
        assert seen(await asyncio.to_thread(context.run, run_handler_sync, handler, **options)) == expected
    assert text != "colour" or expected[1] == "blue"


def test_text_is_streamed_in_both() -> None:
    run = run_handler_sync(yields, text="x", events_streaming=True)
    assert (run.status, run.result, run.text) == ("completed", "one two", "one two")


def test_a_thread_that_hangs_holds_up_neither() -> None:
    freed = threading.Event()

    async def hangs(task: Task, context: Context) -> None:
        await asyncio.to_thread(freed.wait, 30)

    def hangs_sync(task: Task) -> None:
        freed.wait(30)

    began = time.monotonic()
    for handler in (hangs, hangs_sync):
        run = run_handler_sync(handler, text="x", timeout=0.1)
        assert (run.status, run.result) == ("failed", "time limit of 0.1 s")
    assert time.monotonic() - began < 15
    freed.set()


async def test_runs_of_two_threads_wait_for_each_other() -> None:
    busy = threading.Lock()

    def alone(task: Task) -> bool:
        if not busy.acquire(blocking=False):
            return False
        time.sleep(0.05)
        busy.release()
        return True

    runs = await asyncio.gather(*[asyncio.to_thread(run_handler_sync, alone, text="x") for _ in range(3)])
    assert [run.result for run in runs] == ["true"] * 3


async def test_a_handler_cannot_run_another() -> None:
    async def within(task: Task) -> None:
        await run_handler(leaves, text="x")

    run = await run_handler(within, text="x")
    assert isinstance(run.error, ConfigurationError)
    assert "run_handler is for tests" in str(run.result)


async def test_a_run_is_of_its_own_task_whatever_else_waits_for_the_agent() -> None:
    async def answers(task: Task) -> str:
        return str(task.input.text)

    waiting = await Tasks().acreate("agent", "of a run before")
    run = await run_handler(answers, text="mine")
    assert (run.result, run.task.execution_attempts) == ("mine", 1)
    waiting = await Tasks().aget(waiting.id)
    assert (waiting.status, waiting.errors) == ("pending", 0)
