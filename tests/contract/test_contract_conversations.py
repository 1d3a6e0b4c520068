"""Tasks of one conversation: an agent takes them one at a time, in order of creation."""

import asyncio
from typing import Any

import pytest

from tests.contract.conftest import OpenPlatform, Sql
from tests.contract.steps import AGENT, SECONDS, claim, create, finish, hand_back, log, run, worker
from tests.contract.steps import until as seen
from worker.contracts import Platform
from worker.words.activity import AgentActivityThreadMessage
from worker.words.conversations import ConversationQuery, Mode
from worker.words.errors import Conflict, NotFound, ValidationError
from worker.words.ids import new_id
from worker.words.outcomes import HandBack, Outcome
from worker.words.requests import InputAnswer
from worker.words.statuses import AgentExecutionStatus as Status
from worker.words.tasks import TaskRecord
from worker.words.work import WorkerCard

TALK = "talk-1"

ASKED: dict[str, Any] = {"hitl_request": {"requests": [{"id": "r", "kind": "confirmation", "tool_name": "send"}]}}


async def speaker(platform: Platform, mode: Mode = "queue", agent: str = AGENT) -> WorkerCard:
    """Register a worker whose handler says what becomes of a second task of a conversation."""
    card = WorkerCard(id=new_id(), name="a worker", agents=(agent,), conversations={agent: mode})
    await platform.work.register(card)
    return card


async def turns(platform: Platform, *texts: str, conversation_id: str = TALK) -> list[TaskRecord]:
    return [await create(platform, text, conversation_id=conversation_id) for text in texts]


async def claimed(platform: Platform, by: WorkerCard, *, seconds: float = 0, count: int = 10) -> list[str]:
    return [each.task.input.text or "" for each in await claim(platform, by, count, seconds=seconds)]


async def waits(platform: Platform, task_id: str) -> str:
    """What a task waits for."""
    said = (await platform.tasks.get(task_id)).waiting_for
    assert said is not None
    return said


async def test_one_task_of_a_conversation_is_given_out_at_a_time_in_order_of_creation(platform: Platform) -> None:
    by = await speaker(platform)
    tasks = await turns(platform, "one", "two", "three")
    assert [each.conversation_id for each in tasks] == [TALK] * 3
    for text in ("one", "two", "three"):
        (given,) = await claim(platform, by, 10)
        assert given.task.input.text == text
        assert await claimed(platform, by) == []
        await finish(platform, given, result=text)


async def test_a_task_that_waits_for_its_turn_says_for_which(platform: Platform) -> None:
    by = await speaker(platform)
    first, second = await turns(platform, "one", "two")
    await claim(platform, by)
    assert await waits(platform, second.id) == f"waits for its turn in the conversation: task {first.id} is executing"
    await platform.tasks.stop(first.id)
    (given,) = await claim(platform, by)
    assert given.task.waiting_for is None
    waiting = [each.data.waiting_for for each in await log(platform, second.id)]
    assert waiting == ["waits for its turn in the conversation", None, None]


async def test_conversations_and_agents_do_not_wait_for_each_other(platform: Platform) -> None:
    by = await worker(platform, AGENT, "other")
    await create(platform, "a", conversation_id="a")
    await create(platform, "b", conversation_id="b")
    await create(platform, "elsewhere", agent="other", conversation_id="a")
    await create(platform, "none")
    given: list[str] = []
    while len(given) < 4:
        given += await claimed(platform, by, seconds=SECONDS)
    assert sorted(given) == ["a", "b", "elsewhere", "none"]


@pytest.mark.parametrize("status", [Status.Completed, Status.Error, Status.Failed])
async def test_whatever_the_end_of_one_the_next_is_given_out(platform: Platform, status: Status) -> None:
    by = await speaker(platform)
    await turns(platform, "one", "two")
    (given,) = await claim(platform, by)
    await finish(platform, given, status)
    assert await claimed(platform, by, seconds=SECONDS) == ["two"]


async def test_a_task_that_waits_for_its_retry_keeps_its_place(platform: Platform) -> None:
    by = await speaker(platform)
    first, second = await turns(platform, "one", "two")
    (given,) = await claim(platform, by)
    await hand_back(platform, given, error="away", delay=300)
    assert await claimed(platform, by) == []
    assert (await waits(platform, second.id)).endswith(f"task {first.id} is pending")
    await platform.tasks.skip(first.id)
    (given,) = await claim(platform, by)
    assert given.task.input.text == "two"
    assert await claimed(platform, by) == []
    await finish(platform, given)
    assert await claimed(platform, by, seconds=SECONDS) == ["one"]


async def test_a_task_that_waits_for_a_person_keeps_its_place(platform: Platform) -> None:
    by = await speaker(platform)
    first, second = await turns(platform, "one", "two")
    (given,) = await claim(platform, by)
    await platform.work.finish(first.id, given.attempt, Outcome(Status.Paused, ASKED))
    assert (await waits(platform, second.id)).endswith(f"task {first.id} is paused")
    await platform.tasks.answer(first.id, [InputAnswer(approve=True)])
    assert await claimed(platform, by, seconds=SECONDS) == ["one"]


