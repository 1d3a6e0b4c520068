import asyncio
from typing import Any

import pytest

from tests.contract.conftest import OpenPlatform
from tests.contract.steps import SECONDS, bring_to, claim, create, finish, hand_back, log, note, numbers, run, worker
from tests.support import wait_until
from worker.contracts import Platform
from worker.engine.verbs import work
from worker.words.activity import (
    AgentActivityThreadMessage,
    AgentActivityThreadReasoning,
    AgentActivityThreadSubAgentTrigger,
    AgentActivityThreadToolCall,
)
from worker.words.digests import mark
from worker.words.errors import Conflict, LeaseLost
from worker.words.events import NewEvent, SubAgentTrigger, Thought, ToolCallRequest
from worker.words.statuses import TERMINAL
from worker.words.statuses import AgentExecutionStatus as Status
from worker.words.statuses import TaskUpdateEventType as Type
from worker.words.work import JournalEntry


async def test_events_are_numbered_from_1_without_a_gap_however_many_write_at_once(
    platform: Platform, open_platform: OpenPlatform
) -> None:
    _, assignment = await run(platform)
    other = await open_platform()
    task_id, attempt = assignment.task.id, assignment.attempt
    writes = [platform.work.emit(task_id, attempt, [note(f"a{i}"), note(f"b{i}")]) for i in range(15)]
    writes += [other.tasks.push(task_id, [note(f"c{i}")]) for i in range(15)]
    writes += [each.tasks.update(task_id, {"title": f"d{i}"}) for i in range(8) for each in (platform, other)]
    await asyncio.gather(*writes)
    events = await log(platform, task_id)
    assert [event.number for event in events] == list(range(1, 2 + 30 + 15 + 16 + 1))
    assert (await platform.tasks.get(task_id)).last_event == len(events)
    texts = [event.data.text for event in events if event.type is Type.Note]
    assert sorted(texts) == sorted(f"{letter}{i}" for i in range(15) for letter in "abc")
    assert all(texts[texts.index(f"a{i}") + 1] == f"b{i}" for i in range(15)), "one write's events stay together"


async def test_whoever_reconnects_with_the_last_number_gets_exactly_the_rest(
    platform: Platform, open_platform: OpenPlatform
) -> None:
    _, assignment = await run(platform, title="T")
    await platform.tasks.update(assignment.task.id, {"title": "U", "payload_extension": {"a": 1}})
    await platform.work.emit(assignment.task.id, assignment.attempt, [note(), note()])
    await finish(platform, assignment, result="R")
    events = await log(platform, assignment.task.id)
    other = await open_platform()
    for after in range(len(events) + 2):
        assert await log(other, assignment.task.id, after) == events[after:]


async def test_a_long_log_is_read_whole(platform: Platform) -> None:
    _, assignment = await run(platform)
    await platform.work.emit(assignment.task.id, assignment.attempt, [note(str(i)) for i in range(1200)])
    assert await numbers(platform, assignment.task.id) == list(range(1, 1203))


async def test_a_follower_sees_each_event_and_ends_after_the_terminal_one(
    platform: Platform, open_platform: OpenPlatform
) -> None:
    other = await open_platform()
    task = await create(platform)
    seen: list[Any] = []

    async def follow() -> None:
        seen.extend([event async for event in other.tasks.events(task.id)])

    follower = asyncio.create_task(follow())
    by = await worker(platform)
    (assignment,) = await claim(platform, by)
    await platform.work.emit(task.id, assignment.attempt, [note()])
    await finish(platform, assignment, result="R")
    await asyncio.wait_for(follower, SECONDS)
    assert [event.type for event in seen] == [Type.TaskCreated, Type.TaskUpdated, Type.Note, Type.TaskFinished]
    assert [event.number for event in seen] == [1, 2, 3, 4]


