import asyncio
from typing import Any

import pydantic
import pytest

from tests.contract.conftest import OpenPlatform
from tests.contract.steps import bring_to, claim, create, finish, log, run, wish, worker
from worker.contracts import Platform
from worker.words.errors import Conflict, NotFound, TaskNotFound, ValidationError
from worker.words.events import NewEvent
from worker.words.outcomes import Outcome
from worker.words.statuses import AgentExecutionStatus as Status
from worker.words.statuses import TaskUpdateEventType as Type
from worker.words.task_lists import TaskQuery
from worker.words.tasks import AgentExecutionInput, NewTask, User


async def test_a_created_task_is_pending_and_was_never_tried(platform: Platform) -> None:
    task = await create(platform, "What is in it?", title="Quarterly figures")
    assert task.status is Status.Pending
    assert (task.execution_attempts, task.crashes, task.errors) == (0, 0, 0)
    assert task.input.text == "What is in it?"
    assert task.started_at is task.finished_at is task.result is None
    assert await platform.tasks.get(task.id) == task


async def test_a_created_task_is_there_for_another_process_as_soon_as_create_returns(
    platform: Platform, open_platform: OpenPlatform
) -> None:
    other = await open_platform()
    task = await create(platform)
    assert await other.tasks.get(task.id) == task


async def test_a_created_task_survives_the_process_that_created_it(open_platform: OpenPlatform) -> None:
    first = await open_platform()
    task = await create(first)
    await first.close()
    assert await (await open_platform()).tasks.get(task.id) == task


async def test_a_wish_with_a_key_makes_one_task_for_its_agent(platform: Platform) -> None:
    new = NewTask(agent_id="analyst", input=AgentExecutionInput(text="x"))
    made = await asyncio.gather(*(platform.tasks.create(new, key="order-17") for _ in range(4)))
    assert len({each.id for each in made}) == 1
    other = new.model_copy(update={"agent_id": "writer"})
    assert (await platform.tasks.create(other, key="order-17")).id != made[0].id
    assert (await platform.tasks.create(new, key="order-18")).id != made[0].id


async def test_creating_logs_task_created_with_the_whole_task(platform: Platform) -> None:
    task = await create(platform, title="Figures", payload_extension={"a": 1}, source="cron")
    (event,) = await log(platform, task.id)
    assert (event.number, event.type, event.attempt, event.time) == (1, Type.TaskCreated, None, task.created_at)
    assert event.data == task


async def test_everything_given_at_create_is_kept(platform: Platform) -> None:
    user = User.model_validate({"id": "u1", "first_name": "Ada", "nickname": "countess", "timezone": "Europe/London"})
    new = NewTask(
        agent_id="analyst",
        input=AgentExecutionInput(text="x", files=["https://example.com/a.pdf"], user=user),
        output_schema={"type": "object"},
        additional_context="be brief",
        title="T",
        events_streaming=True,
        tool_call_limit=3,
        payload_extension={"deep": [{"er": None}]},
    )
    task = await platform.tasks.create(new)
    kept = (await platform.tasks.get(task.id)).model_dump(include=set(NewTask.model_fields) - {"id"})
    assert kept == new.model_dump(exclude={"id"})


SECRET = "canary-0123456789"


async def test_secrets_of_a_task_are_shown_to_its_run_alone(platform: Platform) -> None:
    secrets: dict[str, Any] = {"user_tokens": {"crm": SECRET}, "user_oidc_token": f"oidc {SECRET}"}
    by = await worker(platform)
    task = await create(platform, **secrets)
    (assignment,) = await claim(platform, by)
    assert assignment.task.model_dump(include=set(secrets)) == secrets
    await platform.work.finish(task.id, assignment.attempt, Outcome(Status.Completed, {"result": "done"}))
    again = await create(platform, id=task.id, user_tokens={"crm": f"{SECRET} too"})
    seen = [
        task,
        again,
        await platform.tasks.get(task.id),
        *await platform.tasks.find(TaskQuery()),
        *await log(platform, task.id),
        await platform.tasks.activity(task.id),
        *await platform.tasks.attempts(task.id),
    ]
    assert len(seen) > 8
    assert [each for each in seen if SECRET in each.model_dump_json()] == []
    (assignment,) = await claim(platform, by)
    assert assignment.task.user_tokens == {"crm": f"{SECRET} too"}
    assert assignment.task.user_oidc_token is None


async def test_more_secrets_than_a_worker_can_hide_are_refused(platform: Platform) -> None:
    fit: dict[str, Any] = {
        "user_tokens": {str(number): f"{number:08}" for number in range(1_000)},
        "user_oidc_token": "x" * 200_000,
    }
    assert (await create(platform, **fit)).id
    beyond: tuple[dict[str, Any], ...] = (
        {"user_tokens": {"nested": [{"a": f"{number:08}"} for number in range(1_001)]}},
        {"user_tokens": {"a": "x" * 200_000, "b": "x" * 100_000}},
        {"user_oidc_token": "x" * 300_000},
    )
    for more in beyond:
        with pytest.raises(ValidationError, match="a task may have at most"):
            await create(platform, **more)


