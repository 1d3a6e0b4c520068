import asyncio
from collections import Counter

import pytest

from tests.contract.conftest import OpenPlatform, Sql
from tests.contract.steps import SECONDS, claim, create, deliver, finish, note, run, worker
from tests.support import wait_until
from worker.contracts import Platform
from worker.engine.timings import EngineTimings
from worker.words.errors import LeaseLost
from worker.words.statuses import AgentExecutionStatus as Status
from worker.words.statuses import TaskUpdateEventType as Type
from worker.words.task_lists import TaskQuery
from worker.words.work import Delivery, DeliveryDemand, Subscription, WorkerCard

pytestmark = pytest.mark.needs("deliveries")
FINISHED = Subscription("handlers.finished", Type.TaskFinished)
UPDATED = Subscription("handlers.updated", Type.TaskUpdated)


async def finished(platform: Platform, by: WorkerCard, count: int = 1, agent: str = "analyst") -> list[str]:
    """Tasks that a worker claims and finishes."""
    for _ in range(count):
        await create(platform, agent=agent)
    done: list[str] = []
    while len(done) < count:
        for assignment in await claim(platform, by, 50, agents={agent: 50}):
            await finish(platform, assignment, result="R")
            done.append(assignment.task.id)
    return done


async def test_a_subscribed_handler_is_delivered_the_event_with_its_task(platform: Platform) -> None:
    by = await worker(platform, subscriptions=[FINISHED])
    (task_id,) = await finished(platform, by)
    (delivery,) = await deliver(platform, by)
    assert (delivery.subscription, delivery.tries) == (FINISHED, 0)
    assert (delivery.event.type, delivery.event.number, delivery.event.task_id) == (Type.TaskFinished, 3, task_id)
    assert delivery.task == delivery.event.data == await platform.tasks.get(task_id)
    assert await platform.work.settle(delivery) is False
    assert await deliver(platform, by, seconds=0) == []


async def test_an_event_is_not_delivered_again_while_it_is_held(platform: Platform) -> None:
    by = await worker(platform, subscriptions=[FINISHED])
    await finished(platform, by)
    assert len(await deliver(platform, by)) == 1
    assert await deliver(platform, by, seconds=0) == []


async def test_only_events_of_the_subscribed_type_and_agent_are_delivered(platform: Platform) -> None:
    wishes = [
        Subscription("h.mine", Type.TaskFinished, "mine"),
        Subscription("h.any", Type.TaskFinished),
        Subscription("h.tool", Type.ToolCallRequest, "mine"),
    ]
    by = await worker(platform, "mine", "other", subscriptions=wishes)
    (mine,) = await finished(platform, by, agent="mine")
    (other,) = await finished(platform, by, agent="other")
    found = {(each.subscription.handler, each.event.task_id) for each in await deliver(platform, by)}
    assert found == {("h.mine", mine), ("h.any", mine), ("h.any", other)}


async def test_a_tasks_events_are_delivered_in_order_one_after_another(platform: Platform) -> None:
    by = await worker(platform, subscriptions=[Subscription("h", Type.Note)])
    _, assignment = by, (await run(platform))[1]
    for text in ("one", "two", "three"):
        await platform.work.emit(assignment.task.id, assignment.attempt, [note(text)])
    texts: list[str] = []
    while len(texts) < 3:
        (delivery,) = await deliver(platform, by)
        texts.append(delivery.event.data.text)
        await platform.work.settle(delivery)
    assert texts == ["one", "two", "three"]
    assert await deliver(platform, by, seconds=0) == []


async def test_tasks_are_delivered_side_by_side_up_to_the_limit(platform: Platform) -> None:
    by = await worker(platform, subscriptions=[FINISHED])
    await finished(platform, by, 5)
    first, second = await deliver(platform, by, 3), await deliver(platform, by, 3)
    assert (len(first), len(second)) == (3, 2)
    assert len({each.event.task_id for each in first + second}) == 5


async def test_each_subscription_has_a_limit_of_its_own(platform: Platform) -> None:
    other = Subscription("handlers.other", Type.TaskFinished, "analyst")
    by = await worker(platform, subscriptions=[FINISHED, other])
    await finished(platform, by, 4)
    one = await deliver(platform, by, DeliveryDemand(10, {FINISHED: 0, other: 3}))
    assert [each.subscription for each in one] == [other] * 3
    both = await deliver(platform, by, DeliveryDemand(10, {FINISHED: 1}))
    assert Counter(each.subscription for each in both) == {FINISHED: 1, other: 1}
    assert await deliver(platform, by, DeliveryDemand(10, {FINISHED: 0}), seconds=0) == []
    assert len(await deliver(platform, by, DeliveryDemand(2, {FINISHED: 9}))) == 2
    assert {each.event.task_id for each in one + both if each.subscription == other} == {
        each.id for each in await platform.tasks.find(TaskQuery())
    }


