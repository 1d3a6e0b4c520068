"""Deliveries that failed: how often they are tried, how they are listed, and what a retry by hand means."""

from typing import Any

import pytest

from tests.contract.conftest import OpenPlatform, Sql
from tests.contract.steps import create, deliver, finish, note, run, worker
from worker.contracts import Platform
from worker.words.deliveries import DeliveryQuery, DeliveryRetry, FailedDelivery
from worker.words.errors import LeaseLost, ValidationError
from worker.words.retry import RetryPolicy
from worker.words.statuses import DeliveryState
from worker.words.statuses import TaskUpdateEventType as Type
from worker.words.work import Assignment, Delivery, Subscription, WorkerCard

pytestmark = pytest.mark.needs("deliveries")
NOTES = Subscription("handlers.notes", Type.Note, retries=RetryPolicy(attempts=2, base=1.0, cap=60.0))


async def noted(platform: Platform, *texts: str, subscription: Subscription = NOTES) -> tuple[WorkerCard, Assignment]:
    """A worker that hears of notes, and a running task that has some."""
    by = await worker(platform, subscriptions=[subscription])
    _, assignment = await run(platform)
    await platform.work.emit(assignment.task.id, assignment.attempt, [note(text) for text in texts])
    return by, assignment


async def next_one(platform: Platform, by: WorkerCard, sql: Sql) -> Delivery:
    """The next delivery, its back-off over."""
    await sql("update worker.cursors set available_at = now()")
    (delivery,) = await deliver(platform, by)
    return delivery


async def set_aside(platform: Platform, by: WorkerCard, sql: Sql, count: int = 1) -> None:
    """Have the next events set aside."""
    for _ in range(count):
        assert await platform.work.settle(await next_one(platform, by, sql), "gave up", final=True)


async def failed(platform: Platform, **query: Any) -> list[FailedDelivery]:
    return await platform.deliveries.find(DeliveryQuery(**query))


async def test_a_subscription_says_how_often_and_how_long_an_event_is_tried(platform: Platform, sql: Sql) -> None:
    patient = Subscription("h", Type.Note, retries=RetryPolicy(attempts=4, base=100.0, cap=150.0))
    by, _ = await noted(platform, "bad", subscription=patient)
    delays: list[float] = []
    for tries in range(4):
        delivery = await next_one(platform, by, sql)
        assert delivery.tries == tries
        assert await platform.work.settle(delivery, "no") is (tries == 3)
        ((delay,),) = await sql("select extract(epoch from available_at - now())::float from worker.cursors")
        delays.append(float(str(delay)))
    assert [80 - 2 < delays[0] < 120, 120 - 2 < delays[1] < 180, 120 - 2 < delays[2] < 180] == [True, True, True]


async def test_waits_are_scattered_so_that_what_failed_together_does_not_come_together(
    platform: Platform, sql: Sql
) -> None:
    by = await worker(platform, subscriptions=[Subscription("h", Type.TaskCreated, retries=RetryPolicy(9, 1000, 1000))])
    for _ in range(8):
        await create(platform)
    for delivery in await deliver(platform, by):
        await platform.work.settle(delivery, "no")
    rows = await sql("select extract(epoch from available_at - now())::float from worker.cursors")
    waits = [float(str(wait)) for (wait,) in rows]
    assert len(waits) == 8
    assert max(waits) - min(waits) > 5
    assert all(790 < wait < 1200 for wait in waits)


async def test_what_is_given_up_is_set_aside_at_once(platform: Platform) -> None:
    by, _ = await noted(platform, "bad", "good")
    (delivery,) = await deliver(platform, by)
    assert await platform.work.settle(delivery, "gone", final=True) is True
    (delivery,) = await deliver(platform, by)
    assert delivery.event.data.text == "good"
    (item,) = await failed(platform)
    assert (item.state, item.tries, item.error) == (DeliveryState.SetAside, 1, "gone")


