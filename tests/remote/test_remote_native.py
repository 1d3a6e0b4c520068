"""Remote in front of our own server: its worker does what a worker on the database does."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any
from unittest.mock import AsyncMock, Mock

import httpx
import pytest

from tests.remote.stories import KEY, SECONDS, OpenRemote
from tests.server.serving import Serving
from tests.supervisor.stories import Handlers, create, done, finished
from tests.support import wait_until
from tests.workers import working
from worker import Task
from worker.contracts import Capabilities
from worker.contracts.lease import REMOTE_SECONDS, OwnLease
from worker.remote.http import heartbeats
from worker.remote.http.transport import Failed, Transport, Unanswered
from worker.remote.native.verb_client import VerbClient
from worker.remote.native.work import NativeWork
from worker.remote.remote import Remote
from worker.remote.timings import RemoteTimings
from worker.server.verbs import runner as verbs
from worker.supervisor import Supervisor
from worker.words.errors import LeaseLost, TaskNotFound, Unavailable, ValidationError
from worker.words.events import NewEvent, TaskUpdateEvent
from worker.words.ids import new_id
from worker.words.outcomes import Outcome
from worker.words.statuses import AgentExecutionStatus as Status
from worker.words.statuses import TaskUpdateEventType as Type
from worker.words.task_lists import TaskQuery
from worker.words.work import DeliveryDemand, Demand, Subscription, WorkerCard

Serve = Callable[..., AbstractAsyncContextManager[Supervisor]]


@pytest.fixture
async def serving(database_url: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Serving]:
    serving = Serving(database_url, key=KEY).start()
    await serving.started()
    yield serving
    serving.stop()


@pytest.fixture
async def remote(serving: Serving, open_remote: OpenRemote) -> Remote:
    return await open_remote(serving.base)


@pytest.fixture
def serve(serving: Serving, handlers: Handlers, open_remote: OpenRemote) -> Serve:
    @asynccontextmanager
    async def start(**settings: Any) -> AsyncGenerator[Supervisor]:
        async with working(await open_remote(serving.base), handlers, **settings) as supervisor:
            yield supervisor

    return start


async def test_our_own_server_is_known_by_its_extra_route(remote: Remote) -> None:
    assert await remote.survey() == Capabilities()


async def test_a_server_of_a_version_before_is_asked_in_vain_what_was_told(
    remote: Remote, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(verbs.VERBS, "told")
    assert await remote.work.earlier_events("task", 2) == []


async def test_a_task_runs_and_everything_about_it_arrives(remote: Remote, handlers: Handlers, serve: Serve) -> None:
    async def work(task: Task) -> str:
        task.internal_status = "half"
        await task.asave()
        return "done"

    handlers.bind(work)
    async with serve():
        task = await done(remote)  # type: ignore[arg-type] - any platform will do
    assert (task.status, task.result, task.internal_status) == (Status.Completed, "done", "half")
    events = [event async for event in remote.tasks.events(task.id)]
    assert [event.number for event in events] == list(range(1, len(events) + 1))
    assert [str(event.type) for event in events][-1] == "task_finished"


async def test_a_large_result_arrives_and_one_that_is_too_large_ends_its_task_with_the_reason(
    remote: Remote, handlers: Handlers, serve: Serve
) -> None:
    async def work(task: Task) -> str:
        if task.input.text == "saved":
            task.result = "z" * 11_000_000
            await task.asave()
            return "done"
        return "y" * int(task.input.text or "")

    handlers.bind(work)
    async with serve():
        large = await done(remote, text="12000000")  # type: ignore[arg-type] - any platform will do
        saved = await done(remote, text="saved")  # type: ignore[arg-type] - the same
        too_large = await done(remote, text="52428801")  # type: ignore[arg-type] - the same
    assert (large.status, len(large.result or "")) == (Status.Completed, 12_000_000)
    assert (saved.status, saved.result) == (Status.Completed, "done")
    assert (too_large.status, too_large.execution_attempts) == (Status.Error, 1)
    assert "result has 52428801 bytes; the maximum is 52428800" in (too_large.result or "")


async def test_many_tasks_are_done_by_two_workers_each_under_its_first_attempt(
    remote: Remote, handlers: Handlers, serve: Serve
) -> None:
    async def work(task: Task) -> str:
        return "done"

    handlers.bind(work)
    async with serve(), serve():
        tasks = await asyncio.gather(*(create(remote) for _ in range(100)))  # type: ignore[arg-type] - the same

        async def all_done() -> bool:
            return len(await remote.tasks.find(TaskQuery(status=Status.Completed))) == len(tasks)

        await wait_until(all_done, "all are completed", SECONDS)
    stand = await asyncio.gather(*(remote.tasks.get(task.id) for task in tasks))
    assert {each.execution_attempts for each in stand} == {1}


async def test_a_stopped_run_is_ended_at_once_and_nothing_overwrites_stopped(
    remote: Remote, handlers: Handlers, serve: Serve
) -> None:
    ended = asyncio.Event()
    started = asyncio.Event()

    async def work(task: Task) -> str:
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()
        return "never"

    handlers.bind(work)
    async with serve():
        task = await create(remote)  # type: ignore[arg-type] - the same
        await asyncio.wait_for(started.wait(), SECONDS)
        await remote.tasks.stop(task.id)
        await asyncio.wait_for(ended.wait(), 2)  # supervisors ask every 5 s: it was told
    assert (await remote.tasks.get(task.id)).status is Status.Stopped


async def test_deliveries_come_over_http(remote: Remote, handlers: Handlers, serve: Serve) -> None:
    heard: list[tuple[str, str]] = []

    async def work(task: Task) -> str:
        return "done"

    async def listen(task: Task, event: TaskUpdateEvent) -> None:
        heard.append((task.id, str(event.data.status)))

    handlers.bind(work)
    handlers.bind(listen, event="task_finished")
    async with serve():
        task = await done(remote)  # type: ignore[arg-type] - the same
        await wait_until(lambda: heard == [(task.id, "completed")], "the end is heard of once")


@pytest.mark.parametrize("remote_timings", [RemoteTimings(heartbeat=0.05)], ids=["often"])
async def test_a_worker_whose_heartbeats_no_longer_arrive_ends_its_runs_when_others_may_take_them(
    remote: Remote, handlers: Handlers, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    seconds: list[float] = []
    renewed = OwnLease.renewed

    def told(lease: OwnLease, asked: float, held_for: float) -> None:
        seconds.append(held_for)
        renewed(lease, asked, held_for / 6)

    monkeypatch.setattr(OwnLease, "renewed", told)
    begun, ended = asyncio.Event(), asyncio.Event()

    async def work(task: Task) -> str:
        if begun.is_set():
            return "done"
        begun.set()
        try:
            await asyncio.sleep(60)
        finally:
            ended.set()
        return "never"

    handlers.bind(work)
    async with serve(lease_seconds=30):
        task = await create(remote)  # type: ignore[arg-type] - the same
        await asyncio.wait_for(begun.wait(), SECONDS)
        with monkeypatch.context() as lost:
            lost.setattr(heartbeats, "_send", Mock())
            await asyncio.wait_for(ended.wait(), SECONDS)
        task = await finished(remote, task)  # type: ignore[arg-type] - the same
    assert (task.result, task.errors, task.crashes) == ("done", 0, 0)
    assert task.execution_attempts >= 2, "a slow machine may lose the short lease more than once"
    assert set(seconds) == {REMOTE_SECONDS}, "the server takes it for dead after that long, whatever it asks for"


async def test_what_a_drain_cuts_short_is_pending_again_uncharged(
    remote: Remote, handlers: Handlers, serve: Serve
) -> None:
    started = asyncio.Event()

    async def work(task: Task) -> str:
        started.set()
        await asyncio.Event().wait()
        return "never"

    handlers.bind(work)
    async with serve(drain_seconds=0):
        task = await create(remote)  # type: ignore[arg-type] - the same
        await asyncio.wait_for(started.wait(), SECONDS)
    task = await remote.tasks.get(task.id)
    assert (task.status, task.errors, task.crashes) == (Status.Pending, 0, 0)


async def test_tasks_whose_assignment_was_lost_on_its_way_are_queued_again_and_those_in_hand_stay(
    remote: Remote, monkeypatch: pytest.MonkeyPatch
) -> None:
    card = WorkerCard(id=new_id(), name="w", agents=("agent",))
    await remote.work.register(card)
    kept = await create(remote)  # type: ignore[arg-type] - the same
    wanted = Demand(1, {"agent": 1})
    (first,) = await remote.work.assignments(card.id, lambda: wanted, 5)
    assert first.task.id == kept.id
    lost = await create(remote)  # type: ignore[arg-type] - the same

    lose_one_answer(monkeypatch)
    with pytest.raises(Unavailable):
        await remote.work.assignments(card.id, lambda: wanted, 0)
    assert (await remote.tasks.get(lost.id)).status is Status.Executing  # and nobody runs it

    (again,) = await remote.work.assignments(card.id, lambda: wanted, 5)
    assert (again.task.id, again.attempt) == (lost.id, 2)
    assert await remote.work.lost({kept.id: first.attempt, lost.id: again.attempt}) == {}


def lose_one_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the answer to the next request of verbs get lost on its way."""
    real = VerbClient._request

    async def ask_and_lose(self: VerbClient, *arguments: Any) -> list[Any]:
        await real(self, *arguments)
        monkeypatch.setattr(VerbClient, "_request", real)
        raise Unavailable("the connection broke while the answer was on its way")

    monkeypatch.setattr(VerbClient, "_request", ask_and_lose)


