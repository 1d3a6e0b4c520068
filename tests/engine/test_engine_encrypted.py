"""WORKER_ENCRYPT=all: nobody who reads the database, or a backup, reads what a task was given, did or resulted in."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.contract.steps import claim, create, finish, wish, worker
from tests.engine.test_engine_secrets import stored
from worker.engine.database.vault import SEALED, Vault, new_key
from worker.engine.engine import Engine
from worker.words.errors import ConfigurationError, ValidationError
from worker.words.events import NewEvent
from worker.words.outcomes import HandBack, Outcome
from worker.words.statuses import AgentExecutionStatus as Status
from worker.words.statuses import TaskUpdateEventType as Type
from worker.words.task_lists import TaskQuery
from worker.words.tasks import AgentExecutionInput
from worker.words.work import JournalEntry

CANARY = "canary-0123456789"
KEY = new_key()
LARGE = json.dumps({"answer": CANARY + "x" * 300_000})


@pytest.fixture
async def sealing(database_url: str) -> AsyncIterator[Engine]:
    engine = Engine(database_url, poll=0.1, encryption_key=KEY, encrypt_all=True)
    await engine.open()
    yield engine
    await engine.close()


async def full(engine: Engine) -> str:
    """A task with something in every place: asked twice, handed back with an error, steps, events, files, a result."""
    by = await worker(engine)
    file = await engine.tasks.store_file("f", "text/plain", CANARY.encode())
    task = await engine.tasks.create(
        wish(CANARY, title=CANARY, metadata={"a": CANARY}).model_copy(
            update={"input": AgentExecutionInput(text=CANARY, files=[file])}
        )
    )
    (held,) = await claim(engine, by)
    told = [NewEvent(type=Type.Chunk, data=CANARY), NewEvent(type=Type.Note, data={"text": CANARY})]
    entries = [JournalEntry("step", json.dumps({"answer": CANARY})), JournalEntry("large", LARGE)]
    await engine.work.emit(task.id, held.attempt, told, entries)
    await engine.tasks.update(task.id, {"additional_context": CANARY}, attempt=held.attempt)
    await engine.work.hand_back(task.id, held.attempt, HandBack(error=CANARY, error_code="timeout"))
    (held,) = await claim(engine, by)
    await engine.work.finish(task.id, held.attempt, Outcome(Status.Completed, {"result": CANARY}))
    await engine.tasks.create(wish(f"{CANARY} again", id=task.id))
    (held,) = await claim(engine, by)
    await engine.work.emit(task.id, held.attempt, [], [JournalEntry("step", json.dumps(CANARY))])
    await finish(engine, held, result=f"{CANARY} at last")
    return task.id


async def test_nothing_in_the_database_tells_it_and_all_is_read_as_it_was_written(
    sealing: Engine, database_url: str
) -> None:
    task_id = await full(sealing)
    assert CANARY not in stored(database_url)
    assert CANARY.encode().hex() not in stored(database_url)  # bytes are shown so
    task = await sealing.tasks.get(task_id)
    assert (task.input.text, task.result, task.title) == (f"{CANARY} again", f"{CANARY} at last", CANARY)
    events = [event async for event in sealing.tasks.events(task_id, follow=False)]
    assert [event.data for event in events if event.type is Type.Chunk] == [CANARY]
    first: Any = events[0].data
    assert (first.input.text, first.title) == (CANARY, CANARY)
    assert CANARY in [each.error for each in await sealing.tasks.attempts(task_id)]
    assert await sealing.work.journal(task_id) == {"step": json.dumps(CANARY)}
    (item,) = await sealing.tasks.find(TaskQuery())
    assert (item.text, item.result) == (f"{CANARY} again", f"{CANARY} at last")
    assert item.error_code is None


async def test_large_steps_and_files_are_read_as_they_were_written(sealing: Engine) -> None:
    by = await worker(sealing)
    task = await create(sealing)
    (held,) = await claim(sealing, by)
    await sealing.work.emit(task.id, held.attempt, [], [JournalEntry("large", LARGE)])
    assert await sealing.work.journal(task.id) == {"large": LARGE}
    reference = await sealing.tasks.store_file("f", "text/plain", CANARY.encode())
    assert (await sealing.tasks.open_file(reference)).content == CANARY.encode()


async def test_what_was_stored_before_and_after_is_read_too(sealing: Engine, database_url: str) -> None:
    plain = Engine(database_url, encryption_key=KEY)
    await plain.open()
    before, sealed = await create(plain, CANARY), await create(sealing, CANARY)
    for engine in (plain, sealing):
        for task in (before, sealed):
            assert (await engine.tasks.get(task.id)).input.text == CANARY
        assert len(await engine.tasks.find(TaskQuery())) == 2
    await plain.close()


@pytest.mark.parametrize("key", [None, new_key()], ids=["none", "another"])
async def test_without_its_key_it_says_so(sealing: Engine, database_url: str, key: str | None) -> None:
    task = await create(sealing)
    other = Engine(database_url, encryption_key=key)
    await other.open()
    try:
        for ask in (other.tasks.get(task.id), other.tasks.find(TaskQuery())):
            with pytest.raises(ConfigurationError, match="WORKER_ENCRYPTION_KEY"):
                await ask
    finally:
        await other.close()


async def test_a_key_is_replaced(sealing: Engine, database_url: str) -> None:
    task_id = await full(sealing)
    newer = Engine(database_url, encryption_key=f"{new_key()} {KEY}", encrypt_all=True)
    await newer.open()
    assert (await newer.tasks.get(task_id)).result == f"{CANARY} at last"
    await newer.close()


async def test_a_search_for_text_is_refused_by_name(sealing: Engine) -> None:
    with pytest.raises(ValidationError, match="WORKER_ENCRYPT=all"):
        await sealing.tasks.find(TaskQuery(text="x"))
    with pytest.raises(ValidationError, match="WORKER_ENCRYPT=all"):
        await sealing.tasks.counts(TaskQuery(text="x"))
    assert await sealing.tasks.find(TaskQuery(error_code="timeout")) == []


def test_all_needs_a_key() -> None:
    with pytest.raises(ConfigurationError, match="WORKER_ENCRYPT=all requires WORKER_ENCRYPTION_KEY"):
        Engine("postgresql://nowhere", encrypt_all=True)


@pytest.mark.parametrize("everything", [False, True])
async def test_whoever_has_a_sealed_text_has_it_opened_by_nobody(database_url: str, everything: bool) -> None:
    """A backup's tokens, sent as a title, an input, an event, a step or an agent's description, come back as sent."""
    engine = Engine(database_url, poll=0.1, encryption_key=KEY, encrypt_all=everything)
    await engine.open()
    try:
        vault = Vault(KEY, everything=True)
        for stolen in (vault.fields({"title": CANARY})["title"], f"{SEALED}{vault.seal({'t': CANARY})}", f"{SEALED}x"):
            by = await worker(engine)
            task = await create(engine, stolen, title=stolen)
            (held,) = await claim(engine, by)
            told = [
                NewEvent(type=Type.Chunk, data=stolen),
                NewEvent(type=Type.Note, data={"text": stolen, "more": "x"}),
            ]
            step = json.dumps(stolen)
            await engine.work.emit(task.id, held.attempt, told, [JournalEntry("step", step)])
            assert await engine.work.journal(task.id) == {"step": step}
            await finish(engine, held, result=stolen)
            found = await engine.tasks.get(task.id)
            assert (found.input.text, found.title, found.result) == (stolen, stolen, stolen)
            events = [event async for event in engine.tasks.events(task.id, follow=False)]
            assert CANARY not in str(events)
            agent = await engine.tasks.get_agent("analyst")
            saved = await engine.tasks.save_agent(agent.model_copy(update={"description": stolen}))
            assert saved.description == stolen
    finally:
        await engine.close()
