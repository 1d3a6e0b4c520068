from typing import Any

import pytest

from tests.contract.steps import bring_to, claim, create, finish, hand_back, log, run, snapshot, worker
from worker.contracts import Platform
from worker.words.changes import MUTABLE
from worker.words.errors import Conflict, LeaseLost, TaskNotFound, TooLarge, ValidationError
from worker.words.statuses import TERMINAL
from worker.words.statuses import AgentExecutionStatus as Status
from worker.words.statuses import TaskUpdateEventType as Type

TERMINALS = sorted(TERMINAL)


@pytest.mark.parametrize("letter", ["x", "é", "\N{GRINNING FACE}"])
async def test_an_internal_status_of_255_characters_is_kept(platform: Platform, letter: str) -> None:
    task = await create(platform)
    await platform.tasks.update(task.id, {"internal_status": letter * 255})
    assert (await platform.tasks.get(task.id)).internal_status == letter * 255


@pytest.mark.parametrize("letter", ["x", "\N{GRINNING FACE}"])
async def test_an_internal_status_of_256_characters_is_refused_and_nothing_is_stored(
    platform: Platform, letter: str
) -> None:
    _, assignment = await run(platform)
    before = await snapshot(platform, assignment.task.id)
    changes: dict[str, Any] = {"internal_status": letter * 256, "result": "never"}
    for attempt in (None, assignment.attempt):
        with pytest.raises(ValidationError, match="internal_status has 256 characters; the maximum is 255"):
            await platform.tasks.update(assignment.task.id, changes, attempt=attempt)
    with pytest.raises(ValidationError, match="internal_status has 256 characters"):
        await finish(platform, assignment, **changes)
    assert await snapshot(platform, assignment.task.id) == before


@pytest.mark.parametrize(
    "changes",
    [
        {"status": "done"},
        {"internal_status": 5},
        {"title": ["no"]},
        {"tokens": {"prompt_tokens": "many"}},
        {"tokens": 12},
        {"deep_planning": {"tasks": "none"}},
        {"hitl_request": "ask"},
        {"used_tools": "search"},
        {"used_tools": [1]},
        {"duration": -1},
        {"duration": float("nan")},
        {"duration": 10**400},
        {"payload_extension": []},
    ],
)
async def test_a_value_that_does_not_fit_its_field_is_refused_by_name_and_nothing_is_stored(
    platform: Platform, changes: dict[str, Any]
) -> None:
    task = await create(platform)
    (field,) = changes
    with pytest.raises(ValidationError) as caught:
        await platform.tasks.update(task.id, {**changes, "result": "never"})
    assert caught.value.field == field
    assert await platform.tasks.get(task.id) == task
    assert len(await log(platform, task.id)) == 1


async def test_an_outsiders_save_stores_what_changed_and_logs_it(platform: Platform) -> None:
    task = await create(platform)
    saved = await platform.tasks.update(task.id, {"title": "New", "internal_status": "seen"})
    assert (saved.title, saved.internal_status, saved.status) == ("New", "seen", Status.Pending)
    event = (await log(platform, task.id))[-1]
    assert (event.number, event.type, event.data) == (2, Type.TaskUpdated, saved)


async def test_the_owners_save_stores_what_changed_and_logs_it_under_its_attempt(platform: Platform) -> None:
    _, assignment = await run(platform)
    saved = await platform.tasks.update(assignment.task.id, {"result": "half"}, attempt=assignment.attempt)
    assert (saved.result, saved.status) == ("half", Status.Executing)
    event = (await log(platform, assignment.task.id))[-1]
    assert (event.type, event.attempt, event.data) == (Type.TaskUpdated, 1, saved)


async def test_fields_fixed_at_create_are_ignored(platform: Platform) -> None:
    task = await create(platform, title="T")
    whole = task.model_dump(mode="json", exclude_none=True)
    whole |= {"agent_id": "other", "status": None, "execution_attempts": 9, "id": "no"}
    assert (await platform.tasks.update(task.id, whole)).model_dump(exclude={"updated_at", "last_event"}) == (
        task.model_dump(exclude={"updated_at", "last_event"})
    )


VALUES: dict[str, Any] = {
    "result": "R",
    "internal_status": "I",
    "title": "T",
    "tokens": {"prompt_tokens": 1},
    "used_tools": ["search"],
    "duration": 1.5,
    "additional_context": "C",
    "deep_planning": {"enabled": True},
    "hitl_request": {"q": 1},
    "last_executed_node_id": "N",
    "source": "web",
    "payload_extension": {"a": 1},
    "error_code": "timeout",
    "provider_code": "slow_down",
    "finish_reason": "length",
}


def test_every_field_that_a_save_may_change_can_be_cleared() -> None:
    assert {*VALUES, "status"} == MUTABLE