async def test_deliveries_whose_answer_was_lost_come_again_and_so_do_those_that_could_not_be_settled(
    remote: Remote, monkeypatch: pytest.MonkeyPatch
) -> None:
    card = WorkerCard(id=new_id(), name="w", agents=("a",), subscriptions=(Subscription("h", Type.TaskFinished),))
    await remote.work.register(card)
    task = await create(remote)  # type: ignore[arg-type] - the same
    await remote.tasks.stop(task.id)
    lose_one_answer(monkeypatch)
    with pytest.raises(Unavailable):
        await remote.work.deliveries(card.id, lambda: DeliveryDemand(5), 5)
    (delivery,) = await remote.work.deliveries(card.id, lambda: DeliveryDemand(5), 5)
    assert (delivery.event.task_id, delivery.tries, delivery.claim) == (task.id, 0, 2)
    assert await remote.work.deliveries(card.id, lambda: DeliveryDemand(5), 0) == []  # it is held, and known to be
    monkeypatch.setattr(VerbClient, "_request", AsyncMock(side_effect=Unavailable("gone before it was sent")))
    with pytest.raises(Unavailable):
        await remote.work.settle(delivery)
    monkeypatch.undo()
    (again,) = await remote.work.deliveries(card.id, lambda: DeliveryDemand(5), 5)
    assert (again.event, again.claim) == (delivery.event, 3)
    assert await remote.work.settle(again) is False
    assert await remote.work.deliveries(card.id, lambda: DeliveryDemand(5), 0) == []