async def test_failed_deliveries_are_listed_with_what_was_raised_and_when_they_come_again(
    platform: Platform, sql: Sql
) -> None:
    by, assignment = await noted(platform, "first", "second")
    assert await failed(platform) == []
    await set_aside(platform, by, sql)
    await platform.work.settle(await next_one(platform, by, sql), "down")
    waiting, aside = await failed(platform)
    for item, event in ((waiting, 4), (aside, 3)):
        assert (item.handler, item.event_type, item.agent_id) == ("handlers.notes", "note", "analyst")
        assert (item.task_id, item.event) == (assignment.task.id, event)
    assert (waiting.state, waiting.tries, waiting.error) == (DeliveryState.Waiting, 1, "down")
    assert waiting.next_try_at is not None
    assert waiting.set_aside_at is None
    assert (aside.state, aside.tries, aside.error) == (DeliveryState.SetAside, 1, "gave up")
    assert aside.set_aside_at is not None
    assert [each.id for each in await failed(platform, state=DeliveryState.SetAside)] == [aside.id]
    assert [each.id for each in await failed(platform, state=DeliveryState.Waiting)] == [waiting.id]
    for none in ({"handler": "other"}, {"task_id": "other"}, {"agent_id": "other"}, {"state": DeliveryState.Retrying}):
        assert await failed(platform, **none) == []
    for both in ({"handler": "handlers.notes"}, {"task_id": assignment.task.id}, {"agent_id": "analyst"}):
        assert len(await failed(platform, **both)) == 2


async def test_the_list_is_paged_without_a_gap(platform: Platform, sql: Sql) -> None:
    by, _ = await noted(platform, *"abcde")
    await set_aside(platform, by, sql, 4)
    await platform.work.settle(await next_one(platform, by, sql), "down")
    whole = [each.event for each in await failed(platform)]
    assert whole == [7, 6, 5, 4, 3]
    paged: list[int] = []
    before = None
    while page := await failed(platform, limit=2, before=before):
        paged += [each.event for each in page]
        before = page[-1].id
    assert paged == whole


@pytest.mark.parametrize("before", ["", ".", "1.2", "x.1.t", "99999999999999999999.1.t", "-1.1.t", "1.\u0661.t", "\0"])
async def test_what_is_no_id_of_a_delivery_is_refused_or_finds_nothing(platform: Platform, before: str) -> None:
    if before:  # an empty one counts as none over HTTP
        with pytest.raises(ValidationError):
            await failed(platform, before=before)
        with pytest.raises(ValidationError):
            await platform.deliveries.retry(DeliveryRetry(ids=[before]))


async def test_a_retried_delivery_comes_once_more_before_what_follows(platform: Platform, sql: Sql) -> None:
    by, assignment = await noted(platform, "bad", "good")
    await set_aside(platform, by, sql)
    (item,) = await failed(platform)
    assert await platform.deliveries.retry(DeliveryRetry(ids=[item.id])) == 1
    (item,) = await failed(platform)
    assert item.state is DeliveryState.Retrying
    assert await platform.deliveries.retry(DeliveryRetry(ids=[item.id])) == 0, "it is under way already"
    (delivery,) = await deliver(platform, by)
    assert (delivery.event.data.text, delivery.tries) == ("bad", 1)
    assert await deliver(platform, by, seconds=0) == [], "of one task and handler one at a time"
    assert await platform.work.settle(delivery) is False
    assert await failed(platform) == []
    (delivery,) = await deliver(platform, by)
    assert delivery.event.data.text == "good"
    await platform.work.settle(delivery)
    await finish(platform, assignment)
    assert await deliver(platform, by, seconds=0) == []


async def test_a_retried_delivery_that_fails_again_is_set_aside_again(platform: Platform, sql: Sql) -> None:
    by, _ = await noted(platform, "bad")
    await set_aside(platform, by, sql)
    for tries in (2, 3):
        assert await platform.deliveries.retry(DeliveryRetry(all=True)) == 1
        (delivery,) = await deliver(platform, by)
        assert await platform.work.settle(delivery, f"again {tries}") is True
        (item,) = await failed(platform)
        assert (item.state, item.tries, item.error) == (DeliveryState.SetAside, tries, f"again {tries}")
        assert await deliver(platform, by, seconds=0) == []