@pytest.mark.parametrize("name", sorted(VALUES))
@pytest.mark.parametrize("by_its_run", [False, True], ids=["outsider", "owner"])
async def test_none_clears_a_field(platform: Platform, name: str, by_its_run: bool) -> None:
    _, assignment = await run(platform, title="before", source="cron", additional_context="before")
    task_id, attempt = assignment.task.id, assignment.attempt if by_its_run else None
    untouched = getattr(await create(platform), name)
    await platform.tasks.update(task_id, VALUES, attempt=attempt)
    cleared = await platform.tasks.update(task_id, {name: None}, attempt=attempt)
    assert getattr(cleared, name) == untouched
    assert await platform.tasks.get(task_id) == cleared
    (*_, event) = await log(platform, task_id)
    assert event.data == cleared
    for other in VALUES.keys() - {name}:
        assert getattr(cleared, other) is not None
    await finish(platform, assignment, result=None, title=None)
    assert (await platform.tasks.get(task_id)).title is None


async def test_a_run_that_ended_its_task_may_still_say_what_came_of_it(platform: Platform) -> None:
    """``aset_status(Completed)``, then ``result``, then a save: the result must not vanish."""
    _, assignment = await run(platform)
    task_id, attempt = assignment.task.id, assignment.attempt
    await platform.tasks.update(task_id, {"status": "completed"}, attempt=attempt)
    saved = await platform.tasks.update(task_id, {"result": "R", "title": "T"}, attempt=attempt)
    assert (saved.status, saved.result, saved.title) == (Status.Completed, "R", "T")
    with pytest.raises(Conflict, match="already has a different result"):
        await platform.tasks.update(task_id, {"result": "another"}, attempt=attempt)
    await finish(platform, assignment, result="another", used_tools=["search"])
    task = await platform.tasks.get(task_id)
    assert (task.result, task.used_tools) == ("R", ["search"])
    (*_, event) = await log(platform, task_id)
    assert (event.type, event.data.result) == (Type.TaskFinished, "R")


async def test_what_follows_a_status_set_by_the_run_itself_is_kept_at_its_end(platform: Platform) -> None:
    _, assignment = await run(platform)
    await platform.tasks.update(assignment.task.id, {"status": "completed"}, attempt=assignment.attempt)
    await finish(platform, assignment, result="R")
    assert (await platform.tasks.get(assignment.task.id)).result == "R"


async def test_a_run_whose_task_somebody_else_ended_adds_nothing(platform: Platform) -> None:
    _, assignment = await run(platform)
    await platform.tasks.update(assignment.task.id, {"status": "completed"})
    with pytest.raises(LeaseLost):
        await platform.tasks.update(assignment.task.id, {"result": "late"}, attempt=assignment.attempt)
    await finish(platform, assignment, result="late")
    assert (await platform.tasks.get(assignment.task.id)).result is None


async def test_who_runs_a_task_without_an_attempt_may_say_the_result_after_the_status(platform: Platform) -> None:
    task = await create(platform)
    await platform.tasks.update(task.id, {"status": "executing"})
    await platform.tasks.update(task.id, {"status": "completed"})
    saved = await platform.tasks.update(task.id, {"status": "completed", "result": "R"})
    assert saved.result == "R"
    assert (await platform.tasks.update(task.id, {"result": "another"})).result == "R"


async def test_a_result_over_50_mib_is_refused_with_its_size_and_one_below_arrives(platform: Platform) -> None:
    _, assignment = await run(platform)
    with pytest.raises(TooLarge, match=r"52,428,801|52428801"):
        await finish(platform, assignment, result="x" * (50 * 1024 * 1024 + 1))
    large = "é" * (6 * 1024 * 1024)
    saved = await platform.tasks.update(assignment.task.id, {"result": large}, attempt=assignment.attempt)
    assert saved.result == large
    await finish(platform, assignment, result="x" + large)
    task = await platform.tasks.get(assignment.task.id)
    assert (task.status, task.result) == (Status.Completed, "x" + large)


async def test_a_payload_extension_is_merged(platform: Platform) -> None:
    task = await create(platform, payload_extension={"a": 1, "b": 1})
    saved = await platform.tasks.update(task.id, {"payload_extension": {"b": 2, "c": 3}})
    assert saved.payload_extension == {"a": 1, "b": 2, "c": 3}


async def test_a_result_that_is_no_text_is_kept_as_json(platform: Platform) -> None:
    task = await create(platform)
    assert (await platform.tasks.update(task.id, {"result": {"a": [1]}})).result == '{"a":[1]}'


async def test_a_save_of_nothing_logs_nothing(platform: Platform) -> None:
    _, assignment = await run(platform)
    before = await snapshot(platform, assignment.task.id)
    await platform.tasks.update(assignment.task.id, {})
    await platform.tasks.update(assignment.task.id, {}, attempt=assignment.attempt)
    await platform.tasks.update(assignment.task.id, {"status": "executing"}, attempt=assignment.attempt)
    assert await snapshot(platform, assignment.task.id) == before


async def test_an_outsiders_pending_is_ignored(platform: Platform) -> None:
    _, assignment = await run(platform)
    saved = await platform.tasks.update(assignment.task.id, {"status": "pending"})
    assert saved.status is Status.Executing