async def test_a_waiting_worker_is_woken_by_an_event_of_another_process(
    platform: Platform, open_platform: OpenPlatform
) -> None:
    by, other = await worker(platform, subscriptions=[FINISHED]), await open_platform()
    waiting = asyncio.create_task(deliver(platform, by))
    task = await create(other)
    await other.tasks.stop(task.id)
    (delivery,) = await waiting
    assert delivery.event.task_id == task.id


async def test_a_save_of_a_handler_is_delivered_to_others_but_not_to_itself(platform: Platform, sql: Sql) -> None:
    other = Subscription("handlers.other", Type.TaskUpdated)
    by = await worker(platform, subscriptions=[UPDATED, other])
    task = await create(platform)
    await platform.tasks.update(task.id, {"title": "by the handler"}, origin=UPDATED.handler)
    (delivery,) = await deliver(platform, by)
    assert delivery.subscription == other
    assert await sql("select count(*) from worker.cursors") == [(1,)], "what is not delivered costs no cursor"
    await platform.work.settle(delivery)
    assert await deliver(platform, by, seconds=0) == []
    await platform.tasks.update(task.id, {"title": "by a client"})
    assert {each.subscription.handler for each in await deliver(platform, by)} == {UPDATED.handler, other.handler}


async def test_a_handlers_own_save_between_others_is_passed_over(platform: Platform) -> None:
    by = await worker(platform, subscriptions=[UPDATED])
    task = await create(platform)
    for title, origin in (("1", None), ("2", UPDATED.handler), ("3", None)):
        await platform.tasks.update(task.id, {"title": title}, origin=origin)
    titles: list[str | None] = []
    while len(titles) < 2:
        (delivery,) = await deliver(platform, by)
        titles.append(delivery.event.data.title)
        await platform.work.settle(delivery)
    assert titles == ["1", "3"]


async def test_two_workers_that_share_a_subscription_get_each_event_once(
    platform: Platform, open_platform: OpenPlatform
) -> None:
    other = await open_platform()
    first, second = await worker(platform, subscriptions=[FINISHED]), await worker(other, subscriptions=[FINISHED])
    ids = await finished(platform, first, 30)
    seen: list[str] = []

    async def take(place: Platform, by: WorkerCard) -> None:
        while batch := await deliver(place, by, 4, seconds=0.3):
            seen.extend(each.event.task_id for each in batch)
            await asyncio.gather(*(place.work.settle(each) for each in batch))

    await asyncio.gather(take(platform, first), take(other, second))
    assert Counter(seen) == Counter(ids)


async def test_a_failed_delivery_comes_again_later_and_in_the_end_is_set_aside(platform: Platform, sql: Sql) -> None:
    by = await worker(platform, subscriptions=[Subscription("h", Type.Note)])
    _, assignment = by, (await run(platform))[1]
    await platform.work.emit(assignment.task.id, assignment.attempt, [note("bad"), note("good")])
    delays: list[float] = []
    for tries in range(10):
        (delivery,) = await deliver(platform, by)
        assert (delivery.event.data.text, delivery.tries) == ("bad", tries)
        assert await platform.work.settle(delivery, "it raised") is (tries == 9)
        assert await deliver(platform, by, seconds=0) == [] or tries == 9
        if tries < 9:
            ((delay,),) = await sql("select extract(epoch from available_at - now())::float from worker.cursors")
            delays.append(float(str(delay)))
            await sql("update worker.cursors set available_at = now()")
    assert all(0.8 * 2**tries - 0.9 < delay < 1.2 * 2**tries for tries, delay in enumerate(delays)), delays
    assert await sql("select tries, error from worker.deliveries_set_aside") == [(10, "it raised")]


async def test_what_follows_a_set_aside_event_is_delivered(platform: Platform, sql: Sql) -> None:
    by = await worker(platform, subscriptions=[Subscription("h", Type.Note)])
    _, assignment = by, (await run(platform))[1]
    await platform.work.emit(assignment.task.id, assignment.attempt, [note("bad"), note("good")])
    await sql("update worker.cursors set tries = 9")
    (delivery,) = await deliver(platform, by)
    assert await platform.work.settle(delivery, "bad \0 \ud800") is True
    (delivery,) = await deliver(platform, by)
    assert (delivery.event.data.text, delivery.tries) == ("good", 0)


