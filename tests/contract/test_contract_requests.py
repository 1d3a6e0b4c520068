"""What paused tasks ask of people: asked, listed, answered, overdue, however the platform is reached."""

import json
from typing import Any

import pytest

from tests.contract.steps import AGENT, claim, finish, journal, log, run
from worker.contracts import Platform
from worker.words.errors import Conflict, NotFound, ValidationError
from worker.words.outcomes import Outcome
from worker.words.requests import InputAnswer, InputRequest, OpenRequest, ReceivedAnswer, RequestKind, RequestQuery
from worker.words.statuses import AgentExecutionStatus as Status
from worker.words.statuses import TaskUpdateEventType as Type
from worker.words.tasks import TaskRecord
from worker.words.work import Assignment, WorkerCard

Kind = RequestKind

DANGER = InputRequest.create(
    ["here"], Kind.Confirmation, agent="analyst", tool_name="danger", arguments={"x": 1}, question="May it?"
)
FORM = InputRequest.create(
    ["there"],
    Kind.UserInput,
    tool_name="book",
    value_schema={"type": "object", "properties": {"seats": {"type": "integer"}}, "required": ["seats"]},
)
ROUTE = InputRequest.create(["where"], Kind.RouteSelection, choices=["left", "right"])
YES = InputAnswer(approve=True, note="go on")


async def paused(platform: Platform, *requests: InputRequest, **more: Any) -> tuple[WorkerCard, Assignment]:
    by, held = await run(platform)
    wanted = {"wait_node_id": "call-1", "requests": [each.model_dump(mode="json") for each in requests], **more}
    await platform.work.finish(held.task.id, held.attempt, Outcome(Status.Paused, {"hitl_request": wanted}))
    return by, held


async def waits(platform: Platform, task_id: str) -> list[str]:
    task = await platform.tasks.get(task_id)
    return [each["id"] for each in (task.hitl_request or {})["requests"] if not each.get("answered_at")]


async def test_what_is_asked_is_on_the_task_in_its_log_and_in_the_inbox(platform: Platform) -> None:
    _, held = await paused(platform, DANGER, FORM)
    task = await platform.tasks.get(held.task.id)
    assert task.status is Status.Paused
    assert task.hitl_request is not None
    first, second = task.hitl_request["requests"]
    assert (first["id"], first["kind"], first["tool_name"], first["arguments"]) == (
        DANGER.id,
        "confirmation",
        "danger",
        {"x": 1},
    )
    assert first["asked_at"]
    assert second["schema"]["required"] == ["seats"]
    told = [event.data for event in await log(platform, task.id) if event.type is Type.InputRequested]
    assert [InputRequest.model_validate(each).id for each in told] == [DANGER.id, FORM.id]
    inbox = await platform.tasks.requests(RequestQuery())
    assert [(each.task_id, each.agent_id, each.id) for each in inbox] == [
        (task.id, AGENT, DANGER.id),
        (task.id, AGENT, FORM.id),
    ]
    assert isinstance(inbox[0], OpenRequest)
    assert inbox[0].text == "Summarise it."


async def test_once_everything_is_answered_the_task_goes_on_and_its_journal_has_the_answers(platform: Platform) -> None:
    by, held = await paused(platform, DANGER, FORM)
    task = await platform.tasks.answer(held.task.id, [InputAnswer(id=FORM.id, value={"seats": 2})])
    assert task.status is Status.Paused
    assert await waits(platform, task.id) == [DANGER.id]
    assert [each.id for each in await platform.tasks.requests(RequestQuery())] == [DANGER.id]
    task = await platform.tasks.answer(task.id, [YES])
    assert (task.status, task.hitl_request, task.paused_at) == (Status.Pending, None, None)
    assert await platform.tasks.requests(RequestQuery()) == []
    (again,) = await claim(platform, by)
    assert (again.task.id, again.attempt) == (task.id, 2)
    answers = [json.loads(text)["answer"] for text in (await journal(platform, task.id)).values()]
    assert sorted(answers, key=lambda each: each["id"] == DANGER.id) == [
        {"id": FORM.id, "value": {"seats": 2}},
        {"id": DANGER.id, "approve": True, "note": "go on"},
    ]
    assert [each.by_hand for each in await platform.tasks.attempts(task.id)] == [False, False]
    told = [event.data for event in await log(platform, task.id) if event.type is Type.InputReceived]
    received = [ReceivedAnswer.model_validate(each) for each in told]
    assert [(each.id, each.kind, each.tool_name, each.approve) for each in received] == [
        (FORM.id, Kind.UserInput, "book", None),
        (DANGER.id, Kind.Confirmation, "danger", True),
    ]