async def test_an_outsiders_executing_takes_a_pending_task_out_of_the_queue(platform: Platform) -> None:
    task = await create(platform)
    saved = await platform.tasks.update(task.id, {"status": "executing"})
    assert (saved.status, saved.execution_attempts) == (Status.Executing, 1)
    assert saved.started_at is not None
    assert (await log(platform, task.id))[-1].data == saved
    by = await worker(platform)
    assert await claim(platform, by, seconds=0) == []


@pytest.mark.parametrize("status", TERMINALS)
async def test_an_outsiders_terminal_status_ends_the_task_and_fences_its_run(
    platform: Platform, status: Status
) -> None:
    _, assignment = await run(platform)
    saved = await platform.tasks.update(assignment.task.id, {"status": status, "result": "theirs"})
    assert (saved.status, saved.result) == (status, "theirs")
    assert saved.finished_at is not None
    event = (await log(platform, assignment.task.id))[-1]
    assert (event.type, event.data) == (Type.TaskFinished, saved)
    assert await platform.work.lost({assignment.task.id: assignment.attempt}) == {assignment.task.id: status}
    with pytest.raises(LeaseLost):
        await platform.tasks.update(assignment.task.id, {"result": "mine"}, attempt=assignment.attempt)


@pytest.mark.parametrize("status", TERMINALS)
async def test_on_a_terminal_task_the_first_status_wins_and_only_internal_status_changes(
    platform: Platform, status: Status
) -> None:
    task = await bring_to(platform, status)
    events = await log(platform, task.id)
    other = Status.Failed if status is not Status.Failed else Status.Completed
    saved = await platform.tasks.update(
        task.id, {"status": other, "result": "late", "title": "late", "internal_status": "read"}
    )
    assert saved.internal_status == "read"
    ignored = {"internal_status", "updated_at"}
    assert saved.model_dump(exclude=ignored) == task.model_dump(exclude=ignored)
    assert await log(platform, task.id) == events


async def test_a_terminal_save_of_the_owner_is_its_finish(platform: Platform) -> None:
    _, assignment = await run(platform)
    task_id = assignment.task.id
    saved = await platform.tasks.update(task_id, {"status": "completed", "result": "R"}, attempt=assignment.attempt)
    assert (saved.status, saved.result) == (Status.Completed, "R")
    assert (await log(platform, task_id))[-1].type is Type.TaskFinished
    before = await snapshot(platform, task_id)
    await platform.tasks.update(task_id, {"status": "completed", "result": "again"}, attempt=assignment.attempt)
    await finish(platform, assignment, result="and again")
    assert await snapshot(platform, task_id) == before


async def test_a_save_of_the_owner_can_pause_the_task(platform: Platform) -> None:
    by, assignment = await run(platform)
    changes = {"status": "paused", "hitl_request": {"question": "May I?"}}
    saved = await platform.tasks.update(assignment.task.id, changes, attempt=assignment.attempt)
    assert (saved.status, saved.hitl_request, saved.finished_at) == (Status.Paused, {"question": "May I?"}, None)
    assert saved.paused_at is not None
    assert await claim(platform, by, seconds=0) == []


@pytest.mark.needs("fencing")
async def test_a_stale_attempt_is_refused_and_changes_nothing(platform: Platform) -> None:
    by, old = await run(platform)
    await hand_back(platform, old)
    (new,) = await claim(platform, by)
    assert (new.task.id, new.attempt) == (old.task.id, old.attempt + 1)
    before = await snapshot(platform, old.task.id)
    for attempt in (old.attempt, 0, 99):
        with pytest.raises(LeaseLost) as caught:
            await platform.tasks.update(old.task.id, {"result": "stale", "status": "completed"}, attempt=attempt)
        assert (caught.value.task_id, caught.value.attempt, caught.value.status_code) == (old.task.id, attempt, 409)
        with pytest.raises(LeaseLost):
            await platform.tasks.update(old.task.id, {}, attempt=attempt)
    assert await snapshot(platform, old.task.id) == before


async def test_a_change_of_an_unknown_task_is_not_found(platform: Platform) -> None:
    for attempt in (None, 1):
        with pytest.raises(TaskNotFound):
            await platform.tasks.update("unknown", {"result": "x"}, attempt=attempt)


async def test_hostile_characters_in_a_save_come_back_as_replacement_characters(platform: Platform) -> None:
    _, assignment = await run(platform)
    await finish(
        platform,
        assignment,
        result="r\0\ud800",
        internal_status="i\0\udfff",
        used_tools=["t\0"],
        tokens={"prompt_tokens": 1},
        payload_extension={"k\0\ud800": ["\ud800", float("inf"), {"n": float("nan")}]},
        hitl_request={"q": "\0"},
        duration=1.5,
    )
    task = await platform.tasks.get(assignment.task.id)
    assert (task.result, task.internal_status, task.used_tools) == ("r\ufffd\ufffd", "i\ufffd\ufffd", ["t\ufffd"])
    assert task.payload_extension == {"k\ufffd\ufffd": ["\ufffd", None, {"n": None}]}
    assert task.hitl_request == {"q": "\ufffd"}
    assert (await log(platform, task.id))[-1].data == task
