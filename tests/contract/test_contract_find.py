from typing import Any

import pydantic
import pytest

from tests.contract.steps import claim, create, run, worker
from worker.contracts import Platform
from worker.words.statuses import AgentExecutionStatus as Status
from worker.words.tasks import AgentExecutionInput, NewTask, TaskQuery, User


async def found(platform: Platform, **query: Any) -> list[str]:
    return [item.id for item in await platform.tasks.find(TaskQuery(**query))]


async def test_tasks_are_listed_newest_first(platform: Platform) -> None:
    ids = [(await create(platform)).id for _ in range(4)]
    assert await found(platform) == ids[::-1]


@pytest.mark.parametrize(
    ("query", "settings"),
    [
        ({"agent_id": "writer"}, {"agent": "writer"}),
        ({"parent_task_id": "p1"}, {"parent_execution": "p1"}),
        ({"triggering_agent_id": "boss"}, {"triggering_agent_id": "boss"}),
    ],
)
async def test_a_filter_finds_what_has_it_and_nothing_else(
    platform: Platform, query: dict[str, Any], settings: dict[str, Any]
) -> None:
    await create(platform)
    wanted = await create(platform, **settings)
    assert await found(platform, **query) == [wanted.id]


async def test_tasks_are_found_by_their_user(platform: Platform) -> None:
    await create(platform)
    new = NewTask(agent_id="a", input=AgentExecutionInput(text="x", user=User(id="u1")))
    wanted = await platform.tasks.create(new)
    (item,) = await platform.tasks.find(TaskQuery(user_id="u1"))
    assert (item.id, item.user_id) == (wanted.id, "u1")


async def test_tasks_are_found_by_status_and_by_internal_status(platform: Platform) -> None:
    waiting = await create(platform)
    _, assignment = await run(platform)
    running = assignment.task.id
    waiting, running = (waiting.id, running) if waiting.id != running else ((await found(platform))[0], running)
    await platform.tasks.update(running, {"internal_status": "reading"})
    assert await found(platform, status=Status.Executing) == [running]
    assert await found(platform, status=Status.Pending) == [waiting]
    assert await found(platform, internal_status="reading") == [running]
    assert await found(platform, internal_status="reading", status=Status.Pending) == []


async def test_pages_follow_one_another_without_a_gap_or_a_repeat(platform: Platform) -> None:
    ids = [(await create(platform)).id for _ in range(7)][::-1]
    first = await found(platform, limit=3)
    await create(platform)  # what comes meanwhile shifts nothing
    second = await found(platform, limit=3, before=first[-1])
    third = await found(platform, limit=3, before=second[-1])
    assert first + second + third == ids
    assert await found(platform, limit=3, before=third[-1]) == []


async def test_tasks_of_one_moment_are_paged_without_a_gap_or_a_repeat(platform: Platform, sql: Any) -> None:
    ids = {(await create(platform)).id for _ in range(5)}
    await sql("update worker.tasks set created_at = '2026-01-01'")
    pages: list[str] = []
    while page := await found(platform, limit=2, before=pages[-1] if pages else None):
        pages += page
    assert sorted(pages) == sorted(ids)


@pytest.mark.parametrize("limit", [0, 1001, -1])
def test_a_page_has_1_to_1000_tasks(limit: int) -> None:
    with pytest.raises(pydantic.ValidationError):
        TaskQuery(limit=limit)


async def test_a_list_shows_what_became_of_a_task(platform: Platform) -> None:
    task = await create(platform, title="T", source="cron")
    by = await worker(platform)
    await claim(platform, by)
    await platform.tasks.update(task.id, {"status": "completed", "result": "R", "internal_status": "I"})
    (item,) = await platform.tasks.find(TaskQuery())
    assert (item.status, item.result, item.internal_status, item.title) == (Status.Completed, "R", "I", "T")
    assert item.source_node_type == "cron"
