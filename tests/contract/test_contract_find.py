from datetime import UTC, datetime
from typing import Any

import pydantic
import pytest

from tests.contract.steps import claim, create, finish, run, worker
from worker.contracts import Platform
from worker.words.statuses import AgentExecutionStatus as Status
from worker.words.task_lists import TaskQuery
from worker.words.tasks import AgentExecutionInput, NewTask, User


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


async def test_tasks_are_found_by_why_their_answer_ended(platform: Platform) -> None:
    await create(platform)
    for reason in ("stop", "length"):
        _, assignment = await run(platform)
        await finish(platform, assignment, result="The steps are", finish_reason=reason)
    (item,) = await platform.tasks.find(TaskQuery(finish_reason="length", status=Status.Completed))
    assert item.finish_reason == "length"
    task = await platform.tasks.get(item.id)
    assert task.finish_reason == "length"
    events = [each.data async for each in platform.tasks.events(item.id)]
    assert events[-1].finish_reason == "length"
    assert (await platform.tasks.retry(item.id)).finish_reason is None
    assert await found(platform, finish_reason="length") == []


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


async def test_tasks_are_found_by_several_agents_and_several_statuses(platform: Platform) -> None:
    await create(platform, agent="other")
    stopped = await create(platform, agent="writer")
    await platform.tasks.stop(stopped.id)
    waiting = await create(platform)
    assert await found(platform, agents=("writer", "analyst", "unknown")) == [waiting.id, stopped.id]
    assert await found(platform, statuses=(Status.Stopped, Status.Error)) == [stopped.id]
    assert await found(platform, agents=("writer", "analyst"), statuses=(Status.Pending, Status.Error)) == [waiting.id]
    assert await found(platform, agents=("writer",), agent_id="analyst") == []
    assert await found(platform, agents=()) == []
    assert await found(platform, agents=(), status=Status.Pending) == []
    assert await found(platform, agents=("writer", "analyst"), user_id="nobody") == []


@pytest.mark.parametrize("text", ["NEEDLE", "needle", "100%_\\'", "Grüße"])
async def test_tasks_are_found_by_text_in_their_input_title_result_and_internal_status(
    platform: Platform, text: str
) -> None:
    await create(platform)
    hay = "hay " + "".join(letter.swapcase() if letter.isascii() else letter for letter in text) + " hay"
    by_input = await create(platform, hay)
    by_title = await create(platform, title=hay)
    by_result = await create(platform)
    await platform.tasks.update(by_result.id, {"status": "completed", "result": hay})
    by_status = await create(platform)
    await platform.tasks.update(by_status.id, {"internal_status": hay})
    wanted = [by_status.id, by_result.id, by_title.id, by_input.id]
    assert await found(platform, text=text) == wanted
    assert await found(platform, text=text, limit=2, before=wanted[0]) == wanted[1:3]
    assert await found(platform, text=by_title.id[-12:]) == [by_title.id]


async def test_tasks_are_found_by_when_they_were_created(platform: Platform, sql: Any) -> None:
    old, middle, young = [(await create(platform)).id for _ in range(3)]
    for day, task_id in enumerate([old, middle, young], start=1):
        await sql(
            "update worker.tasks set created_at = %s::timestamptz where id = %s", f"2026-01-0{day}T00:00Z", task_id
        )
    second, third = datetime(2026, 1, 2, tzinfo=UTC), datetime(2026, 1, 3)  # noqa: DTZ001 - without a zone it is UTC
    assert await found(platform, created_after=second) == [young, middle]
    assert await found(platform, created_before=third) == [middle, old]
    assert await found(platform, created_after=second, created_before=third) == [middle]


async def test_tasks_are_counted_by_status(platform: Platform) -> None:
    nothing = dict.fromkeys(Status, 0)
    assert await platform.tasks.counts(TaskQuery()) == nothing
    for _ in range(3):
        await create(platform)
    stopped = await create(platform, "needle", agent="writer")
    await platform.tasks.stop(stopped.id)
    assert await platform.tasks.counts(TaskQuery()) == nothing | {Status.Pending: 3, Status.Stopped: 1}
    assert await platform.tasks.counts(TaskQuery(agent_id="writer")) == nothing | {Status.Stopped: 1}
    assert await platform.tasks.counts(TaskQuery(agents=("analyst", "x"))) == nothing | {Status.Pending: 3}
    assert await platform.tasks.counts(TaskQuery(text="NEEDLE", status=Status.Pending, limit=1)) == nothing | {
        Status.Stopped: 1
    }
    assert await platform.tasks.counts(TaskQuery(agents=())) == nothing


async def test_another_organizations_tasks_are_neither_found_nor_counted(open_platform: Any) -> None:
    mine, others = await open_platform("mine"), await open_platform("others")
    task = await create(others, "needle")
    assert await found(mine, text="needle") == []
    assert await found(mine, before=task.id) == []
    assert sum((await mine.tasks.counts(TaskQuery())).values()) == 0


async def test_a_list_shows_how_a_tasks_input_begins_and_when_it_ran(platform: Platform) -> None:
    _, assignment = await run(platform, text="word " * 100)
    await platform.tasks.stop(assignment.task.id)
    (item,) = await platform.tasks.find(TaskQuery())
    task = await platform.tasks.get(assignment.task.id)
    assert item.text == ("word " * 40)
    assert (item.started_at, item.finished_at) == (task.started_at, task.finished_at)


async def test_what_is_asked_for_twice_is_listed_once(platform: Platform) -> None:
    """``InProgress`` is another name of ``Executing``, and an agent may be named by two settings."""
    _, assignment = await run(platform)
    twice = (Status.Executing, Status.InProgress, Status.Pending)
    assert await found(platform, statuses=twice) == [assignment.task.id]
    assert await found(platform, agents=("analyst", "analyst", "writer")) == [assignment.task.id]
    assert (await platform.tasks.counts(TaskQuery(agents=("analyst", "analyst"))))[Status.Executing] == 1