async def test_a_retry_does_not_touch_the_back_off_of_what_follows(platform: Platform, sql: Sql) -> None:
    by, _ = await noted(platform, "bad", "slow")
    await set_aside(platform, by, sql)
    await platform.work.settle(await next_one(platform, by, sql), "down")
    await sql("update worker.cursors set available_at = now() + interval '1 hour'")
    assert await platform.deliveries.retry(DeliveryRetry(all=True)) == 1
    (delivery,) = await deliver(platform, by)
    assert delivery.event.data.text == "bad"
    await platform.work.settle(delivery)
    assert await deliver(platform, by, seconds=0) == []
    (item,) = await failed(platform)
    assert (item.event, item.tries, item.error) == (4, 1, "down")


async def test_many_are_retried_at_once_in_their_order(platform: Platform, sql: Sql) -> None:
    by, assignment = await noted(platform, *"abc")
    await set_aside(platform, by, sql, 3)
    assert await platform.deliveries.retry(DeliveryRetry(handler="other")) == 0
    assert await platform.deliveries.retry(DeliveryRetry(agent_id="other")) == 0
    assert await platform.deliveries.retry(DeliveryRetry(task_id=assignment.task.id)) == 3
    texts: list[str] = []
    for _ in range(3):
        (delivery,) = await deliver(platform, by)
        texts.append(delivery.event.data.text)
        await platform.work.settle(delivery)
    assert texts == ["a", "b", "c"]
    assert await deliver(platform, by, seconds=0) == []
    assert await failed(platform) == []


async def test_a_retried_delivery_is_settled_once_by_whoever_holds_it(
    platform: Platform, open_platform: OpenPlatform, sql: Sql
) -> None:
    by, _ = await noted(platform, "bad")
    await set_aside(platform, by, sql)
    await platform.deliveries.retry(DeliveryRetry(all=True))
    (held,) = await deliver(platform, by)
    await platform.work.leave(by.id)
    other = await open_platform()
    second = await worker(other, subscriptions=[NOTES])
    (delivery,) = await deliver(other, second)
    assert delivery.event == held.event
    with pytest.raises(LeaseLost):
        await platform.work.settle(held)
    await other.work.settle(delivery)
    for error in (None, "late"):
        with pytest.raises(LeaseLost):
            await other.work.settle(delivery, error)


async def test_another_organizations_deliveries_are_neither_seen_nor_retried(
    platform: Platform, open_platform: OpenPlatform, sql: Sql
) -> None:
    by, _ = await noted(platform, "bad")
    await set_aside(platform, by, sql)
    (item,) = await failed(platform)
    stranger = await open_platform("other")
    assert await failed(stranger) == []
    assert await stranger.deliveries.retry(DeliveryRetry(ids=[item.id])) == 0
    assert await stranger.deliveries.retry(DeliveryRetry(all=True)) == 0


async def test_events_of_tasks_without_what_a_subscription_needs_cost_nothing(platform: Platform, sql: Sql) -> None:
    needing = [
        Subscription(f"h.{kind}", kind, needs="expected_output")
        for kind in (Type.TaskCreated, Type.TaskUpdated, Type.TaskFinished)
    ]
    by = await worker(platform, subscriptions=needing)
    _, assignment = await run(platform)
    await finish(platform, assignment)
    assert await sql("select count(*) from worker.cursors") == [(0,)]
    _, assignment = await run(platform, expected_output="a table")
    await finish(platform, assignment)
    found = await deliver(platform, by)
    assert {each.subscription.handler for each in found} == {"h.task_created", "h.task_updated", "h.task_finished"}


async def test_a_wish_to_retry_nothing_in_particular_is_taken_for_a_slip() -> None:
    with pytest.raises(ValueError, match="give ids, a handler, a task or an agent"):
        DeliveryRetry()
