"""A task's attempts: who ran it when, and how that ended."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tests.contract.conftest import OpenPlatform, Sql
from tests.contract.steps import claim, create, finish, hand_back, run
from worker.contracts import Platform
from worker.words.attempts import Attempt
from worker.words.attempts import AttemptOutcome as Ended
from worker.words.errors import TaskNotFound
from worker.words.statuses import AgentExecutionStatus as Status
from worker.words.tasks import AgentExecutionInput, NewTask
from worker.words.work import Assignment


async def only(platform: Platform, task_id: str) -> Attempt:
    (attempt,) = await platform.tasks.attempts(task_id)
    return attempt


async def test_a_task_that_nobody_claimed_has_none(platform: Platform) -> None:
    assert await platform.tasks.attempts((await create(platform)).id) == []


async def test_a_running_attempt_has_a_worker_and_no_end(platform: Platform) -> None:
    by, held = await run(platform)
    attempt = await only(platform, held.task.id)
    assert (attempt.number, attempt.outcome, attempt.ended_at) == (1, Ended.Running, None)
    assert (attempt.worker_id, attempt.worker, attempt.by_hand) == (by.id, by.name, False)
    assert attempt.started_at == held.task.started_at


async def completed(platform: Platform, held: Assignment) -> None:
    await finish(platform, held, result="R")


async def raised(platform: Platform, held: Assignment) -> None:
    await finish(platform, held, Status.Error, result="no luck")


async def timed_out(platform: Platform, held: Assignment) -> None:
    await finish(platform, held, Status.Failed, result="time limit of 5 s")


async def paused(platform: Platform, held: Assignment) -> None:
    await finish(platform, held, Status.Paused)


async def stopped(platform: Platform, held: Assignment) -> None:
    await platform.tasks.stop(held.task.id)


async def tried_again(platform: Platform, held: Assignment) -> None:
    await hand_back(platform, held, error="not now")


async def handed_back(platform: Platform, held: Assignment) -> None:
    await hand_back(platform, held)


async def crashed(platform: Platform, held: Assignment) -> None:
    await platform.work.crashed(held.task.id, held.attempt, "was killed by signal 11")


@pytest.mark.parametrize(
    ("end", "outcome", "error"),
    [
        (completed, Ended.Completed, None),
        (raised, Ended.Error, "no luck"),
        (timed_out, Ended.Failed, "time limit of 5 s"),
        (paused, Ended.Paused, None),
        (stopped, Ended.Stopped, None),
        (tried_again, Ended.Error, "not now"),
        (handed_back, Ended.HandedBack, None),
        (crashed, Ended.Crashed, "was killed by signal 11"),
    ],
)
async def test_how_an_attempt_ended(
    platform: Platform, end: Callable[[Platform, Assignment], Awaitable[Any]], outcome: Ended, error: str | None
) -> None:
    _, held = await run(platform)
    await end(platform, held)
    attempt = await only(platform, held.task.id)
    assert (attempt.outcome, attempt.error) == (outcome, error)
    assert attempt.ended_at is not None
    assert attempt.ended_at >= attempt.started_at


async def test_a_worker_that_leaves_has_handed_back(platform: Platform) -> None:
    by, held = await run(platform)
    await platform.work.leave(by.id)
    assert (await only(platform, held.task.id)).outcome is Ended.HandedBack


async def test_every_attempt_is_told_also_those_before_a_retry_by_hand(platform: Platform) -> None:
    by, first = await run(platform)
    await hand_back(platform, first, error="not now")
    (second,) = await claim(platform, by)
    await finish(platform, second, result="R")
    task_id = first.task.id
    await platform.tasks.retry(task_id)
    (third,) = await claim(platform, by)
    await finish(platform, third)
    await platform.tasks.create(NewTask(id=task_id, agent_id="analyst", input=AgentExecutionInput(text="again")))
    (fourth,) = await claim(platform, by)
    await platform.tasks.stop(task_id)
    assert fourth.attempt == 4
    attempts = await platform.tasks.attempts(task_id)
    assert [(each.number, each.outcome, each.by_hand) for each in attempts] == [
        (1, Ended.Error, False),
        (2, Ended.Completed, False),
        (3, Ended.Completed, True),
        (4, Ended.Stopped, True),
    ]
    assert all(each.worker == by.name for each in attempts)


async def test_what_happens_between_attempts_is_none_of_theirs(platform: Platform) -> None:
    _, held = await run(platform)
    await platform.tasks.update(held.task.id, {"internal_status": "half"}, attempt=held.attempt)
    await hand_back(platform, held)
    await platform.tasks.update(held.task.id, {"title": "later"})
    await platform.tasks.stop(held.task.id)
    assert (await only(platform, held.task.id)).outcome is Ended.HandedBack


async def test_an_outside_holder_has_attempts_too(platform: Platform) -> None:
    task = await create(platform)
    await platform.tasks.update(task.id, {"status": "executing"})
    await platform.tasks.update(task.id, {"status": "completed", "result": "R"})
    attempt = await only(platform, task.id)
    assert (attempt.outcome, attempt.worker_id, attempt.worker) == (Ended.Completed, None, None)


async def test_the_attempts_of_a_worker_that_is_forgotten_are_told_all_the_same(platform: Platform, sql: Sql) -> None:
    by, held = await run(platform)
    await finish(platform, held)
    await sql("delete from worker.workers where id = %s", by.id)
    attempt = await only(platform, held.task.id)
    assert (attempt.outcome, attempt.worker_id, attempt.worker) == (Ended.Completed, by.id, None)


async def test_attempts_of_another_organizations_task_are_not_found(open_platform: OpenPlatform) -> None:
    mine, others = await open_platform("mine"), await open_platform("others")
    task = await create(mine)
    with pytest.raises(TaskNotFound):
        await others.tasks.attempts(task.id)
    with pytest.raises(TaskNotFound):
        await mine.tasks.attempts("unknown")
