"""Every fault that the stand-in can make, with a real supervisor: no task lost, none run twice to its end."""

import asyncio

import pytest

from tests.remote.stories import SECONDS, OpenRemote, ServeRemote, all_end, none_twice
from tests.supervisor.stories import Handlers
from tests.support import wait_until
from worker import Task
from worker.remote.timings import RemoteTimings
from worker.supervisor.timings import WorkerTimings
from worker.testing import StandIn
from worker.words.events import NewEvent, TaskUpdateEvent
from worker.words.notices import Notice, RunSuperseded
from worker.words.statuses import TaskUpdateEventType as Type


@pytest.fixture
def worker_timings() -> WorkerTimings:
    return WorkerTimings(lost=0.2)


IMPATIENT = pytest.mark.parametrize("remote_timings", [RemoteTimings(answer=1.0, silence=1.0)], ids=["impatient"])
"""Silence is noticed after a second; the stand-in comments five times as often."""


async def slow(task: Task) -> str:
    await asyncio.sleep(0.02)  # so that faults meet it at work
    return "done"


async def test_streams_cut_again_and_again_lose_nothing_and_repeat_nothing(
    platform: StandIn, handlers: Handlers, serve: ServeRemote
) -> None:
    handlers.bind(slow)
    async with serve(concurrency=4):
        platform.drop_streams_after(3, times=6)
        tasks = [platform.create() for _ in range(30)]
        await all_end(platform, tasks)
        assert not platform._drops
    none_twice(platform, tasks)


async def test_a_platform_that_answers_503_for_a_while_loses_nothing(
    platform: StandIn, handlers: Handlers, serve: ServeRemote
) -> None:
    started = asyncio.Event()
    go_on = asyncio.Event()

    async def work(task: Task) -> str:
        started.set()
        await go_on.wait()
        return "done"

    handlers.bind(work)
    async with serve(concurrency=2):
        tasks = [platform.create() for _ in range(5)]
        await started.wait()
        platform.go_away(1.5)
        go_on.set()  # results are to be written while nobody takes them
        await all_end(platform, tasks)
    none_twice(platform, tasks)


@pytest.mark.parametrize("remote_timings", [RemoteTimings(retry=0)], ids=["one try"])
async def test_a_platform_away_for_longer_than_every_retry_loses_nothing(
    platform: StandIn, handlers: Handlers, serve: ServeRemote
) -> None:
    go_on = asyncio.Event()
    running: list[str] = []

    async def work(task: Task) -> str:
        running.append(task.id)
        await go_on.wait()
        return "done"

    handlers.bind(work)
    async with serve(concurrency=3):
        tasks = [platform.create() for _ in range(3)]
        await wait_until(lambda: len(running) == 3, "all three run")
        platform.go_away(1.0)
        go_on.set()
        await all_end(platform, tasks)
    none_twice(platform, tasks)


async def test_an_assignment_that_comes_twice_at_once_and_again_later_runs_once(
    platform: StandIn, handlers: Handlers, serve: ServeRemote
) -> None:
    runs: list[str] = []

    async def work(task: Task) -> str:
        runs.append(task.id)
        return "done"

    platform.duplicate_assignments(3)
    handlers.bind(work)
    async with serve(concurrency=2):
        tasks = [platform.create() for _ in range(10)]
        await all_end(platform, tasks)
        for task in tasks:
            platform._send(platform.stations[0], "agent-execution", platform.tasks[task])  # and after its end
        await all_end(platform, [platform.create()])
    assert sorted(runs[:10]) == sorted(tasks)
    assert len(runs) == 11
    none_twice(platform, tasks)


async def test_an_assignment_that_another_worker_runs_already_is_left_to_it(
    platform: StandIn, handlers: Handlers, serve: ServeRemote
) -> None:
    runs: list[str] = []
    go_on = asyncio.Event()

    async def work(task: Task) -> str:
        runs.append(task.id)
        await go_on.wait()
        return "done"

    handlers.bind(work)
    async with serve(), serve():
        task = platform.create()
        await wait_until(lambda: runs == [task], "one of them runs it")
        for station in platform.stations:
            platform._send(station, "agent-execution", {**platform.tasks[task], "status": "pending"})
        other = platform.create()
        await wait_until(lambda: other in runs, "what was assigned later runs")
        go_on.set()
        await all_end(platform, [task, other])
    assert sorted(runs) == sorted([task, other])
    none_twice(platform, [task, other])