async def test_a_follower_gets_an_event_while_the_task_runs(platform: Platform, open_platform: OpenPlatform) -> None:
    other = await open_platform()
    _, assignment = await run(platform)
    stream = other.tasks.events(assignment.task.id, after=2)
    waiting = asyncio.ensure_future(anext(aiter(stream)))
    await platform.work.emit(assignment.task.id, assignment.attempt, [note("now")])
    event = await asyncio.wait_for(waiting, SECONDS)
    assert (event.number, event.type, event.data.text, event.attempt) == (3, Type.Note, "now", 1)
    await stream.aclose()  # pyright: ignore[reportAttributeAccessIssue] # every platform's stream is a generator


async def test_an_end_that_comes_between_two_looks_is_not_missed(platform: Platform) -> None:
    _, assignment = await run(platform)
    stream = aiter(platform.tasks.events(assignment.task.id))
    seen = [await anext(stream), await anext(stream)]
    await finish(platform, assignment)  # while the reader holds the last event of its look
    seen += [event async for event in stream]
    assert [event.type for event in seen] == [Type.TaskCreated, Type.TaskUpdated, Type.TaskFinished]


async def test_following_a_finished_task_ends_at_once(platform: Platform) -> None:
    task = await bring_to(platform, Status.Completed)

    async def follow(after: int) -> list[int | None]:
        return [event.number async for event in platform.tasks.events(task.id, after=after)]

    assert await asyncio.wait_for(follow(0), SECONDS) == [1, 2, 3]
    assert await asyncio.wait_for(follow(3), SECONDS) == []


async def test_a_pushed_event_about_the_whole_task_neither_ends_a_stream_nor_changes_the_task(
    platform: Platform,
) -> None:
    _, assignment = await run(platform)
    before = await platform.tasks.get(assignment.task.id)
    lies = [NewEvent(type=kind, data={"status": "no such"}) for kind in (Type.TaskUpdated, Type.TaskFinished)]
    lies.append(NewEvent(type=Type.TaskFinished, data=["not", "even", "an", "object"]))
    await platform.tasks.push(assignment.task.id, lies)
    await platform.work.emit(assignment.task.id, assignment.attempt, lies)
    await finish(platform, assignment, result="R")
    events = [event async for event in platform.tasks.events(assignment.task.id)]
    ignored = {"updated_at", "last_event"}
    assert [event.data.model_dump(exclude=ignored) for event in events[2:-1]] == 6 * [
        before.model_dump(exclude=ignored)
    ]
    assert (events[-1].data.result, len(events)) == ("R", 9)


@pytest.mark.needs("fencing")
async def test_the_whole_task_of_each_event_is_what_the_task_was_then(platform: Platform) -> None:
    by, first = await run(platform, title="T", payload_extension={"a": 1})
    tasks, task_id = platform.tasks, first.task.id
    seen = {2: await tasks.get(task_id)}

    async def look() -> None:
        task = await tasks.get(task_id)
        seen.setdefault(task.last_event, task)

    async def again() -> Any:
        (assignment,) = await claim(platform, by)
        await look()
        return assignment

    await tasks.update(task_id, {"title": "U", "payload_extension": {"b": 2}}, attempt=1)
    await look()
    await hand_back(platform, first, error="boom")
    await look()
    second = await again()
    await finish(platform, second, Status.Paused, hitl_request={"q": 1}, tokens={"prompt_tokens": 1})
    await look()
    await tasks.retry(task_id)
    await look()
    third = await again()
    await finish(platform, third, result="R", internal_status="I", used_tools=["t"], duration=2)
    await look()
    await tasks.update(task_id, {"internal_status": "later"})
    await create(platform, "other input", id=task_id, source="cron")
    await look()
    await tasks.update(task_id, {"status": "executing"})
    await look()
    await tasks.update(task_id, {"status": "paused"})
    await look()
    await tasks.stop(task_id)
    await look()
    await tasks.retry(task_id)
    await look()
    events = await log(platform, task_id)
    assert [event.data for event in events[1:]] == [seen[number] for number in range(2, len(events) + 1)]


