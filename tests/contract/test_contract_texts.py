"""Half a surrogate pair, or NUL, in whatever a client or a run sends: it is stored as U+FFFD, and can be read."""

import typing
from typing import Any

import pytest
from pydantic import BaseModel

from tests.contract.conftest import Sql
from tests.contract.steps import AGENT, claim, create, finish, log, run, worker
from worker.contracts import Platform
from worker.words.agents import AgentRecord
from worker.words.changes import MUTABLE
from worker.words.conversations import ConversationQuery
from worker.words.events import NewEvent
from worker.words.outcomes import HandBack
from worker.words.statuses import AgentExecutionStatus as Status
from worker.words.statuses import TaskUpdateEventType as Type
from worker.words.task_lists import TaskQuery
from worker.words.tasks import AgentExecutionInput, NewTask, TaskRecord, TaskSettings, User
from worker.words.work import JournalEntry

HALF = "half \ud83d, nul \0, whole \U0001f600"
WHOLE = "half \ufffd, nul \ufffd, whole \U0001f600"
NAMED = {
    *("webhook_url", "traceparent"),  # have a form of their own, in which no such text fits
    "conversation_id",  # has tasks wait for their turn, which an event tells: it is looked at by itself
}
NESTED = {HALF: [HALF, {"deep": HALF}], "n": 1}
VALUES: tuple[tuple[Any, Any], ...] = (
    (list[dict[str, Any]], [NESTED]),
    (list[str], [HALF]),
    (dict[str, Any], NESTED),
    (str, HALF),
)


def _texts(model: type[BaseModel], names: set[str] | frozenset[str]) -> dict[str, Any]:
    """A value full of halves for each field that can hold text."""
    found: dict[str, Any] = {}
    for name in sorted(names - NAMED):
        kind = model.model_fields[name].annotation
        for wanted, value in VALUES:
            if wanted in (kind, *typing.get_args(kind)):
                found[name] = value
                break
    return found


NAMES = {"llm_model_provider", "llm_model_name"}  # no name of a model holds such characters: they are refused
SETTINGS = _texts(TaskSettings, set(TaskSettings.model_fields) - TaskRecord.SECRET - NAMES)
CHANGES = _texts(TaskRecord, MUTABLE)


def _all_of(value: Any) -> list[str]:
    match value:
        case BaseModel():
            return _all_of(value.model_dump())
        case dict():
            return [text for key, each in value.items() for text in [*_all_of(key), *_all_of(each)]]
        case list():
            return [text for each in value for text in _all_of(each)]
        case str() if "half" in value:
            return [value]
        case _:
            return []


def _is_whole(value: Any, count: int) -> None:
    texts = _all_of(value)
    assert len(texts) >= count, value
    assert not [text for text in texts if WHOLE not in text]


def test_the_fields_are_those_that_hold_text() -> None:
    assert {"title", "payload_extension", "mcp_servers", "source", "instructions_override"} <= set(SETTINGS)
    assert {"result", "internal_status", "used_tools", "hitl_request", "title"} <= set(CHANGES)


async def test_what_is_answered_is_what_is_stored_and_what_workers_and_readers_get(platform: Platform) -> None:
    given = AgentExecutionInput.model_validate(
        {"text": HALF, "files": [f"https://a.example/{HALF}"], "user": User(id=HALF, first_name=HALF), "more": NESTED}
    )
    by = await worker(platform)
    made = await platform.tasks.create(NewTask(agent_id=AGENT, input=given, **SETTINGS))
    _is_whole(made, len(SETTINGS) + 7)
    assert await platform.tasks.get(made.id) == made
    (created,) = await log(platform, made.id)
    assert created.data == made
    (assignment,) = await claim(platform, by)
    _is_whole(assignment.task, len(SETTINGS) + 7)
    (item,) = await platform.tasks.find(TaskQuery(agent_id=AGENT, text=HALF, user_id=HALF))
    assert item.id == made.id
    await finish(platform, assignment, result="R")
    again = await platform.tasks.create(NewTask(agent_id=AGENT, input=given, id=made.id, **SETTINGS))
    _is_whole(again, len(SETTINGS) + 7)


async def test_the_name_of_a_conversation_is_clean_wherever_it_is_told(platform: Platform) -> None:
    await worker(platform)
    made = await create(platform, conversation_id=HALF)
    for told in (made, await platform.tasks.get(made.id)):
        assert told.conversation_id == WHOLE
    assert len((await platform.tasks.conversation(WHOLE, ConversationQuery())).turns) == 1


@pytest.mark.parametrize("name", sorted(CHANGES))
async def test_a_saved_field_is_answered_as_it_is_stored(platform: Platform, name: str) -> None:
    task = await create(platform)
    saved = await platform.tasks.update(task.id, {name: CHANGES[name]})
    _is_whole(getattr(saved, name), 1)
    assert await platform.tasks.get(task.id) == saved


@pytest.mark.parametrize("result", [HALF, NESTED, [HALF]], ids=["text", "object", "list"])
async def test_a_runs_own_writes_arrive(platform: Platform, result: Any) -> None:
    _, assignment = await run(platform)
    task_id, attempt = assignment.task.id, assignment.attempt
    told = [NewEvent(type=Type.Chunk, data=HALF), NewEvent(type=Type.Note, data={"text": HALF, "kind": HALF})]
    await platform.work.emit(task_id, attempt, told)
    await platform.tasks.push(task_id, [NewEvent(type=Type.ToolCallRequest, data=NESTED)])
    await platform.tasks.update(task_id, CHANGES, attempt=attempt)
    await finish(platform, assignment, **{**CHANGES, "result": result})
    task = await platform.tasks.get(task_id)
    assert task.status is Status.Completed
    _is_whole(task, len(CHANGES))
    _is_whole([event.data for event in await log(platform, task_id)], 5)
    await platform.tasks.activity(task_id)


@pytest.mark.needs("resume")
async def test_journals_and_errors_too(platform: Platform, sql: Sql) -> None:
    by, first = await run(platform)
    entry = JournalEntry(HALF, f'"{HALF}"')
    await platform.work.emit(first.task.id, first.attempt, [], [entry])
    assert await platform.work.journal(first.task.id) == {WHOLE: f'"{WHOLE}"'}
    await platform.work.hand_back(first.task.id, first.attempt, HandBack(0, HALF))
    (second,) = await claim(platform, by)
    await platform.work.crashed(second.task.id, second.attempt, HALF)
    (rows,) = await sql("select array_agg(data->>'_error') from worker.events where data->>'_error' is not null")
    assert rows[0] == [WHOLE, WHOLE]


async def test_agents_and_files_too(platform: Platform) -> None:
    record = AgentRecord(id="a1", name=HALF, unique_name=HALF, description=HALF, output_schema=NESTED)
    saved = await platform.tasks.save_agent(record)
    _is_whole(saved, 6)
    assert await platform.tasks.get_agent("a1") == saved
    reference = await platform.tasks.store_file(HALF, "text/plain", b"x")
    assert (await platform.tasks.open_file(reference)).name == WHOLE