async def test_a_task_that_the_caller_runs_itself_is_not_dispatched(platform: Platform) -> None:
    task = await create(platform, run_locally=True, worker_id="mine")
    assert (task.status, task.execution_attempts) == (Status.Executing, 1)
    assert await platform.tasks.get(task.id) == task
    assert (await log(platform, task.id))[0].data == task
    by = await worker(platform)
    assert await claim(platform, by, seconds=0) == []


async def test_an_input_with_neither_text_nor_files_is_refused_and_nothing_is_stored(platform: Platform) -> None:
    with pytest.raises(pydantic.ValidationError, match="either text or files must be provided"):
        NewTask.model_validate({"agent_id": "a", "input": {"text": "", "files": []}})
    assert await platform.tasks.find(TaskQuery()) == []


@pytest.mark.parametrize("agent", ["", "a b", "ä", "x" * 129, "a/b", "a\0"])
async def test_an_agent_id_of_another_form_is_refused(platform: Platform, agent: str) -> None:
    with pytest.raises(ValidationError, match="agent_id must be 1 to 128 characters"):
        wish(agent=agent)
    assert await platform.tasks.find(TaskQuery()) == []


async def test_creating_with_an_unknown_id_finds_nothing_and_stores_nothing(platform: Platform) -> None:
    with pytest.raises(NotFound):
        await create(platform, id="never-made")
    assert await platform.tasks.find(TaskQuery()) == []


@pytest.mark.parametrize("status", [Status.Completed, Status.Error, Status.Failed, Status.Stopped, Status.Paused])
async def test_creating_with_the_id_of_a_finished_task_runs_it_again_with_the_new_input(
    platform: Platform, status: Status
) -> None:
    before = await bring_to(platform, status)
    again = await create(platform, "Something else.", id=before.id, title="Second", additional_context="new")
    assert (again.id, again.status, again.input.text) == (before.id, Status.Pending, "Something else.")
    assert (again.title, again.additional_context) == ("Second", "new")
    assert (again.execution_attempts, again.result, again.finished_at) == (before.execution_attempts, None, None)


async def test_events_before_a_second_create_still_show_the_first_input(platform: Platform) -> None:
    _, assignment = await run(platform, text="first")
    await finish(platform, assignment, result="one")
    task_id = assignment.task.id
    await create(platform, "second", id=task_id)
    await platform.tasks.stop(task_id)
    await create(platform, "third", id=task_id)
    texts = [event.data.input.text for event in await log(platform, task_id)]
    assert texts == ["first", "first", "first", "second", "second", "third"]
    assert [event.data.input.text for event in await log(platform, task_id, after=2)] == texts[2:]


async def test_a_second_create_is_found_by_its_new_user_and_parent(platform: Platform) -> None:
    task = await create(platform)
    await platform.tasks.stop(task.id)
    new = NewTask(
        id=task.id,
        agent_id=task.agent_id,
        input=AgentExecutionInput(text="x", user=User(id="u9")),
        parent_execution="p9",
    )
    await platform.tasks.create(new)
    (item,) = await platform.tasks.find(TaskQuery(user_id="u9", parent_task_id="p9"))
    assert item.id == task.id


@pytest.mark.parametrize("status", [Status.Pending, Status.Executing])
async def test_creating_with_the_id_of_an_unfinished_task_is_a_conflict(platform: Platform, status: Status) -> None:
    before = await bring_to(platform, status)
    with pytest.raises(Conflict):
        await create(platform, "Something else.", id=before.id)
    assert await platform.tasks.get(before.id) == before


@pytest.mark.parametrize("task_id", ["unknown", "a\0b", "\ud800", "x" * 500, ""])
async def test_a_task_that_is_not_there_is_not_found_by_any_verb(platform: Platform, task_id: str) -> None:
    tasks = platform.tasks
    for verb in (tasks.get, tasks.stop, tasks.retry, tasks.activity):
        with pytest.raises(TaskNotFound):
            await verb(task_id)
    with pytest.raises(TaskNotFound):
        await tasks.update(task_id, {"result": "x"})
    with pytest.raises(TaskNotFound):
        await tasks.push(task_id, [NewEvent(type=Type.Note, data={"text": "x"})])
    with pytest.raises(TaskNotFound):
        await anext(aiter(tasks.events(task_id)))


async def test_hostile_characters_in_a_task_come_back_as_replacement_characters(platform: Platform) -> None:
    task = await create(
        platform,
        "a\0b",
        title="t\0",
        additional_context="c\0",
        parent_execution="p\0",
        payload_extension={"k\0": ["v\0", float("nan"), "\\u0000", "\\\0"]},
    )
    task = await platform.tasks.get(task.id)
    assert (task.input.text, task.title, task.additional_context) == ("a\ufffdb", "t\ufffd", "c\ufffd")
    assert task.parent_execution == "p\ufffd"
    assert task.payload_extension == {"k\ufffd": ["v\ufffd", None, "\\u0000", "\\\ufffd"]}


async def test_a_task_cannot_run_again_as_another_agents(platform: Platform) -> None:
    before = await create(platform)
    await platform.tasks.stop(before.id)
    with pytest.raises(Conflict, match="cannot be run again by another agent"):
        await platform.tasks.create(wish("Something else.", id=before.id).model_copy(update={"agent_id": "another"}))
    assert (await platform.tasks.get(before.id)).status is Status.Stopped