async def test_an_error_of_hostile_characters_postpones_too(platform: Platform) -> None:
    by = await worker(platform, subscriptions=[FINISHED])
    await finished(platform, by)
    (delivery,) = await deliver(platform, by)
    assert await platform.work.settle(delivery, "bad \0 \ud800") is False


async def test_a_delivery_is_settled_once(platform: Platform) -> None:
    by = await worker(platform, subscriptions=[FINISHED])
    await finished(platform, by)
    (delivery,) = await deliver(platform, by)
    await platform.work.settle(delivery)
    for error in (None, "late"):
        with pytest.raises(LeaseLost):
            await platform.work.settle(delivery, error)


async def test_a_leaving_workers_deliveries_go_to_others_untried(
    platform: Platform, open_platform: OpenPlatform
) -> None:
    other = await open_platform()
    leaving, staying = await worker(platform, subscriptions=[FINISHED]), await worker(other, subscriptions=[FINISHED])
    await finished(platform, leaving)
    (held,) = await deliver(platform, leaving)
    await platform.work.leave(leaving.id)
    (delivery,) = await deliver(other, staying)
    assert (delivery.event, delivery.tries) == (held.event, 0)
    with pytest.raises(LeaseLost):
        await platform.work.settle(held)
    await other.work.settle(delivery)


@pytest.mark.parametrize("timings", [EngineTimings(trust=0, scan=0.1)], ids=["quick"])
async def test_a_dead_workers_deliveries_go_to_others(
    platform: Platform, open_platform: OpenPlatform, sql: Sql, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = await open_platform()
    dying = await worker(platform, subscriptions=[FINISHED])
    await finished(platform, dying)
    (held,) = await deliver(platform, dying)
    await platform.close()
    staying = await worker(other, subscriptions=[FINISHED])
    found: list[Delivery] = []

    async def delivered() -> bool:
        found.extend(await deliver(other, staying, seconds=0.1))
        return bool(found)

    await wait_until(delivered, "the dead worker's delivery came to another", SECONDS)
    assert found[0].event == held.event
    assert await sql("select count(*) from worker.workers where gone_at is not null") == [(1,)]


async def test_without_a_subscription_there_is_no_cursor(platform: Platform, sql: Sql) -> None:
    by = await worker(platform)
    await finished(platform, by)
    assert await deliver(platform, by, seconds=0) == []
    assert await sql("select count(*) from worker.cursors") == [(0,)]


async def test_events_from_before_the_subscription_are_not_delivered(platform: Platform) -> None:
    task = await create(platform)
    await platform.tasks.update(task.id, {"title": "before"})
    by = await worker(platform, subscriptions=[UPDATED])
    await platform.tasks.update(task.id, {"title": "after"})
    (delivery,) = await deliver(platform, by)
    assert delivery.event.data.title == "after"


async def test_events_that_come_while_no_worker_is_there_are_delivered_later(
    platform: Platform, open_platform: OpenPlatform
) -> None:
    first = await worker(platform, subscriptions=[FINISHED])
    await platform.work.leave(first.id)
    task = await create(platform)
    await platform.tasks.stop(task.id)
    other = await open_platform()
    second = await worker(other, subscriptions=[FINISHED])
    (delivery,) = await deliver(other, second)
    assert (delivery.event.task_id, delivery.task.status) == (task.id, Status.Stopped)


async def test_a_subscription_is_given_up_after_7_days_without_a_worker(
    platform: Platform, open_platform: OpenPlatform, sql: Sql
) -> None:
    first = await worker(platform, subscriptions=[FINISHED, UPDATED])
    await finished(platform, first)
    await platform.close()
    await sql(
        "update worker.subscriptions set seen_at = now() - interval '6 days 23 hours' where handler = %s",
        FINISHED.handler,
    )
    await sql(
        "update worker.subscriptions set seen_at = now() - interval '7 days 1 hour' where handler = %s", UPDATED.handler
    )
    other = await open_platform()
    await worker(other)

    async def handlers() -> bool:
        return await sql("select handler from worker.subscriptions") == [(FINISHED.handler,)]

    await wait_until(handlers, "the old subscription was given up, and it alone", 30)  # looked for every ten seconds
    assert await sql("select count(*) from worker.cursors") == [(1,)]