@pytest.mark.parametrize("status", sorted(TERMINAL))
async def test_nothing_is_pushed_to_a_terminal_task(platform: Platform, status: Status) -> None:
    task = await bring_to(platform, status)
    with pytest.raises(Conflict):
        await platform.tasks.push(task.id, [note()])
    assert await numbers(platform, task.id) == list(range(1, task.last_event + 1))


async def test_a_stale_attempt_pushes_nothing(platform: Platform) -> None:
    by, assignment = await run(platform)
    await hand_back(platform, assignment)
    await claim(platform, by)
    with pytest.raises(LeaseLost):
        await platform.tasks.push(assignment.task.id, [note()], attempt=assignment.attempt)
    assert all(event.type is not Type.Note for event in await log(platform, assignment.task.id))


@pytest.mark.needs("resume")
async def test_events_and_journal_entries_of_an_emit_stand_or_fall_together(platform: Platform) -> None:
    _, assignment = await run(platform)
    task_id, attempt = assignment.task.id, assignment.attempt
    await platform.work.emit(task_id, attempt, [note("one")], [JournalEntry("k1", '{"x": [1, "\\u00e9"]}')])
    assert await platform.work.journal(task_id) == {"k1": '{"x": [1, "\\u00e9"]}'}
    with pytest.raises(LeaseLost):
        await platform.work.emit(task_id, attempt + 1, [note("two")], [JournalEntry("k2", "2")])
    assert list(await platform.work.journal(task_id)) == ["k1"]
    assert [event.data.text for event in (await log(platform, task_id))[2:]] == ["one"]


@pytest.mark.needs("resume")
async def test_a_journal_entry_is_written_once(platform: Platform) -> None:
    _, assignment = await run(platform)
    for value in ("1", "2"):
        await platform.work.emit(assignment.task.id, assignment.attempt, [], [JournalEntry("k", value)])
    assert await platform.work.journal(assignment.task.id) == {"k": "1"}


@pytest.mark.needs("resume")
async def test_what_earlier_attempts_have_told_is_read_in_order(platform: Platform) -> None:
    by, first = await run(platform)
    asked = {"request_id": "1", "operation_id": "1", "tool_name": "look", "payload": {"at": ["é\0", None, 1.5]}}
    told = [NewEvent(type=Type.ToolCallRequest, data=asked), NewEvent(type=Type.Chunk, data="text"), note("one")]
    await platform.work.emit(first.task.id, first.attempt, told)
    assert await platform.work.earlier_events(first.task.id, first.attempt) == [], (
        "what an attempt tells is no earlier one's"
    )
    await platform.tasks.push(first.task.id, [note("an outsider's")])
    await hand_back(platform, first)
    (second,) = await claim(platform, by)
    await platform.work.emit(second.task.id, second.attempt, [note("two")])
    assert await platform.work.earlier_events(second.task.id, second.attempt) == [mark(told[0]), mark(told[2])]


