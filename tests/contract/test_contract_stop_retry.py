import pytest

from tests.contract.steps import bring_to, claim, create, finish, hand_back, log, note, run, snapshot, worker
from worker.contracts import Platform
from worker.words.errors import Conflict, LeaseLost
from worker.words.statuses import TERMINAL
from worker.words.statuses import AgentExecutionStatus as Status
from worker.words.statuses import TaskUpdateEventType as Type
from worker.words.work import JournalEntry

TERMINALS = sorted(TERMINAL)


@pytest.mark.parametrize("status", [Status.Pending, Status.Executing, Status.Paused])
async def test_stop_ends_a_task_that_is_not_terminal(platform: Platform, status: Status) -> None:
    task = await bring_to(platform, status)
    stopped = await platform.tasks.stop(task.id)
    assert (stopped.status, stopped.is_manually_stopped) == (Status.Stopped, True)
    assert stopped.finished_at is not None
    event = (await log(platform, task.id))[-1]
    assert (event.type, event.data) == (Type.TaskFinished, stopped)


@pytest.mark.parametrize("status", TERMINALS)
async def test_stop_leaves_a_terminal_task_as_it_is(platform: Platform, status: Status) -> None:
    task = await bring_to(platform, status)
    before = await snapshot(platform, task.id)
    assert await platform.tasks.stop(task.id) == task
    assert await snapshot(platform, task.id) == before


async def test_a_stopped_task_is_not_claimed(platform: Platform) -> None:
    task = await create(platform)
    await platform.tasks.stop(task.id)
    assert await claim(platform, await worker(platform), seconds=0) == []


@pytest.mark.needs("fencing")
async def test_nothing_overwrites_stopped(platform: Platform) -> None:
    _, assignment = await run(platform)
    task_id, attempt = assignment.task.id, assignment.attempt
    await platform.tasks.stop(task_id)
    before = await snapshot(platform, task_id)
    assert await platform.work.lost({task_id: attempt}) == {task_id: Status.Stopped}
    with pytest.raises(LeaseLost):
        await finish(platform, assignment, result="late")
    with pytest.raises(LeaseLost):
        await hand_back(platform, assignment, error="late")
    with pytest.raises(LeaseLost):
        await platform.work.emit(task_id, attempt, [note()], [JournalEntry("k", "1")])
    with pytest.raises(LeaseLost):
        await platform.tasks.update(task_id, {"status": "completed"}, attempt=attempt)
    await platform.tasks.update(task_id, {"status": "completed", "result": "late"})
    assert await snapshot(platform, task_id) == before


@pytest.mark.parametrize("status", [*TERMINALS, Status.Paused])
async def test_retry_queues_a_terminal_or_paused_task_again(platform: Platform, status: Status) -> None:
    before = await bring_to(platform, status)
    task = await platform.tasks.retry(before.id)
    assert (task.status, task.result, task.is_manually_stopped) == (Status.Pending, None, False)
    assert task.started_at is task.finished_at is task.paused_at is None
    assert (task.crashes, task.errors, task.execution_attempts) == (0, 0, before.execution_attempts)
    event = (await log(platform, task.id))[-1]
    assert (event.type, event.data) == (Type.TaskUpdated, task)


@pytest.mark.parametrize("status", [Status.Pending, Status.Executing])
async def test_retry_of_an_unfinished_task_is_a_conflict_and_changes_nothing(
    platform: Platform, status: Status
) -> None:
    task = await bring_to(platform, status)
    before = await snapshot(platform, task.id)
    with pytest.raises(Conflict):
        await platform.tasks.retry(task.id)
    assert await snapshot(platform, task.id) == before


async def test_an_attempt_is_never_used_twice(platform: Platform) -> None:
    by, first = await run(platform)
    attempts = [first.attempt]
    await finish(platform, first)
    for _ in range(2):
        await platform.tasks.retry(first.task.id)
        (again,) = await claim(platform, by)
        attempts.append(again.attempt)
        await finish(platform, again)
    assert attempts == [1, 2, 3]


@pytest.mark.needs("fencing")
async def test_an_attempt_from_before_a_retry_is_stale(platform: Platform) -> None:
    by, old = await run(platform)
    await platform.tasks.stop(old.task.id)
    await platform.tasks.retry(old.task.id)
    with pytest.raises(LeaseLost):
        await finish(platform, old, result="late")
    (new,) = await claim(platform, by)
    with pytest.raises(LeaseLost):
        await finish(platform, old, result="late")
    await finish(platform, new, result="new")
    assert (await platform.tasks.get(old.task.id)).result == "new"


@pytest.mark.needs("resume")
@pytest.mark.parametrize("status", TERMINALS)
async def test_retry_resumes_or_drops_the_journal_as_it_is_told(platform: Platform, status: Status) -> None:
    _, assignment = await run(platform)
    await platform.work.emit(assignment.task.id, assignment.attempt, [], [JournalEntry("k", "1")])
    await platform.tasks.update(assignment.task.id, {"status": status})
    assert await platform.work.journal(assignment.task.id) == {"k": "1"}
    await platform.tasks.retry(assignment.task.id, resume=True)
    assert await platform.work.journal(assignment.task.id) == {"k": "1"}
    await platform.tasks.update(assignment.task.id, {"status": status})
    await platform.tasks.retry(assignment.task.id, resume=False)
    assert await platform.work.journal(assignment.task.id) == {}


@pytest.mark.needs("resume")
@pytest.mark.parametrize("status", TERMINALS)
async def test_by_itself_a_retry_resumes_what_did_not_complete(platform: Platform, status: Status) -> None:
    _, assignment = await run(platform)
    await platform.work.emit(assignment.task.id, assignment.attempt, [], [JournalEntry("k", "1")])
    await platform.tasks.update(assignment.task.id, {"status": status})
    await platform.tasks.retry(assignment.task.id)
    kept = {} if status is Status.Completed else {"k": "1"}
    assert await platform.work.journal(assignment.task.id) == kept


@pytest.mark.needs("resume")
async def test_retry_of_a_paused_task_keeps_its_journal_so_that_it_resumes(platform: Platform) -> None:
    _, assignment = await run(platform)
    await platform.work.emit(assignment.task.id, assignment.attempt, [], [JournalEntry("k", "1")])
    await finish(platform, assignment, Status.Paused, hitl_request={"question": "May I?"})
    task = await platform.tasks.retry(assignment.task.id)
    assert task.hitl_request is None
    assert await platform.work.journal(assignment.task.id) == {"k": "1"}


async def test_a_terminal_tasks_later_internal_status_is_told_by_the_events_after_its_retry(
    platform: Platform,
) -> None:
    _, assignment = await run(platform)
    await finish(platform, assignment, internal_status="first")
    await platform.tasks.update(assignment.task.id, {"internal_status": "second"})
    task = await platform.tasks.retry(assignment.task.id)
    finished, retried = (await log(platform, task.id))[-2:]
    assert (finished.data.internal_status, retried.data) == ("first", task)