async def test_a_task_that_was_skipped_while_it_waits_for_a_person_goes_on_as_the_last(platform: Platform) -> None:
    by = await speaker(platform)
    first, *_ = await turns(platform, "one", "two", "three")
    (given,) = await claim(platform, by)
    await platform.work.finish(first.id, given.attempt, Outcome(Status.Paused, ASKED))
    await platform.tasks.skip(first.id)
    (given,) = await claim(platform, by)
    assert given.task.input.text == "two"
    answered = await platform.tasks.answer(first.id, [InputAnswer(approve=True)])
    assert (answered.status, answered.available_at) == (Status.Pending, None)
    await create(platform, "four", conversation_id=TALK)
    for text in ("three", "one", "four"):
        await finish(platform, given)
        (given,) = await claim(platform, by, 10)
        assert given.task.input.text == text


@pytest.mark.parametrize("conversation_id", [None, TALK])
async def test_a_task_that_keeps_nobody_waiting_is_not_skipped(platform: Platform, conversation_id: str | None) -> None:
    by = await speaker(platform)
    task = await create(platform, conversation_id=conversation_id)
    await claim(platform, by)
    with pytest.raises(Conflict):
        await platform.tasks.skip(task.id)


async def test_a_task_that_is_handed_back_keeps_its_place(platform: Platform) -> None:
    by = await speaker(platform)
    await turns(platform, "one", "two")
    (given,) = await claim(platform, by)
    await platform.work.hand_back(given.task.id, given.attempt, HandBack())
    assert await claimed(platform, by) == ["one"]


async def test_a_stopped_task_that_waited_for_its_turn_holds_up_nobody(platform: Platform) -> None:
    by = await speaker(platform)
    _, second, _ = await turns(platform, "one", "two", "three")
    (given,) = await claim(platform, by)
    await platform.tasks.stop(second.id)
    await finish(platform, given)
    assert await claimed(platform, by, seconds=SECONDS) == ["three"]


async def test_a_retry_by_hand_waits_for_its_turn(platform: Platform) -> None:
    by = await speaker(platform)
    first, _ = await turns(platform, "one", "two")
    (given,) = await claim(platform, by)
    await finish(platform, given, Status.Error)
    (given,) = await claim(platform, by)
    retried = await platform.tasks.retry(first.id)
    assert (retried.status, retried.available_at) == (Status.Pending, None)
    assert await claimed(platform, by) == []
    await finish(platform, given)
    assert await claimed(platform, by, seconds=SECONDS) == ["one"]


async def test_a_continued_task_waits_for_its_turn_in_its_conversation(platform: Platform) -> None:
    by = await speaker(platform)
    first, _ = await turns(platform, "one", "two")
    (given,) = await claim(platform, by)
    await finish(platform, given)
    (given,) = await claim(platform, by)
    await create(platform, "three", conversation_id=TALK)
    again = await create(platform, "one again", id=first.id)
    assert (again.conversation_id, again.turn) == (TALK, 1)
    for text in ("three", "one again"):
        await finish(platform, given)
        (given,) = await claim(platform, by, 10)
        assert given.task.input.text == text
    with pytest.raises(ValidationError) as refused:
        await create(platform, "elsewhere", id=first.id, conversation_id="another")
    assert refused.value.field == "conversation_id"


async def test_a_crowd_at_the_same_instant_is_done_one_after_the_other(
    platform: Platform, open_platform: OpenPlatform
) -> None:
    other, by = await open_platform(), await speaker(platform)
    await asyncio.gather(*(create(where, conversation_id=TALK) for where in (platform, other) for _ in range(5)))
    for _ in range(10):
        (given,) = await claim(platform, by, 10)
        await finish(platform, given)
    assert await claimed(platform, by) == []


async def test_a_turn_that_nobody_has_given_is_found(platform: Platform, sql: Sql) -> None:
    """As where the process that stored a task, or ended the one before it, died at once."""
    by = await speaker(platform)
    (task,) = await turns(platform, "one")
    await claim(platform, by)
    await sql("update worker.tasks set status = 'pending', queued = true, worker_id = null where id = %s", task.id)
    assert await claimed(platform, by, seconds=SECONDS) == ["one"]


async def test_parallel_tasks_do_not_wait(platform: Platform) -> None:
    by = await speaker(platform, "parallel")
    await turns(platform, "one", "two")
    assert await claimed(platform, by, seconds=SECONDS) == ["one", "two"]


async def test_a_second_task_is_rejected(platform: Platform) -> None:
    by = await speaker(platform, "reject")
    first = await create(platform, "one", conversation_id=TALK)
    with pytest.raises(Conflict) as refused:
        await create(platform, "two", conversation_id=TALK)
    assert first.id in refused.value.description
    (given,) = await claim(platform, by)
    await finish(platform, given)
    await create(platform, "three", conversation_id=TALK)
    assert await claimed(platform, by, seconds=SECONDS) == ["three"]


