import asyncio
import threading
from typing import Any

import pytest

from tests.remote.stories import KEY, OpenRemote, ServeRemote, all_end, none_twice
from tests.supervisor.stories import Handlers
from tests.support import wait_until
from tests.workers import working
from worker import Task
from worker.contracts import Capabilities
from worker.remote.http import heartbeats
from worker.remote.http.refusals import KeyRefused
from worker.remote.remote import Remote
from worker.remote.timings import RemoteTimings
from worker.settings import Settings
from worker.supervisor import Supervisor
from worker.supervisor.timings import WorkerTimings
from worker.testing import StandIn
from worker.testing.http import Answer, Request
from worker.words.errors import ConfigurationError
from worker.words.events import TaskUpdateEvent
from worker.words.notices import Notice, PlatformTrouble, TaskRetried


async def shout(task: Task) -> str:
    return (task.input.text or "").upper()


async def test_a_task_is_done_and_its_result_lands_with_what_the_handler_set(
    platform: StandIn, handlers: Handlers, serve: ServeRemote
) -> None:
    async def work(task: Task) -> str:
        task.internal_status = "half way"
        await task.asave()
        task.internal_status = "done well"
        task.used_tools = ["search"]
        return "the result"

    handlers.bind(work)
    async with serve():
        task = platform.create()
        await all_end(platform, [task])
    saved = platform.tasks[task]
    assert (saved["result"], saved["internal_status"], saved["used_tools"]) == ("the result", "done well", ["search"])
    assert saved["duration"] >= 0
    none_twice(platform, [task])
    assert [each["execution_id"] for each in platform.metrics] == [task]


class SlowReports(StandIn):
    """Answers the report of a run only when it is allowed to."""

    def __init__(self) -> None:
        super().__init__(key=KEY, comment_seconds=0.2)
        self.asked, self.allowed = asyncio.Event(), asyncio.Event()

    async def _handle(self, request: Request) -> Answer:
        if "agents-metrics" in request.segments:
            self.asked.set()
            await self.allowed.wait()
        return await super()._handle(request)


async def test_a_worker_that_leaves_waits_for_its_last_reports(
    handlers: Handlers, open_remote: OpenRemote, worker_timings: WorkerTimings
) -> None:
    handlers.bind(shout)
    async with SlowReports() as platform:
        async with working(await open_remote(platform.url), handlers, worker_timings):
            task = platform.create()
            await platform.asked.wait()
            asyncio.get_running_loop().call_later(0.3, platform.allowed.set)
        assert [each["execution_id"] for each in platform.metrics] == [task]


async def test_a_bare_platform_declares_what_it_cannot_do(remote: Remote) -> None:
    assert await remote.survey() == Capabilities(
        fencing=False, resume=False, deliveries="best effort", isolation=False, keeps_files=False, knowledge=False
    )
    assert "bare protocol" in remote.description


async def test_many_tasks_are_done_each_once_by_two_workers(
    platform: StandIn, handlers: Handlers, serve: ServeRemote
) -> None:
    handlers.bind(shout)
    async with serve(), serve():
        tasks = [platform.create(text=f"task {number}") for number in range(40)]
        await all_end(platform, tasks)
    assert platform.tasks[tasks[7]]["result"] == "TASK 7"
    none_twice(platform, tasks)


