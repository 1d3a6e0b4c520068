import asyncio
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from tests.contract.conftest import OpenPlatform, Sql
from tests.contract.steps import (
    AGENT,
    SECONDS,
    card,
    claim,
    create,
    deliver,
    finish,
    hand_back,
    log,
    numbers,
    run,
    worker,
)
from worker.contracts import Platform
from worker.words.errors import LeaseLost, NotFound, ValidationError
from worker.words.outcomes import Outcome
from worker.words.statuses import AgentExecutionStatus as Status
from worker.words.statuses import TaskUpdateEventType as Type
from worker.words.work import Demand, JournalEntry, Subscription, WorkerWear


async def test_a_claimed_task_is_executing_under_a_new_attempt(platform: Platform, open_platform: OpenPlatform) -> None:
    _, assignment = await run(platform)
    assert assignment.attempt == assignment.task.execution_attempts == 1
    assert assignment.task.status is Status.Executing
    assert assignment.task.started_at is not None
    assert await (await open_platform()).tasks.get(assignment.task.id) == assignment.task
    event = (await log(platform, assignment.task.id))[-1]
    assert (event.type, event.attempt, event.data) == (Type.TaskUpdated, 1, assignment.task)


async def test_a_worker_that_registers_again_serves_other_agents_and_keeps_what_it_holds(platform: Platform) -> None:
    by, held = await run(platform)
    again = replace(by, agents=("other",), subscriptions=(Subscription("h.other", Type.TaskFinished),))
    await platform.work.register(again)
    task = await create(platform, agent="other")
    (assignment,) = await claim(platform, again)
    assert assignment.task.id == task.id
    await finish(platform, held)
    (delivery,) = await deliver(platform, again)
    assert (delivery.subscription.handler, delivery.task.id) == ("h.other", held.task.id)
    assert (await platform.tasks.get(held.task.id)).status is Status.Completed


async def test_nothing_to_claim_is_an_empty_list_after_the_wait(platform: Platform) -> None:
    by = await worker(platform)
    assert await claim(platform, by, seconds=0.05) == []


async def test_a_waiting_worker_is_woken_by_a_task_of_another_process(
    platform: Platform, open_platform: OpenPlatform
) -> None:
    by, other = await worker(platform), await open_platform()
    waiting = asyncio.create_task(claim(platform, by))
    task = await create(other)
    (assignment,) = await waiting
    assert assignment.task.id == task.id


async def test_what_is_claimed_is_the_demand_of_that_moment(platform: Platform) -> None:
    by = await worker(platform, "a", "b")
    demand, asked = Demand(1, {"b": 1}), asyncio.Event()

    def now() -> Demand:
        asked.set()
        return demand

    waiting = asyncio.create_task(platform.work.assignments(by.id, now, SECONDS))
    tasks = [await create(platform, agent="a") for _ in range(3)]
    await asked.wait()
    demand = Demand(2, {"a": 5})
    platform.work.nudge()
    assert [each.task.id for each in await waiting] == [task.id for task in tasks[:2]]


async def test_a_worker_that_can_start_nothing_is_not_kept_waiting(platform: Platform) -> None:
    by = await worker(platform)
    await create(platform)
    assert await asyncio.wait_for(claim(platform, by, 0), SECONDS / 2) == []


@pytest.mark.parametrize(
    ("demand", "expected"),
    [
        (Demand(9, {"a": 2, "b": 1}), {"a": 2, "b": 1}),
        (Demand(9, {"a": 9, "b": 0}), {"a": 3}),
        (Demand(9, {"b": 9, "nobody's": 9}), {"b": 3}),
        (Demand(0, {"a": 9}, 9), {}),
        (Demand(9), {}),
        (Demand(9, {"a": 1}, 9), {"a": 1, "b": 3, "c": 3}),
        (Demand(9, {"a": 0}, 9), {"b": 3, "c": 3}),
        (Demand(9, {}, 9), {"a": 3, "b": 3, "c": 3}),
    ],
)
async def test_each_agent_has_its_own_free_count(platform: Platform, demand: Demand, expected: dict[str, int]) -> None:
    by = await worker(platform)
    for agent in ("a", "b", "c") * 3:
        await create(platform, agent=agent)
    claimed = await platform.work.assignments(by.id, lambda: demand, 0)
    assert Counter(each.task.agent_id for each in claimed) == expected


