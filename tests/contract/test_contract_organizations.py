from contextlib import suppress

import pytest

from tests.contract.conftest import OpenPlatform, Sql
from tests.contract.steps import claim, create, deliver, finish, note, run, snapshot, worker
from worker.contracts import Platform
from worker.words.agents import AgentRecord
from worker.words.errors import AgentNotFound, FileNotStored, TaskNotFound
from worker.words.outcomes import HandBack, Outcome
from worker.words.statuses import AgentExecutionStatus as Status
from worker.words.statuses import TaskUpdateEventType as Type
from worker.words.task_lists import TaskQuery
from worker.words.work import JournalEntry, Subscription


@pytest.fixture
async def stranger(open_platform: OpenPlatform) -> Platform:
    """The same database, another organization."""
    return await open_platform("strangers")


async def test_another_organizations_task_is_not_found(platform: Platform, stranger: Platform) -> None:
    _, assignment = await run(platform)
    task_id, attempt = assignment.task.id, assignment.attempt
    await platform.work.emit(task_id, attempt, [], [JournalEntry("k", "1")])
    before = await snapshot(platform, task_id)
    tasks, work = stranger.tasks, stranger.work
    for verb in (
        lambda: tasks.get(task_id),
        lambda: tasks.stop(task_id),
        lambda: tasks.retry(task_id),
        lambda: tasks.activity(task_id),
        lambda: tasks.update(task_id, {"result": "x"}),
        lambda: tasks.update(task_id, {"result": "x"}, attempt=attempt),
        lambda: tasks.push(task_id, [note()]),
        lambda: create(stranger, id=task_id),
        lambda: work.emit(task_id, attempt, [note()], [JournalEntry("l", "1")]),
        lambda: work.finish(task_id, attempt, Outcome(Status.Completed)),
        lambda: work.hand_back(task_id, attempt, HandBack()),
        lambda: anext(aiter(tasks.events(task_id))),
    ):
        with pytest.raises(TaskNotFound):
            await verb()
    for read in (lambda: work.journal(task_id), lambda: work.earlier_events(task_id, attempt + 1)):
        with suppress(TaskNotFound):  # a server says so, since whoever asks has not claimed it
            assert not await read()
    assert await work.lost({task_id: attempt}) == {task_id: Status.Stopped}
    assert await tasks.find(TaskQuery()) == []
    assert await snapshot(platform, task_id) == before


async def test_another_organizations_tasks_are_not_claimed(platform: Platform, stranger: Platform) -> None:
    await create(platform)
    by = await worker(stranger)
    assert await claim(stranger, by, seconds=0) == []
    assert await claim(stranger, by, seconds=0, agents={}, others=5) == []


async def test_another_organizations_files_are_not_found(platform: Platform, stranger: Platform) -> None:
    reference = await platform.tasks.store_file("a", "text/plain", b"x")
    with pytest.raises(FileNotStored):
        await stranger.tasks.open_file(reference)


async def test_another_organizations_agents_are_not_found(platform: Platform, stranger: Platform) -> None:
    await platform.tasks.save_agent(AgentRecord(id="a1", name="A", unique_name="a"))
    with pytest.raises(AgentNotFound):
        await stranger.tasks.get_agent("a1")
    assert await stranger.tasks.list_agents() == []
    theirs = await stranger.tasks.save_agent(AgentRecord(id="a1", name="B", unique_name="b"))
    assert (theirs.version, theirs.organization_id) == (1, "strangers")
    assert (await platform.tasks.get_agent("a1")).name == "A"


async def test_another_organizations_events_are_not_delivered(platform: Platform, stranger: Platform, sql: Sql) -> None:
    by = await worker(stranger, subscriptions=[Subscription("h", Type.TaskFinished)])
    _, assignment = await run(platform)
    await finish(platform, assignment)
    assert await deliver(stranger, by, seconds=0) == []
    assert await sql("select count(*) from worker.cursors") == [(0,)]
