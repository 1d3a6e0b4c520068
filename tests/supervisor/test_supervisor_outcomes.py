"""What a handler returns or raises, and what becomes of its task."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from email.utils import formatdate
from typing import Any, cast

import httpx
import pytest
from pydantic import BaseModel

from tests.supervisor.stories import Handlers, Serve, create, done, finished
from tests.support import wait_until
from worker import Context, Task, TaskUpdateEvent, TaskUpdateEventType
from worker.cli.output import task_fields
from worker.current import Run
from worker.engine.engine import Engine
from worker.supervisor import verdict
from worker.words.errors import LeaseLost
from worker.words.notices import Notice, ResultDiscarded, RunSuperseded, TaskEnded, TaskRetried
from worker.words.retry import RetryPolicy
from worker.words.statuses import AgentExecutionStatus as Status
from worker.words.tasks import AgentExecutionInput, TaskRecord

pytestmark = pytest.mark.usefixtures("environment")


class Answer(BaseModel):
    total: int


@pytest.mark.parametrize(
    ("value", "stored"),
    [("text", "text"), ({"a": [1]}, '{"a":[1]}'), (Answer(total=3), '{"total":3}'), (None, None)],
)
async def test_a_handlers_value_becomes_the_result(
    engine: Engine, handlers: Handlers, serve: Serve, value: Any, stored: str | None
) -> None:
    async def handler(task: Task) -> Any:
        return value

    handlers.bind(handler)
    async with serve():
        task = await done(engine)
    assert (task.status, task.result) == (Status.Completed, stored)


@pytest.mark.parametrize("by", ["returning", "setting", "saving"])
async def test_numbers_that_json_has_no_form_for_become_null_and_a_note_says_so(
    engine: Engine, handlers: Handlers, serve: Serve, by: str
) -> None:
    value = {"mean": float("nan"), "most": [float("-inf")], "text": "NaN"}

    async def handler(task: Task) -> Any:
        if by == "returning":
            return value
        task.result = value
        if by == "saving":
            await task.asave()
        return None

    handlers.bind(handler)
    async with serve():
        task = await done(engine)
    notes = [event.data.text async for event in engine.tasks.events(task.id) if event.type == "note"]
    assert (task.status, task.result) == (Status.Completed, '{"mean":null,"most":[null],"text":"NaN"}')
    assert notes == ["result: 2 numbers that JSON has no form for (NaN, -Infinity) became null."]


async def test_a_result_that_is_too_large_is_no_trouble_with_a_models_context(
    engine: Engine, handlers: Handlers, serve: Serve
) -> None:
    async def handler(task: Task) -> Task:
        task.result = "x" * 60_000_000
        return task

    handlers.bind(handler)
    async with serve():
        task = await done(engine)
    assert (task.status, task.error_code) == (Status.Error, "invalid_request")


async def test_what_a_handler_sets_on_its_task_is_saved(engine: Engine, handlers: Handlers, serve: Serve) -> None:
    async def handler(task: Task) -> Task:
        task.result = {"total": 3}
        task.internal_status = "3 orders shipped"
        return task

    handlers.bind(handler)
    async with serve():
        task = await done(engine)
    assert (task.status, task.result, task.internal_status) == (Status.Completed, '{"total":3}', "3 orders shipped")
    assert task.duration is not None


async def test_a_status_that_the_handler_sets_is_the_end(engine: Engine, handlers: Handlers, serve: Serve) -> None:
    async def handler(task: Task) -> None:
        task.status = Status.Failed
        task.result = "no such customer"

    handlers.bind(handler)
    async with serve():
        task = await done(engine)
    assert (task.status, task.result) == (Status.Failed, "no such customer")


async def test_a_sync_handler_runs_in_a_thread_and_may_save(engine: Engine, handlers: Handlers, serve: Serve) -> None:
    threads: list[str] = []

    def handler(task: Task) -> str:
        threads.append(threading.current_thread().name)
        task.internal_status = "halfway"
        task.save()
        return "done"

    handlers.bind(handler)
    async with serve():
        task = await done(engine)
    assert (task.status, task.result, task.internal_status) == (Status.Completed, "done", "halfway")
    assert threads[0].startswith("handler")


async def test_an_async_handler_may_call_sync_twins(engine: Engine, handlers: Handlers, serve: Serve) -> None:
    async def handler(task: Task) -> str:
        task.internal_status = "halfway"
        task.save()
        return Task.load(task.id).internal_status or ""

    handlers.bind(handler)
    async with serve():
        task = await done(engine)
    assert (task.status, task.result) == (Status.Completed, "halfway")


async def test_parameters_are_filled_by_name_or_annotation(engine: Engine, handlers: Handlers, serve: Serve) -> None:
    seen: dict[str, Any] = {}

    async def handler(work: Task, context: Context, *, happening: TaskUpdateEvent | None = None) -> None:
        seen.update(attempt=context.attempt, remaining=context.remaining, id=work.id, stopping=bool(context.stopping))

    handlers.bind(handler, timeout=50)
    async with serve():
        task = await done(engine)
    assert (seen["attempt"], seen["id"], seen["stopping"]) == (1, task.id, False)
    assert 0 < seen["remaining"] <= 50


async def test_a_handler_that_raises_leaves_error_with_its_message(
    engine: Engine, handlers: Handlers, serve: Serve, notices: list[Notice]
) -> None:
    async def handler(task: Task) -> None:
        task.internal_status = "reading row 7"
        raise KeyError("row 7 has no price")

    handlers.bind(handler)
    async with serve():
        task = await done(engine)
    assert (task.status, task.internal_status) == (Status.Error, "reading row 7")
    assert "row 7 has no price" in (task.result or "")
    ended = next(notice for notice in notices if isinstance(notice, TaskEnded))
    assert isinstance(ended.error, KeyError)


async def test_what_does_not_fit_is_an_error_and_nothing_of_it_is_stored(
    engine: Engine, handlers: Handlers, serve: Serve
) -> None:
    async def handler(task: Task) -> str:
        task.internal_status = "x" * 256
        return "done"

    handlers.bind(handler)
    async with serve():
        task = await done(engine)
    assert (task.status, task.internal_status) == (Status.Error, None)
    assert "internal_status has 256 characters" in (task.result or "")


class Busy(Exception):  # noqa: N818 - what a provider's client raises
    status_code = 429
    response: httpx.Response | None = None


async def test_a_passing_error_is_tried_again_and_a_later_try_may_succeed(
    engine: Engine, handlers: Handlers, serve: Serve, notices: list[Notice]
) -> None:
    attempts: list[int | None] = []

    async def handler(task: Task, context: Context) -> str:
        attempts.append(context.attempt)
        if len(attempts) < 3:
            raise httpx.ConnectError("refused") if len(attempts) == 1 else Busy("slow down")
        return "done"

    handlers.bind(handler, retries=RetryPolicy(attempts=3, base=0.01))
    async with serve():
        task = await done(engine)
    assert (task.status, task.result, attempts, task.errors) == (Status.Completed, "done", [1, 2, 3], 2)
    assert len([notice for notice in notices if isinstance(notice, TaskRetried)]) == 2


async def test_tries_used_up_by_errors_end_as_error(engine: Engine, handlers: Handlers, serve: Serve) -> None:
    async def handler(task: Task) -> None:
        raise Busy("slow down")

    handlers.bind(handler, retries=RetryPolicy(attempts=2, base=0.01))
    async with serve():
        task = await done(engine)
    assert (task.status, task.result, task.execution_attempts) == (Status.Error, "slow down", 2)
    assert task.error_code == "rate_limited"


async def test_an_error_that_would_come_again_is_not_tried_again(
    engine: Engine, handlers: Handlers, serve: Serve
) -> None:
    async def handler(task: Task) -> None:
        raise ValueError("no")

    handlers.bind(handler)
    async with serve():
        task = await done(engine)
    assert (task.status, task.execution_attempts, task.error_code) == (Status.Error, 1, "handler")


async def test_a_time_limit_ends_as_failed_and_says_so(engine: Engine, handlers: Handlers, serve: Serve) -> None:
    async def handler(task: Task) -> None:
        await asyncio.Event().wait()

    handlers.bind(handler, timeout=0.2)
    async with serve():
        task = await done(engine)
    assert (task.status, task.result) == (Status.Failed, "time limit of 0.2 s")


async def test_a_sync_handler_over_its_limit_is_told_and_its_writes_are_refused(
    engine: Engine, handlers: Handlers, serve: Serve
) -> None:
    refused: list[str] = []
    told = threading.Event()

    def handler(task: Task, context: Context) -> None:
        context.stopping.wait(10)
        deadline = time.monotonic() + 10
        while Task.load(task.id).status == Status.Executing and time.monotonic() < deadline:
            context.stopping.wait(0.01)
        try:
            task.internal_status = "too late"
            task.save()
        except Exception as error:  # noqa: BLE001 - whatever it is, the test looks at it
            refused.append(type(error).__name__)
        told.set()

    handlers.bind(handler, timeout=0.2)
    async with serve():
        task = await done(engine)
        assert await asyncio.to_thread(told.wait, 10)
    assert (task.status, refused) == (Status.Failed, ["LeaseLost"])
    assert (await engine.tasks.get(task.id)).internal_status is None


@pytest.mark.parametrize(("returned", "is_late"), [("second", True), ("first", False), (None, False)])
async def test_a_result_that_is_returned_after_a_save_has_ended_the_task_is_passed_over_and_the_log_says_so(
    *, engine: Engine, handlers: Handlers, serve: Serve, notices: list[Notice], returned: str | None, is_late: bool
) -> None:
    async def handler(task: Task) -> str | None:
        await task.aset_status(Status.Completed, "first")
        return returned

    handlers.bind(handler)
    async with serve():
        task = await finished(engine, await create(engine))
    assert (task.status, task.result) == (Status.Completed, "first")
    assert any(isinstance(each, ResultDiscarded) for each in notices) is is_late


async def test_stop_reaches_a_run_within_a_second_and_nothing_overwrites_it(
    engine: Engine, handlers: Handlers, serve: Serve, notices: list[Notice]
) -> None:
    started, cancelled = asyncio.Event(), asyncio.Event()

    async def handler(task: Task) -> str:
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()
        return "never"

    handlers.bind(handler)
    async with serve():
        task = await create(engine)
        async with asyncio.timeout(10):
            await started.wait()
        began = time.monotonic()
        assert (await engine.tasks.stop(task.id)).status is Status.Stopped
        async with asyncio.timeout(10):
            await cancelled.wait()
        assert time.monotonic() - began < 1
    assert (await engine.tasks.get(task.id)).status is Status.Stopped
    assert any(isinstance(notice, RunSuperseded) for notice in notices)


async def test_a_sync_handler_sees_that_its_task_was_stopped(engine: Engine, handlers: Handlers, serve: Serve) -> None:
    started, ended = threading.Event(), threading.Event()

    def handler(task: Task, context: Context) -> str:
        started.set()
        if context.stopping.wait(10):
            ended.set()
        return "never"

    handlers.bind(handler)
    async with serve():
        task = await create(engine)
        assert await asyncio.to_thread(started.wait, 10)
        await engine.tasks.stop(task.id)
        assert await asyncio.to_thread(ended.wait, 5)
    assert (await engine.tasks.get(task.id)).status is Status.Stopped


async def test_a_handler_that_swallows_the_stop_leaves_no_trace(
    engine: Engine, handlers: Handlers, serve: Serve
) -> None:
    started = asyncio.Event()

    async def handler(task: Task) -> str:
        started.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            return "I go on"
        return "never"

    handlers.bind(handler)
    async with serve():
        task = await create(engine)
        async with asyncio.timeout(10):
            await started.wait()
        await engine.tasks.stop(task.id)
    stopped = await engine.tasks.get(task.id)
    assert (stopped.status, stopped.result) == (Status.Stopped, None)


async def test_a_handler_may_change_the_text_for_its_run(engine: Engine, handlers: Handlers, serve: Serve) -> None:
    async def handler(task: Task) -> Task:
        task.input.text = f"Shortly: {task.input.text}"
        task.result = task.input.text
        return task

    handlers.bind(handler)
    async with serve():
        task = await finished(engine, await create(engine))
    assert task.status is Status.Completed, task.result
    assert task.result == f"Shortly: {task.input.text}", "what was asked stays as it was"


async def test_a_run_that_pauses_waits_for_a_person(engine: Engine, handlers: Handlers, serve: Serve) -> None:
    runs = 0

    async def handler(task: Task) -> Task:
        nonlocal runs
        runs += 1
        if runs == 1:
            task.status = Status.Paused
            task.hitl_request = {"wait_node_id": "approve"}
        else:
            task.result = "approved"
        return task

    handlers.bind(handler)
    async with serve():
        task = await create(engine)
        async with asyncio.timeout(10):
            async for event in engine.tasks.events(task.id):
                if event.data.status is Status.Paused:
                    break
        assert (await engine.tasks.get(task.id)).hitl_request == {"wait_node_id": "approve"}
        await engine.tasks.retry(task.id)
        task = await finished(engine, task)
    assert (task.status, task.result, runs) == (Status.Completed, "approved", 2)


async def swallows(task: Task) -> str:
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        return "I had enough time"
    return "never"


async def converts(task: Task) -> None:
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        raise ValueError("cancelled?") from None


async def times_out_itself(task: Task) -> None:
    raise TimeoutError("the handler's own")


@pytest.mark.parametrize("handler", [swallows, converts])
async def test_a_time_limit_holds_whatever_a_handler_makes_of_it(
    engine: Engine, handlers: Handlers, serve: Serve, handler: Any
) -> None:
    handlers.bind(handler, timeout=0.2)
    async with serve():
        task = await done(engine)
    assert (task.status, task.result) == (Status.Failed, "time limit of 0.2 s")


async def test_a_handlers_own_timeout_is_no_time_limit(engine: Engine, handlers: Handlers, serve: Serve) -> None:
    handlers.bind(times_out_itself, timeout=20, retries=1)
    async with serve():
        task = await done(engine)
    assert (task.status, task.result) == (Status.Error, "the handler's own")


async def test_when_a_stop_and_a_time_limit_race_the_stop_stands(
    engine: Engine, handlers: Handlers, serve: Serve
) -> None:
    async def handler(task: Task) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await engine.tasks.stop(task.id)  # it comes while the limit ends the run

    handlers.bind(handler, timeout=0.2)
    async with serve():
        task = await done(engine)
    stopped = await engine.tasks.get(task.id)
    assert (stopped.status, stopped.result) == (Status.Stopped, None)


async def test_a_time_limit_that_is_reached_while_the_worker_ends_the_run_is_no_failure(
    engine: Engine, handlers: Handlers, serve: Serve
) -> None:
    started = asyncio.Event()

    async def handler(task: Task) -> None:
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(1.5)  # beyond its limit

    handlers.bind(handler, timeout=1)
    async with serve(drain_seconds=0) as supervisor:
        task = await create(engine)
        async with asyncio.timeout(10):
            await started.wait()
        supervisor.stop()
    found = await engine.tasks.get(task.id)
    assert (found.status, found.result) == (Status.Pending, None)


async def test_threads_that_do_not_end_take_no_place_from_others(
    engine: Engine, handlers: Handlers, serve: Serve
) -> None:
    let_go = threading.Event()

    def stuck(task: Task) -> None:
        let_go.wait(30)

    def quick(task: Task) -> str:
        return "done"

    handlers.bind(stuck, "stuck", timeout=0.1)
    handlers.bind(quick, "quick", timeout=5)
    try:
        async with serve(concurrency=1):
            for _ in range(3):
                assert (await done(engine, "stuck")).result == "time limit of 0.1 s"
            assert (await done(engine, "quick")).result == "done"
    finally:
        let_go.set()


async def test_a_waiting_retry_is_pending_as_it_was_and_shows_when_it_is_due(
    engine: Engine, handlers: Handlers, serve: Serve
) -> None:
    async def handler(task: Task) -> None:
        task.internal_status = "reading row 7"
        await task.asave()
        error = Busy("slow down")
        error.response = httpx.Response(429, headers={"Retry-After": formatdate(time.time() + 90, usegmt=True)})
        raise error

    handlers.bind(handler)
    async with serve():
        task = await create(engine)

        async def waits() -> bool:
            return (await engine.tasks.get(task.id)).errors == 1

        await wait_until(waits, "the first try has failed")
    task = await engine.tasks.get(task.id)
    assert (task.status, task.internal_status, task.result) == (Status.Pending, "reading row 7", None)
    assert task.available_at is not None
    assert 80 < (task.available_at - datetime.now(UTC)).total_seconds() <= 91
    assert dict(task_fields(task))["next try at"] is not None


@pytest.mark.parametrize("kind", ["wrapped", "generator", "async generator"])
async def test_a_handler_behind_a_plain_function_is_awaited_and_followed(
    engine: Engine, handlers: Handlers, serve: Serve, kind: str
) -> None:
    async def awaited(task: Task) -> dict[str, int]:
        return {"total": 3}

    def wrapped(task: Task) -> Any:
        return awaited(task)

    def pieces(task: Task) -> Iterator[str]:
        yield "one "
        yield "two"

    async def async_pieces(task: Task) -> AsyncIterator[str]:
        yield "one "
        yield "two"

    handlers.bind({"wrapped": wrapped, "generator": pieces, "async generator": async_pieces}[kind])
    async with serve():
        task = await done(engine, events_streaming=True)
    assert (task.status, task.result) == (Status.Completed, '{"total":3}' if kind == "wrapped" else "one two")
    events = [event async for event in engine.tasks.events(task.id, follow=False)]
    streamed = "".join(str(event.data) for event in events if event.type == "chunk")
    assert streamed == ("" if kind == "wrapped" else "one two")


@pytest.mark.parametrize(("owner", "is_taken"), [("t", True), ("another", False)])
def test_a_lease_lost_within_a_group_of_exceptions_is_lost(handlers: Handlers, owner: str, *, is_taken: bool) -> None:
    handlers.bind(lambda: None)
    now = datetime.now(UTC)
    given = AgentExecutionInput(text="x")
    record = TaskRecord(id="t", agent_id="agent", organization_id="o", input=given, created_at=now)
    run = Run(task_id="t", agent_id="agent", work=cast("Any", None), attempt=1)
    error = ExceptionGroup("", [ValueError("beside it"), ExceptionGroup("", [LeaseLost(owner, 1)])])
    decision = verdict.of_error(error, run, Task.of(record), handlers.handlers[0], draining=False)
    assert isinstance(decision, verdict.Taken) is is_taken


async def test_a_handler_may_yield_events_of_its_own(engine: Engine, handlers: Handlers, serve: Serve) -> None:
    def event(task: Task, kind: TaskUpdateEventType, data: Any) -> TaskUpdateEvent:
        return TaskUpdateEvent(type=kind, task_id=task.id, time=datetime.now(UTC), data=data)

    async def own(task: Task) -> Any:
        yield event(task, TaskUpdateEventType.Chunk, "one ")
        yield event(task, TaskUpdateEventType.ToolCallRequest, {"request_id": "r", "operation_id": "o"})
        yield event(task, TaskUpdateEventType.Chunk, "two")
        if task.input.text == "set":
            task.result = "set by hand"
            yield event(task, TaskUpdateEventType.TaskFinished, task)
        elif task.input.text == "told":
            yield event(task, TaskUpdateEventType.TaskFinished, {"result": "told"})

    handlers.bind(own)
    async with serve():
        for text, result in (("joined", "one two"), ("set", "set by hand"), ("told", "told")):
            task = await done(engine, text=text, events_streaming=True)
            assert (task.status, task.result) == (Status.Completed, result)
            events = [each async for each in engine.tasks.events(task.id, follow=False)]
            assert "".join(each.data for each in events if each.type == "chunk") == "one two"
            assert [str(each.type) for each in events].count("tool_call_request") == 1