@IMPATIENT
async def test_a_task_that_is_stopped_while_it_runs_is_ended_and_stays_stopped(
    platform: StandIn, handlers: Handlers, serve: ServeRemote, notices: list[Notice]
) -> None:
    ended: list[str] = []
    started = asyncio.Event()

    async def work(task: Task) -> str:
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(task.id)
        return "never"

    handlers.bind(work)
    async with serve():
        task = platform.create()
        await started.wait()
        platform.stop(task)
        await wait_until(lambda: ended == [task], "the run is ended")
    assert (platform.status(task), platform.tasks[task]["result"], platform.ends[task]) == ("stopped", None, 0)
    assert any(isinstance(each, RunSuperseded) for each in notices)


async def test_a_result_that_comes_after_the_stop_is_not_written(
    platform: StandIn, handlers: Handlers, serve: ServeRemote
) -> None:
    async def work(task: Task) -> str:
        platform.stop(task.id)
        return "too late"

    handlers.bind(work)
    async with serve():
        task = platform.create()
        await wait_until(lambda: platform.starts[task], "it was started")
        await all_end(platform, [platform.create()], "stopped")
    assert (platform.status(task), platform.ends[task]) == ("stopped", 0)


async def test_a_task_that_is_stopped_before_it_starts_is_not_started(
    platform: StandIn, handlers: Handlers, serve: ServeRemote
) -> None:
    runs: list[str] = []
    go_on = asyncio.Event()

    async def work(task: Task) -> str:
        runs.append(task.id)
        await go_on.wait()
        return "done"

    handlers.bind(work)
    async with serve(concurrency=1):
        first = platform.create()
        await wait_until(lambda: runs == [first], "the first runs")
        platform.stations[0].is_busy = False  # as where the report comes late
        second = platform.create()
        platform.stop(second)
        go_on.set()
        third = platform.create()
        await all_end(platform, [first, third])
    assert runs == [first, third]


@IMPATIENT
async def test_a_half_open_connection_is_noticed_and_nothing_is_lost(
    platform: StandIn, handlers: Handlers, serve: ServeRemote
) -> None:
    go_on = asyncio.Event()
    running: list[str] = []

    async def work(task: Task) -> str:
        running.append(task.id)
        await go_on.wait()
        return "done"

    handlers.bind(work)
    async with serve(concurrency=3):
        tasks = [platform.create() for _ in range(3)]
        await wait_until(lambda: len(running) == 3, "all three run")
        platform.hang()
        go_on.set()  # results are written into the void
        await wait_until(
            lambda: len(platform._server.unanswered) >= 6, "six requests came and were not answered", SECONDS
        )
        platform.heal()
        await all_end(platform, tasks)
        await all_end(platform, [platform.create()])  # and the stream of assignments is a new one
    none_twice(platform, tasks)


async def test_a_followers_stream_that_is_cut_goes_on_and_tells_the_end(
    platform: StandIn, open_remote: OpenRemote
) -> None:
    remote = await open_remote(platform.url)
    task = platform.create()
    heard: list[TaskUpdateEvent] = []

    async def follow() -> None:
        async for event in remote.tasks.events(task):
            heard.append(event)  # noqa: PERF401 - it is looked at while it grows

    following = asyncio.create_task(follow())
    await wait_until(lambda: platform._watchers.get(task), "it is followed")
    await remote.tasks.push(task, [NewEvent(type=Type.Chunk, data="first")])
    await wait_until(lambda: [each.data for each in heard] == ["first"], "the first is heard")
    for stream in platform._watchers[task]:
        stream.send({"type": "from_the_future", "task_id": task, "time": "2026-01-01T00:00:00Z", "data": 1})
        stream.cut()
    platform._set(task, status="completed", result="R")  # while nobody listens
    await asyncio.wait_for(following, SECONDS)
    assert [str(each.type) for each in heard] == ["chunk", "task_finished"]
    assert heard[1].data.result == "R"