@pytest.mark.parametrize("remote_timings", [RemoteTimings(heartbeat=0.05)], ids=["often"])
async def test_heartbeats_go_on_while_a_handler_blocks_the_loop(
    platform: StandIn, handlers: Handlers, serve: ServeRemote, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []
    sent: list[str] = []
    enough = threading.Event()
    real = heartbeats._send

    def send(client: Any, beat: heartbeats.Beat) -> None:
        sent.append(beat.url)
        if len(sent) >= 5:
            enough.set()
        real(client, heartbeats.Beat("http://127.0.0.1:9/", beat.body))  # the stand-in's loop is the blocked one

    async def block(task: Task) -> str:
        monkeypatch.setattr(heartbeats, "_send", send)
        seen.append(enough.wait(10))
        return "x"

    handlers.bind(block)
    async with serve():
        await wait_until(lambda: any(event == "worker-heartbeat" for _, event, _ in platform.reports), "a heartbeat")
        await all_end(platform, [platform.create()])
    assert seen == [True]


async def test_at_its_limit_a_worker_says_so_and_when_it_is_free_again_too(
    platform: StandIn, handlers: Handlers, serve: ServeRemote
) -> None:
    go_on = asyncio.Event()

    async def wait(task: Task) -> str:
        await go_on.wait()
        return "x"

    handlers.bind(wait)
    async with serve(concurrency=2):
        tasks = [platform.create(), platform.create()]
        await wait_until(lambda: [each.is_busy for each in platform.stations] == [True], "busy at two tasks")
        go_on.set()
        await all_end(platform, tasks)
        await wait_until(lambda: [each.is_busy for each in platform.stations] == [False], "free again")
        await all_end(platform, [platform.create()])


async def test_a_report_of_being_free_that_was_lost_is_made_again(
    platform: StandIn, handlers: Handlers, serve: ServeRemote
) -> None:
    go_on = asyncio.Event()

    async def wait(task: Task) -> str:
        await go_on.wait()
        return "x"

    handlers.bind(wait)
    async with serve(concurrency=1):
        task = platform.create()
        await wait_until(lambda: [each.is_busy for each in platform.stations] == [True], "busy at one task")
        platform.lose_reports(1)
        go_on.set()
        await all_end(platform, [task, platform.create()])


async def test_a_draining_worker_says_busy_first_and_goodbye_last(
    platform: StandIn, handlers: Handlers, serve: ServeRemote
) -> None:
    handlers.bind(shout)
    async with serve() as supervisor:
        await all_end(platform, [platform.create()])
        before = len(platform.reports)
        supervisor.stop()
    told = [(event, data) for _, event, data in platform.reports[before:] if event != "worker-heartbeat"]
    assert told == [("worker-capacity-update", {"is_busy": True}), ("worker-finished", {})]


async def test_what_a_drain_cuts_short_is_pending_again_and_done_by_another(
    platform: StandIn, handlers: Handlers, serve: ServeRemote
) -> None:
    runs: list[str] = []

    async def work(task: Task) -> str:
        runs.append(task.id)
        if len(runs) == 1:
            await asyncio.Event().wait()
        return "done"

    handlers.bind(work)
    async with serve(drain_seconds=0):
        task = platform.create()
        await wait_until(lambda: runs == [task], "it runs")
    assert platform.status(task) == "pending"
    async with serve():
        await all_end(platform, [task])
    none_twice(platform, [task])


async def test_a_platform_that_takes_no_task_back_is_named_and_the_task_stays_as_it_is(
    platform: StandIn, handlers: Handlers, serve: ServeRemote, notices: list[Notice]
) -> None:
    started = asyncio.Event()

    async def work(task: Task) -> str:
        started.set()
        await asyncio.Event().wait()
        return "never"

    platform.takes_back = False
    handlers.bind(work)
    async with serve(drain_seconds=0):
        task = platform.create()
        await started.wait()
    assert platform.status(task) == "executing"
    said = [str(each.error) for each in notices if isinstance(each, PlatformTrouble) and each.doing == "handing back"]
    assert len(said) == 1
    assert f"cannot take back task {task}, which stays executing" in said[0]


async def test_a_retryable_error_is_tried_again_in_this_process(
    platform: StandIn, handlers: Handlers, serve: ServeRemote, notices: list[Notice]
) -> None:
    tries: list[int] = []

    async def work(task: Task) -> str:
        tries.append(task.errors)
        if len(tries) < 3:
            raise ConnectionError("the model is away")
        return "at last"

    platform.takes_back = False
    from worker.words.retry import RetryPolicy

    handlers.bind(work, retries=RetryPolicy(attempts=3, base=0.05))
    async with serve():
        task = platform.create()
        await all_end(platform, [task])
    assert tries == [0, 1, 2]
    assert len([each for each in notices if isinstance(each, TaskRetried)]) == 2
    none_twice(platform, [task])


async def test_a_task_that_waits_for_its_next_try_is_not_forgotten_when_the_worker_leaves(
    platform: StandIn, handlers: Handlers, serve: ServeRemote, notices: list[Notice]
) -> None:
    async def work(task: Task) -> str:
        error = ConnectionError("the model is away")
        error.retry_after = 60  # type: ignore[attr-defined] - as clients of models say it
        raise error

    platform.takes_back = False
    handlers.bind(work)
    async with serve():
        task = platform.create()
        await wait_until(lambda: any(isinstance(each, TaskRetried) for each in notices), "the first try failed")
    assert (platform.status(task), platform.tasks[task]["result"]) == ("error", "the model is away")


async def test_handlers_of_other_events_hear_of_the_tasks_that_the_worker_runs(
    platform: StandIn, handlers: Handlers, serve: ServeRemote
) -> None:
    heard: list[tuple[str, str]] = []
    go_on = asyncio.Event()

    async def work(task: Task) -> str:
        await wait_until(lambda: platform._watchers.get(task.id), "its events are followed")
        task.internal_status = "half"
        await task.asave()
        await go_on.wait()
        return "done"

    async def listen(task: Task, event: TaskUpdateEvent) -> None:
        heard.append((str(event.type), str(event.data.status)))
        go_on.set()

    handlers.bind(work)
    handlers.bind(listen, event="task_updated")
    handlers.bind(listen, event="task_finished", agent=None)
    async with serve():
        await all_end(platform, [platform.create()])
        await wait_until(lambda: ("task_finished", "completed") in heard, "the end is heard of")
    assert ("task_updated", "executing") in heard


async def test_a_worker_for_any_agent_serves_those_that_the_platform_has(
    platform: StandIn, handlers: Handlers, serve: ServeRemote
) -> None:
    platform.agents = ["one", "two"]
    handlers.bind(shout, agent=None)
    async with serve():
        await all_end(platform, [platform.create("one"), platform.create("two")])


async def test_an_environment_conflict_ends_the_start_with_a_clear_error(
    platform: StandIn, handlers: Handlers, serve: ServeRemote
) -> None:
    platform.refuse_environment("another worker runs in the cloud")
    handlers.bind(shout)
    with pytest.raises(ConfigurationError, match="rejected this worker: another worker runs in the cloud"):
        async with serve():
            pass


async def test_a_wrong_key_ends_the_start_with_an_error_that_names_the_setting_and_not_the_key(
    platform: StandIn, handlers: Handlers, open_remote: OpenRemote
) -> None:
    handlers.bind(shout)
    remote = await open_remote(platform.url, "wrong-key")
    with pytest.raises(KeyRefused, match="XPANDER_API_KEY") as caught:
        await Supervisor(remote, handlers, Settings()).run()
    assert "wrong-key" not in str(caught.value)
    assert KEY not in repr(remote._transport)


async def test_a_task_that_cannot_be_read_is_no_end_of_the_worker(
    platform: StandIn, handlers: Handlers, serve: ServeRemote
) -> None:
    handlers.bind(shout)
    async with serve():
        broken = platform.create(input={"text": "", "files": []})
        await all_end(platform, [platform.create()])
        await all_end(platform, [broken], "failed")
    assert "cannot be parsed" in platform.tasks[broken]["result"]


@pytest.mark.parametrize("remote_timings", [RemoteTimings(register=0.1)], ids=["starts soon"])
async def test_a_worker_whose_platform_is_away_at_its_start_works_once_it_is_there(
    platform: StandIn, handlers: Handlers, serve: ServeRemote
) -> None:
    platform.go_away(1.0)
    handlers.bind(shout)
    async with serve():
        await all_end(platform, [platform.create()])