async def test_of_a_crowd_at_the_same_instant_one_is_not_rejected(
    platform: Platform, open_platform: OpenPlatform
) -> None:
    other, by = await open_platform(), await speaker(platform, "reject")
    creates = (create(where, conversation_id=TALK) for where in (platform, other) for _ in range(5))
    made = await asyncio.gather(*creates, return_exceptions=True)
    assert [type(each) for each in made if not isinstance(each, Conflict)] == [TaskRecord]
    assert len(await claimed(platform, by, seconds=SECONDS)) == 1


async def test_a_second_task_replaces_the_first(platform: Platform) -> None:
    by = await speaker(platform, "replace")
    first = await create(platform, "one", conversation_id=TALK)
    (given,) = await claim(platform, by)
    await create(platform, "two", conversation_id=TALK)
    stopped = await seen(platform, first.id, Status.Stopped)
    assert stopped.status is Status.Stopped
    assert await platform.work.lost({first.id: given.attempt}) == {first.id: Status.Stopped}
    assert await claimed(platform, by, seconds=SECONDS) == ["two"]


async def test_the_handlers_of_a_worker_that_comes_later_decide(platform: Platform) -> None:
    await speaker(platform, "reject")
    by = await speaker(platform)
    await turns(platform, "one", "two")
    assert await claimed(platform, by, seconds=SECONDS) == ["one"]


async def test_what_handlers_for_any_agent_say_is_for_those_that_none_names(platform: Platform) -> None:
    conversations: dict[str, Mode] = {"": "reject", AGENT: "parallel"}
    card = WorkerCard(id=new_id(), name="w", agents=(AGENT,), any_agent=True, conversations=conversations)
    await platform.work.register(card)
    await turns(platform, "one", "two")
    await create(platform, agent="any", conversation_id=TALK)
    with pytest.raises(Conflict):
        await create(platform, agent="any", conversation_id=TALK)


async def test_a_child_of_a_task_does_not_wait_for_its_parents_turn_to_end(platform: Platform) -> None:
    by = await worker(platform, AGENT, "other")
    parent = await create(platform, "parent", conversation_id=TALK)
    await create(platform, "next", conversation_id=TALK)
    assert await claimed(platform, by, seconds=SECONDS) == ["parent"]
    between = await create(platform, "between", agent="other", conversation_id=TALK, parent_execution=parent.id)
    await create(platform, "child", conversation_id=TALK, parent_execution=between.id)
    given: list[str] = []
    while len(given) < 2:
        given += await claimed(platform, by, seconds=SECONDS)
    assert sorted(given) == ["between", "child"]


async def test_a_conversation_is_told_turn_by_turn(platform: Platform) -> None:
    by = await worker(platform, AGENT, "other")
    first, second = await turns(platform, "one", "two")
    for answer in ("first answer", "second answer"):
        (given,) = await claim(platform, by)
        await finish(platform, given, result=answer)
    await create(platform, "one again", id=first.id)
    (given,) = await claim(platform, by)
    await finish(platform, given, Status.Error, result="broken", error_code="tool")
    await create(platform, "elsewhere", agent="other", conversation_id=TALK)
    await create(platform, "nowhere")
    told = await platform.tasks.conversation(TALK, ConversationQuery())
    assert [(each.task_id, each.turn, each.question, each.answer) for each in told.turns[:3]] == [
        (first.id, 0, "one", "first answer"),
        (second.id, 0, "two", "second answer"),
        (first.id, 1, "one again", None),
    ]
    endings = [(each.status, each.error_code) for each in told.turns[1:3]]
    assert endings == [(Status.Completed, None), (Status.Error, "tool")]
    assert (told.id, told.turns[3].agent_id) == (TALK, "other")
    mine = await platform.tasks.conversation(TALK, ConversationQuery(agent_id="other"))
    assert [each.question for each in mine.turns] == ["elsewhere"]
    (listed,) = await platform.tasks.find_conversations(ConversationQuery())
    assert (listed.id, listed.agents, listed.tasks, listed.text) == (TALK, [AGENT, "other"], 3, "elsewhere")
    assert await platform.tasks.find_conversations(ConversationQuery(before=listed.created_at)) == []
    with pytest.raises(NotFound):
        await platform.tasks.conversation("none", ConversationQuery())


async def test_a_task_that_was_continued_is_a_conversation_under_its_own_id(platform: Platform) -> None:
    by, given = await run(platform)
    await finish(platform, given, result="first")
    await create(platform, "two", id=given.task.id)
    assert await claimed(platform, by, seconds=SECONDS) == ["two"]
    told = await platform.tasks.conversation(given.task.id, ConversationQuery())
    assert [(each.turn, each.question, each.answer) for each in told.turns] == [
        (0, "Summarise it.", "first"),
        (1, "two", None),
    ]
    activity = await platform.tasks.activity(given.task.id)
    said = [each.content.text for each in activity.messages if isinstance(each, AgentActivityThreadMessage)]
    assert said == ["Summarise it.", "first", "two"]