async def test_the_same_answer_again_changes_nothing_and_another_is_refused(platform: Platform) -> None:
    by, held = await paused(platform, DANGER)
    answer = YES.model_copy(update={"id": DANGER.id})
    await platform.tasks.answer(held.task.id, [answer])
    count = len(await log(platform, held.task.id))
    for again in (answer, YES):  # also without its id: it was the only one
        assert (await platform.tasks.answer(held.task.id, [again])).status is Status.Pending
    assert len(await log(platform, held.task.id)) == count
    with pytest.raises(Conflict):
        await platform.tasks.answer(held.task.id, [InputAnswer(id=DANGER.id, approve=False)])
    (resumed,) = await claim(platform, by)
    await finish(platform, resumed, result="done")
    assert (await platform.tasks.answer(held.task.id, [answer])).status is Status.Completed
    with pytest.raises(Conflict):
        await platform.tasks.answer(held.task.id, [InputAnswer(id=DANGER.id, approve=False)])


async def test_a_task_that_waits_for_nothing_is_not_answered(platform: Platform) -> None:
    _, held = await run(platform)
    for answer in (YES, InputAnswer(id="nothing", approve=True)):
        with pytest.raises(Conflict):
            await platform.tasks.answer(held.task.id, [answer])


@pytest.mark.parametrize(
    ("answers", "field"),
    [
        ([InputAnswer(id=FORM.id, value={"seats": "two"})], "value/seats"),
        ([InputAnswer(id=FORM.id, value={})], "value/seats"),
        ([InputAnswer(id=FORM.id)], "value"),
        ([InputAnswer(id=FORM.id, approve=False, value={"seats": 2})], "value"),
        ([InputAnswer(id=DANGER.id)], "approve"),
        ([InputAnswer(id=DANGER.id, approve=True, value=3)], "value"),
        ([InputAnswer(id=DANGER.id, approve=False, arguments={"x": 2})], "arguments"),
        ([InputAnswer(id=ROUTE.id, value="up")], "value"),
        ([InputAnswer(id=ROUTE.id, value=["left", "right"])], "value"),
        ([InputAnswer(approve=True)], "id"),
        ([InputAnswer(id=DANGER.id, approve=True), InputAnswer(id=DANGER.id, approve=True)], "id"),
        ([], "answers"),
    ],
)
async def test_an_answer_that_does_not_fit_is_refused_and_names_the_field(
    platform: Platform, answers: list[InputAnswer], field: str
) -> None:
    _, held = await paused(platform, DANGER, FORM, ROUTE)
    good = [InputAnswer(id=ROUTE.id, value="left")] if answers and answers[0].id not in (ROUTE.id, None) else []
    with pytest.raises(ValidationError) as refused:
        await platform.tasks.answer(held.task.id, [*good, *answers])
    assert refused.value.field == field
    assert await waits(platform, held.task.id) == [DANGER.id, FORM.id, ROUTE.id], "all or none"


async def test_an_unknown_request_is_not_found(platform: Platform) -> None:
    _, held = await paused(platform, DANGER)
    with pytest.raises(NotFound, match=DANGER.id):
        await platform.tasks.answer(held.task.id, [InputAnswer(id="another", approve=True)])


async def test_the_inbox_has_the_longest_waiting_first_page_by_page_and_by_agent(platform: Platform) -> None:
    first, second = [(await paused(platform, DANGER))[1].task.id for _ in range(2)]
    inbox = await platform.tasks.requests(RequestQuery(limit=1))
    assert [each.task_id for each in inbox] == [first]
    inbox = await platform.tasks.requests(RequestQuery(after=first))
    assert [each.task_id for each in inbox] == [second]
    assert await platform.tasks.requests(RequestQuery(agent_id="another")) == []


async def resumed(platform: Platform, by: WorkerCard) -> TaskRecord:
    (again,) = await claim(platform, by)
    return again.task


async def test_what_nobody_answers_in_time_is_rejected(platform: Platform) -> None:
    by, held = await paused(platform, DANGER, answer_within=0.01, unanswered="reject")
    task = await resumed(platform, by)
    assert task.id == held.task.id
    (answer,) = (json.loads(text)["answer"] for text in (await journal(platform, task.id)).values())
    assert (answer["id"], answer["approve"]) == (DANGER.id, False)
    assert "Nobody answered within" in answer["note"]


async def test_what_nobody_answers_in_time_may_end_the_task(platform: Platform) -> None:
    _, held = await paused(platform, DANGER, answer_within=0.01, unanswered="fail")
    told = [event.type async for event in platform.tasks.events(held.task.id)]
    assert told[-1] is Type.TaskFinished
    task = await platform.tasks.get(held.task.id)
    assert (task.status, task.error_code) == (Status.Failed, "unanswered")
    assert "May it?" in (task.result or "")