@pytest.mark.parametrize("demand", [Demand(4, {"a": 3, "b": 3}), Demand(4, {"a": 9}, 9), Demand(4, {}, 9)])
async def test_no_more_than_the_total_is_claimed(platform: Platform, demand: Demand) -> None:
    by = await worker(platform)
    for agent in ("a", "b", "c") * 3:
        await create(platform, agent=agent)
    assert len(await platform.work.assignments(by.id, lambda: demand, 0)) == 4


async def test_agents_that_no_handler_names_share_one_free_count(platform: Platform) -> None:
    by = await worker(platform)
    for agent in ("a", "b", "c", "d") * 3:
        await create(platform, agent=agent)
    claimed = await platform.work.assignments(by.id, lambda: Demand(9, {"a": 1}, 2), 0)
    agents = Counter(each.task.agent_id for each in claimed)
    assert (agents["a"], sum(agents.values())) == (1, 3)


@pytest.mark.parametrize("named", [True, False])
async def test_a_long_queue_of_one_agent_starves_no_other(platform: Platform, *, named: bool) -> None:
    by = await worker(platform)
    for _ in range(40):
        await create(platform, agent="busy")
    rare = await create(platform, agent="rare")
    demand = Demand(1, {"busy": 1, "rare": 1}) if named else Demand(1, {}, 1)
    async with asyncio.timeout(60):  # after a slow claim, new agents are looked for again within five seconds
        while True:
            (assignment,) = await platform.work.assignments(by.id, lambda: demand, 0)
            if assignment.task.id == rare.id:
                return
            await create(platform, agent="busy")  # its queue stays long


async def test_an_agents_tasks_are_claimed_in_the_order_in_which_they_came(platform: Platform) -> None:
    by = await worker(platform)
    ids = [(await create(platform)).id for _ in range(6)]
    claimed = [each.task.id for _ in range(3) for each in await claim(platform, by, 2)]
    assert claimed == ids


async def test_a_delayed_retry_is_not_claimed_before_its_time(platform: Platform, sql: Sql) -> None:
    by, assignment = await run(platform)
    await hand_back(platform, assignment, error="busy", delay=600)
    task = await platform.tasks.get(assignment.task.id)
    assert task.available_at is not None
    assert task.updated_at is not None
    assert (task.available_at - task.updated_at).total_seconds() == 600
    assert await claim(platform, by, seconds=0) == []
    await sql("update worker.tasks set available_at = now()")
    (again,) = await claim(platform, by, seconds=0)
    assert (again.task.id, again.attempt, again.task.available_at) == (task.id, 2, None)


async def test_no_task_is_claimed_twice_however_many_workers_race(
    platform: Platform, open_platform: OpenPlatform
) -> None:
    platforms = [platform, await open_platform(), await open_platform()]
    workers = [await worker(each) for each in platforms]
    ids = [task.id for task in await asyncio.gather(*(create(platform) for _ in range(120)))]

    async def take(place: Platform, index: int) -> list[str]:
        taken: list[str] = []
        while batch := await claim(place, workers[index], 7, seconds=0):
            taken += [each.task.id for each in batch]
        return taken

    taken = await asyncio.gather(*(take(place, index) for index, place in enumerate(platforms) for _ in range(2)))
    assert sorted(task_id for batch in taken for task_id in batch) == sorted(ids)


async def test_a_worker_that_never_registered_gets_nothing(platform: Platform) -> None:
    task = await create(platform)
    assert await claim(platform, card("analyst"), seconds=0) == []
    assert (await platform.tasks.get(task.id)).status is Status.Pending


@pytest.mark.parametrize("status", [Status.Completed, Status.Error, Status.Failed, Status.Stopped])
async def test_a_finish_stores_result_status_end_and_event_together(platform: Platform, status: Status) -> None:
    _, assignment = await run(platform)
    await finish(platform, assignment, status, result="R", internal_status="I", tokens={"prompt_tokens": 5})
    task = await platform.tasks.get(assignment.task.id)
    assert (task.status, task.result, task.internal_status) == (status, "R", "I")
    assert task.tokens is not None
    assert task.tokens.prompt_tokens == 5
    event = (await log(platform, task.id))[-1]
    assert (event.type, event.attempt, event.data, event.time) == (Type.TaskFinished, 1, task, task.finished_at)


async def test_a_second_finish_of_the_same_attempt_changes_nothing(platform: Platform) -> None:
    _, assignment = await run(platform)
    await finish(platform, assignment, result="R")
    task = await platform.tasks.get(assignment.task.id)
    await finish(platform, assignment, Status.Error, result="other")
    assert await platform.tasks.get(task.id) == task
    assert [event.type for event in await log(platform, task.id)].count(Type.TaskFinished) == 1


