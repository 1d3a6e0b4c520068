"""What a task's files held when they were first read is kept with the task, for later attempts and for readers."""

import hashlib
from dataclasses import replace

import pytest

from tests.contract.conftest import OpenPlatform, Sql
from tests.contract.steps import claim, create, finish, hand_back, run, snapshot, worker
from worker.contracts import Platform
from worker.words.errors import LeaseLost, TaskNotFound, ValidationError
from worker.words.tasks import AgentExecutionInput, NewTask
from worker.words.work import KeptFile, url_digest

URL = "https://example.com/a.csv?signature=secret"
pytestmark = pytest.mark.needs("keeps_files")


async def kept(platform: Platform, content: bytes = b"a,b\n", url: str = URL) -> KeptFile:
    reference = await platform.tasks.store_file("a.csv", "text/csv", content)
    return KeptFile(url_digest(url), reference, "text/csv; charset=utf-8", "a.csv", len(content))


async def test_what_an_attempt_keeps_is_there_for_the_next_one_and_for_readers(platform: Platform) -> None:
    by, first = await run(platform)
    file = await kept(platform)
    await platform.work.keep_files(first.task.id, first.attempt, [file])
    await hand_back(platform, first)
    (second,) = await claim(platform, by)
    assert await platform.tasks.kept_files(first.task.id) == [file]
    await finish(platform, second)
    assert await platform.tasks.kept_files(first.task.id) == [file]
    assert (await platform.tasks.open_file(file.reference)).content == b"a,b\n"


async def test_keeping_is_fenced_and_tells_nothing(platform: Platform) -> None:
    by, first = await run(platform)
    file = await kept(platform)
    await hand_back(platform, first)
    (second,) = await claim(platform, by)
    before = await snapshot(platform, first.task.id)
    with pytest.raises(LeaseLost):
        await platform.work.keep_files(first.task.id, first.attempt, [file])
    assert await platform.tasks.kept_files(first.task.id) == []
    await platform.work.keep_files(first.task.id, second.attempt, [file])
    assert await snapshot(platform, first.task.id) == before
    await finish(platform, second)
    with pytest.raises(LeaseLost):
        await platform.work.keep_files(first.task.id, second.attempt, [file])


async def test_what_was_kept_first_stands(platform: Platform) -> None:
    _, assignment = await run(platform)
    first, second = await kept(platform, b"first"), await kept(platform, b"second")
    await platform.work.keep_files(assignment.task.id, assignment.attempt, [first])
    await platform.work.keep_files(assignment.task.id, assignment.attempt, [second, second])
    assert await platform.tasks.kept_files(assignment.task.id) == [first]


async def test_many_tasks_keep_the_same_content_once(platform: Platform, sql: Sql) -> None:
    file = replace(await kept(platform), name="hostile\0\n\u202e name", media_type="\0")
    runs = [(await run(platform))[1] for _ in range(3)]
    for assignment in runs:
        await platform.work.keep_files(assignment.task.id, assignment.attempt, [file])
    assert await sql("select count(*) from worker.files") == [(1,)]
    assert await sql("select count(*) from worker.task_files") == [(3,)]
    (there,) = await platform.tasks.kept_files(runs[0].task.id)
    assert (there.name, there.media_type) == ("hostile\ufffd\n\u202e name", "\ufffd")
    assert await sql("select count(*) from worker.task_files where url_digest = %s", url_digest(URL)) == [(3,)]


async def test_nothing_is_kept_that_is_not_stored(platform: Platform) -> None:
    _, assignment = await run(platform)
    unknown = KeptFile(url_digest(URL), f"worker:{'0' * 64}/a.csv")
    await platform.work.keep_files(assignment.task.id, assignment.attempt, [unknown])
    assert await platform.tasks.kept_files(assignment.task.id) == []
    with pytest.raises(ValidationError):
        await platform.work.keep_files(assignment.task.id, assignment.attempt, [replace(unknown, reference="a.csv")])


async def test_an_uploaded_file_is_its_tasks_from_the_creation_on(platform: Platform) -> None:
    reference = await platform.tasks.store_file("a.csv", "text/csv", b"a,b\n")
    files = [reference, reference, "https://example.com/b.csv", f"worker:{'0' * 64}/unknown"]
    task = await platform.tasks.create(NewTask(agent_id="a", input=AgentExecutionInput(text="x", files=files)))
    (file,) = await platform.tasks.kept_files(task.id)
    assert (file.url_digest, file.size) == (hashlib.sha256(reference.encode()).hexdigest(), 4)
    assert (await platform.tasks.open_file(file.reference)).content == b"a,b\n"
    assert (await platform.tasks.get(task.id)).input.files == files


async def test_a_task_that_is_created_again_has_its_new_inputs_files_alone(platform: Platform) -> None:
    by, first = await run(platform)
    await platform.work.keep_files(first.task.id, first.attempt, [await kept(platform)])
    await finish(platform, first)
    await platform.tasks.retry(first.task.id)
    assert len(await platform.tasks.kept_files(first.task.id)) == 1
    (second,) = await claim(platform, by)
    await finish(platform, second)
    reference = await platform.tasks.store_file("b.csv", "text/csv", b"new")
    wish = NewTask(id=first.task.id, agent_id=first.task.agent_id, input=AgentExecutionInput(files=[URL, reference]))
    await platform.tasks.create(wish)
    assert [file.size for file in await platform.tasks.kept_files(first.task.id)] == [3]


async def test_files_of_an_unknown_or_foreign_task_are_not_found(
    platform: Platform, open_platform: OpenPlatform
) -> None:
    other = await open_platform("other")
    task = await create(platform)
    for task_id in ("unknown", task.id):
        with pytest.raises(TaskNotFound):
            await other.tasks.kept_files(task_id)
    await worker(other)
    with pytest.raises(TaskNotFound):
        await other.work.keep_files(task.id, 1, [await kept(other)])