@pytest.mark.needs("resume")
@pytest.mark.parametrize("count", [3, 4, 5])
async def test_what_was_told_is_read_whole_however_much_it_is(
    platform: Platform, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    monkeypatch.setattr(work, "EVENTS_PER_READ", 2)
    by, first = await run(platform)
    notes = [note(f"number {number}") for number in range(count)]
    await platform.work.emit(first.task.id, first.attempt, notes)
    await hand_back(platform, first)
    (second,) = await claim(platform, by)
    assert await platform.work.earlier_events(second.task.id, second.attempt) == list(map(mark, notes))


@pytest.mark.needs("resume")
@pytest.mark.parametrize("status", [Status.Completed, Status.Paused])
async def test_what_was_told_counts_as_long_as_the_journal_does(platform: Platform, status: Status) -> None:
    by, first = await run(platform)
    await platform.work.emit(first.task.id, first.attempt, [note("before")])
    await finish(platform, first, status)
    await platform.tasks.retry(first.task.id)
    (second,) = await claim(platform, by)
    resumes = status is Status.Paused
    assert await platform.work.earlier_events(second.task.id, second.attempt) == (
        [mark(note("before"))] if resumes else []
    )
    await platform.work.emit(second.task.id, second.attempt, [note("after")])
    await hand_back(platform, second)
    (third,) = await claim(platform, by)
    told = await platform.work.earlier_events(third.task.id, third.attempt)
    assert told == [*([mark(note("before"))] if resumes else []), mark(note("after"))]


async def test_hostile_data_of_an_event_comes_back_as_replacement_characters(platform: Platform) -> None:
    _, assignment = await run(platform)
    data = {"request_id": "1", "operation_id": "o\0", "payload": {"\ud800": ["\0", float("nan"), b"\xff", {1, 2}]}}
    await platform.work.emit(assignment.task.id, assignment.attempt, [NewEvent(type=Type.ToolCallRequest, data=data)])
    event = (await log(platform, assignment.task.id))[-1]
    assert isinstance(event.data, ToolCallRequest)
    assert event.data.operation_id == "o\ufffd"
    assert event.data.payload["\ufffd"][:2] == ["\ufffd", None]


async def test_data_of_another_form_does_not_end_the_stream(platform: Platform) -> None:
    task = await create(platform)
    await platform.tasks.push(task.id, [NewEvent(type=Type.ToolCallResult, data=data) for data in (None, [1], "x", {})])
    assert [event.data for event in (await log(platform, task.id))[1:]] == [None, [1], "x", {}]


async def test_the_activity_log_tells_what_was_said_called_and_thought(platform: Platform) -> None:
    _, assignment = await run(platform, text="What is 2 + 2?")
    call = {"request_id": "r", "operation_id": "add", "tool_name": "add", "payload": [2, 2]}
    events = [
        NewEvent(type=Type.Think, data=Thought(title="Hm", thought="easy").model_dump()),
        NewEvent(type=Type.ToolCallRequest, data=call),
        NewEvent(type=Type.ToolCallResult, data={**call, "result": 4}),
        NewEvent(type=Type.Chunk, data="4"),
        NewEvent(type=Type.SubAgentTrigger, data=SubAgentTrigger(agent_id="other", query="check").model_dump()),
    ]
    await platform.work.emit(assignment.task.id, assignment.attempt, events)
    await finish(platform, assignment, result="It is 4.")
    thread = await platform.tasks.activity(assignment.task.id)
    asked, thought, called, sub, said = thread.messages
    assert isinstance(asked, AgentActivityThreadMessage)
    assert (asked.role, asked.content.text) == ("user", "What is 2 + 2?")
    assert isinstance(thought, AgentActivityThreadReasoning)
    assert isinstance(called, AgentActivityThreadToolCall)
    assert (called.tool_name, called.payload, called.result, called.is_error) == ("add", [2, 2], 4, False)
    assert isinstance(sub, AgentActivityThreadSubAgentTrigger)
    assert isinstance(said, AgentActivityThreadMessage)
    assert (said.role, said.content.text) == ("agent", "It is 4.")


async def test_a_worker_hears_of_changed_tasks_of_every_process(
    platform: Platform, open_platform: OpenPlatform
) -> None:
    await worker(platform)
    heard: set[str] = set()
    silence = platform.work.on_change(heard.update)
    other = await open_platform()
    mine, theirs, unheard = [await create(each) for each in (platform, other, platform)]
    await platform.tasks.stop(mine.id)
    await other.tasks.stop(theirs.id)
    await wait_until(lambda: {mine.id, theirs.id} <= heard, "both tasks were heard of")
    silence()
    await platform.tasks.stop(unheard.id)
    assert unheard.id not in heard


async def test_a_listener_that_raises_stops_nobodys_writes(platform: Platform) -> None:
    def fail(task_ids: object) -> None:
        raise RuntimeError("a defect of the listener")

    reports: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: reports.append(context["exception"]))
    platform.work.on_change(fail)
    for _ in range(2):
        task = await create(platform)
        await asyncio.wait_for(platform.tasks.stop(task.id), SECONDS)
    assert len(reports) == 2