async def test_of_two_finishes_at_once_one_ends_the_task(platform: Platform, open_platform: OpenPlatform) -> None:
    _, assignment = await run(platform)
    other = await open_platform()
    other.work.take_over(platform.work.session)  # as a child process of its worker does
    await asyncio.gather(finish(platform, assignment, result="a"), finish(other, assignment, result="b"))
    events = await log(platform, assignment.task.id)
    assert [event.type for event in events].count(Type.TaskFinished) == 1
    assert events[-1].data == await platform.tasks.get(assignment.task.id)


@pytest.mark.parametrize("status", [Status.Pending, Status.Executing])
async def test_no_attempt_ends_as_pending_or_executing(platform: Platform, status: Status) -> None:
    _, assignment = await run(platform)
    with pytest.raises(ValidationError):
        await platform.work.finish(assignment.task.id, assignment.attempt, Outcome(status))
    assert await platform.tasks.get(assignment.task.id) == assignment.task


async def test_a_paused_task_waits_until_it_is_retried(platform: Platform) -> None:
    by, assignment = await run(platform)
    await finish(platform, assignment, Status.Paused, hitl_request={"q": "May I?"})
    task = await platform.tasks.get(assignment.task.id)
    assert (task.status, task.finished_at, task.hitl_request) == (Status.Paused, None, {"q": "May I?"})
    assert await claim(platform, by, seconds=0) == []
    await platform.tasks.retry(task.id)
    (again,) = await claim(platform, by)
    assert (again.task.id, again.attempt) == (task.id, 2)


async def test_a_task_handed_back_uncharged_is_pending_at_once(platform: Platform) -> None:
    by, assignment = await run(platform)
    await platform.work.emit(assignment.task.id, assignment.attempt, [], [JournalEntry("k", "1")])
    await hand_back(platform, assignment)
    task = await platform.tasks.get(assignment.task.id)
    assert (task.status, task.errors, task.crashes) == (Status.Pending, 0, 0)
    assert await platform.work.journal(task.id) == {"k": "1"}
    (again,) = await claim(platform, by)
    assert again.attempt == 2
    assert again.task.started_at == assignment.task.started_at


async def test_a_task_handed_back_with_an_error_is_charged_for_it(platform: Platform) -> None:
    _, assignment = await run(platform)
    await hand_back(platform, assignment, error="boom \0")
    task = await platform.tasks.get(assignment.task.id)
    assert (task.status, task.errors, task.crashes) == (Status.Pending, 1, 0)


@pytest.mark.needs("isolation")
async def test_the_death_of_the_process_that_ran_a_task_alone_is_charged_and_by_the_third_ends_it(
    platform: Platform,
) -> None:
    by, assignment = await run(platform)
    await platform.work.emit(assignment.task.id, assignment.attempt, [], [JournalEntry("k", "1")])
    for count in (1, 2):
        await platform.work.crashed(assignment.task.id, assignment.attempt, "exited with code \0 7")
        task = await platform.tasks.get(assignment.task.id)
        assert (task.status, task.crashes, task.errors, task.suspicions) == (Status.Pending, count, 0, 0)
        assert await platform.work.journal(task.id) == {"k": "1"}
        (assignment,) = await claim(platform, by)
    await platform.work.crashed(assignment.task.id, assignment.attempt, "was killed by SIGSEGV")
    task = await platform.tasks.get(assignment.task.id)
    assert (task.status, task.crashes) == (Status.Failed, 3)
    assert task.result == "the task's process died 3 times; the last time it was killed by SIGSEGV"
    assert task.finished_at is not None
    assert (await log(platform, task.id))[-1].type is Type.TaskFinished
    again = await platform.tasks.retry(task.id)
    assert (again.crashes, again.suspicions) == (0, 0)


@pytest.mark.needs("isolation")
async def test_a_crashed_task_waits_until_its_next_try(platform: Platform) -> None:
    by, assignment = await run(platform)
    await platform.work.crashed(assignment.task.id, assignment.attempt, "exited with code 7", 60)
    task = await platform.tasks.get(assignment.task.id)
    assert task.available_at is not None
    assert 50 < (task.available_at - datetime.now(UTC)).total_seconds() <= 61
    assert await claim(platform, by, seconds=0) == []
    with pytest.raises(LeaseLost):
        await platform.work.crashed(assignment.task.id, assignment.attempt, "twice")