async def test_writes_whose_answers_are_lost_and_that_are_sent_again_to_another_process_are_carried_out_once(
    database_url: str, remote: Remote, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = Serving(database_url, key=KEY).start()
    await other.started()
    real = Transport._try
    lost = 0

    async def to_another(self: Transport, request: httpx.Request, *arguments: Any, **options: Any) -> Any:
        nonlocal lost
        response = await real(self, request, *arguments, **options)
        if b'"sequence"' in request.content and request.url.port != other.port:
            lost += 1
            request.url = request.url.copy_with(port=other.port)
            raise Failed(Unanswered("cut"), 0, acted=True)
        return response

    monkeypatch.setattr(Transport, "_try", to_another)
    card = WorkerCard(id=new_id(), name="w", agents=("agent",))
    await remote.work.register(card)
    tasks = [await create(remote) for _ in range(10)]  # type: ignore[arg-type] - the same
    held = await remote.work.assignments(card.id, lambda: Demand(10, {"agent": 10}), 5)

    async def live(task_id: str, attempt: int) -> None:
        for text in "abc":
            await remote.work.emit(task_id, attempt, [NewEvent(type=Type.Chunk, data=text)])
            saved = await remote.tasks.update(task_id, {"internal_status": text}, attempt=attempt)
            assert saved.internal_status == text
        await remote.work.finish(task_id, attempt, Outcome(Status.Completed, {"result": "R"}))

    try:
        await asyncio.gather(*(live(each.task.id, each.attempt) for each in held))
        for task in tasks:
            events = [event async for event in remote.tasks.events(task.id, follow=False)]
            assert [event.data for event in events[2:-1:2]] == ["a", "b", "c"]
            assert [event.data.internal_status for event in events[3:-1:2]] == ["a", "b", "c"]
            assert [event.number for event in events] == list(range(1, 10))
            assert (await remote.tasks.get(task.id)).status is Status.Completed
    finally:
        await asyncio.to_thread(other.stop)
    assert lost >= 4


async def test_a_create_whose_answer_was_lost_makes_one_task(remote: Remote, monkeypatch: pytest.MonkeyPatch) -> None:
    real = Transport._try
    cut = 0

    async def answer_lost(self: Transport, request: Any, *arguments: Any, **options: Any) -> Any:
        nonlocal cut
        response = await real(self, request, *arguments, **options)
        if request.url.path.endswith("/agent") and cut < 2:
            cut += 1
            raise Failed(Unanswered("cut"), 0, acted=True)
        return response

    monkeypatch.setattr(Transport, "_try", answer_lost)
    task = await create(remote)  # type: ignore[arg-type] - the same
    assert cut == 2
    assert [each.id for each in await remote.tasks.find(TaskQuery())] == [task.id]


async def test_errors_arrive_as_what_they_are(remote: Remote) -> None:
    task = await create(remote)  # type: ignore[arg-type] - the same
    with pytest.raises(TaskNotFound):
        await remote.tasks.get("unknown")
    with pytest.raises(ValidationError) as refused:
        await remote.tasks.update(task.id, {"title": ["no"]})
    assert refused.value.field == "title"
    with pytest.raises(LeaseLost):
        await remote.tasks.update(task.id, {"result": "x"}, attempt=7)
    with pytest.raises(LeaseLost) as stale:
        await remote.work.emit(task.id, 7, [NewEvent(type=Type.Chunk, data="x")])
    assert (stale.value.task_id, stale.value.attempt) == (task.id, 7)


async def test_writes_that_meet_travel_together(remote: Remote, monkeypatch: pytest.MonkeyPatch) -> None:
    card = WorkerCard(id=new_id(), name="w", agents=("agent",))
    await remote.work.register(card)
    await asyncio.gather(*(create(remote) for _ in range(50)))  # type: ignore[arg-type] - the same
    held = await remote.work.assignments(card.id, lambda: Demand(50, {"agent": 50}), 5)
    sizes: list[int] = []
    side = remote.work._side
    assert isinstance(side, NativeWork)
    client = side._client

    async def count(verbs: Any) -> list[Any]:
        sizes.append(len(verbs))
        return await client._send(verbs)

    monkeypatch.setattr(client._batches, "_send", count)
    chunk = [NewEvent(type=Type.Chunk, data="x")]
    stale = remote.work.emit(held[0].task.id, 9, chunk)
    outcomes = await asyncio.gather(
        stale, *(remote.work.emit(each.task.id, each.attempt, chunk) for each in held), return_exceptions=True
    )
    assert isinstance(outcomes[0], LeaseLost)
    assert outcomes[1:] == [None] * len(held)
    assert sum(sizes) == 51
    assert len(sizes) <= 3