@pytest.mark.needs("isolation")
async def test_suspects_are_claimed_only_as_far_as_they_can_run_apart(platform: Platform, sql: Sql) -> None:
    by = await worker(platform)
    suspects = {(await create(platform)).id for _ in range(3)}
    await sql("update worker.tasks set suspicions = 2")
    others = {(await create(platform)).id for _ in range(2)}
    await sql("update worker.tasks set suspicions = 1 where suspicions = 0")
    agents = {AGENT: 9}
    assert await claim(platform, by, 9, seconds=0, agents={"nobody's": 9}, suspects=3) == []
    none = await claim(platform, by, 9, agents=agents, seconds=0, suspects=0)
    assert {each.task.id for each in none} == others
    assert [each.task.suspicions for each in none] == [1, 1]
    one = await claim(platform, by, 9, agents=agents, seconds=0, suspects=1)
    assert len(one) == 1
    assert {each.task.id for each in one} <= suspects
    rest = await claim(platform, by, 9)
    assert {each.task.id for each in one + rest} == suspects


@pytest.mark.needs("fencing")
async def test_a_stale_attempt_neither_finishes_nor_hands_back(platform: Platform) -> None:
    by, old = await run(platform)
    await hand_back(platform, old)
    with pytest.raises(LeaseLost):
        await hand_back(platform, old, error="twice")
    (new,) = await claim(platform, by)
    for write in (finish(platform, old, result="stale"), hand_back(platform, old, error="stale")):
        with pytest.raises(LeaseLost):
            await write
    assert await platform.tasks.get(old.task.id) == new.task


async def test_a_worker_learns_which_attempts_it_lost_and_how_their_tasks_stand(platform: Platform) -> None:
    by = await worker(platform)
    ids = [(await create(platform)).id for _ in range(4)]
    held = {each.task.id: each.attempt for each in await claim(platform, by, 4)}
    assert await platform.work.lost(held) == {}
    await platform.tasks.stop(ids[0])
    await platform.work.finish(ids[1], 1, Outcome(Status.Completed))
    held[ids[2]] = 7
    held["never made"] = 1
    assert await platform.work.lost(held) == {
        ids[0]: Status.Stopped,
        ids[1]: Status.Completed,
        ids[2]: Status.Executing,
        "never made": Status.Stopped,
    }
    assert await platform.work.lost({}) == {}


async def test_what_a_leaving_worker_holds_is_pending_again_uncharged(
    platform: Platform, open_platform: OpenPlatform
) -> None:
    other = await open_platform()
    staying = await worker(other)
    leaving, assignment = await run(platform)
    await create(platform)
    (kept,) = await claim(other, staying)
    await platform.work.leave(leaving.id)
    task = await platform.tasks.get(assignment.task.id)
    assert (task.status, task.crashes, task.errors) == (Status.Pending, 0, 0)
    assert await other.tasks.get(kept.task.id) == kept.task
    assert await numbers(platform, task.id) == [1, 2, 3]


async def test_renewing_holds_on_to_a_workers_leases(platform: Platform, sql: Sql) -> None:
    by = await worker(platform)
    await sql("update worker.workers set lease_until = '2020-01-01'")
    await platform.work.renew(by.id)
    assert await sql("select lease_until > now() + interval '29 s' from worker.workers") == [(True,)]


async def test_an_unknown_worker_cannot_renew(platform: Platform) -> None:
    with pytest.raises(NotFound):
        await platform.work.renew("unknown")


async def test_a_worker_that_begins_to_leave_is_shown_as_draining_until_it_registers_again(
    platform: Platform, sql: Sql
) -> None:
    by = await worker(platform)
    assert await sql("select is_draining from worker.workers") == [(False,)]
    await platform.work.drain(by.id)
    assert await sql("select is_draining from worker.workers") == [(True,)]
    await platform.work.register(by)
    assert await sql("select is_draining from worker.workers") == [(False,)]


async def test_a_worker_tells_how_worn_it_is(platform: Platform, sql: Sql) -> None:
    by = await worker(platform)
    await platform.work.report(by.id, WorkerWear(2, 2**33, 7, ("b", "a"), ("shop.py:7 in look hangs",)))
    (found,) = await sql("select hung_threads, memory, runs, recent, troubles from worker.workers")
    assert found == (2, 2**33, 7, ["b", "a"], ["shop.py:7 in look hangs"])
    with pytest.raises(NotFound):
        await platform.work.report("nobody", WorkerWear(0, 1, 1))


async def test_nobody_drains_who_is_no_worker(platform: Platform) -> None:
    await worker(platform)
    with pytest.raises(NotFound):
        await platform.work.drain("nobody")
