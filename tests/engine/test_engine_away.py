"""The database goes away in the middle of it: live attempts lose nothing and write nothing twice; others are told."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Any

import psycopg
import pytest

from tests.contract.steps import claim, create, finish, hand_back, log, note, run, worker
from tests.engine.proxy import Proxy, far, way
from tests.support import wait_until
from worker.contracts.lease import now
from worker.engine.commit import queue
from worker.engine.engine import Engine
from worker.engine.timings import EngineTimings
from worker.words.errors import Unavailable
from worker.words.events import NewEvent
from worker.words.statuses import AgentExecutionStatus as Status
from worker.words.statuses import TaskUpdateEventType as Type
from worker.words.task_lists import TaskQuery
from worker.words.work import Assignment, JournalEntry

__all__ = ["far", "way"]

SECONDS = 20
COMMITTED = b"COMMIT\0"
INSERTED = b"is_due\0"  # a column of the answer to new tasks; the tag, SELECT 1, is that of a hint too
STORED = b"stored\0"  # a column of the answer to what a run writes of its own, known task
OWN = ("emit", "finish", "save")


async def texts(engine: Engine, task_id: str) -> list[str]:
    """The texts of a task's notes; its events are seen to be gapless."""
    events = await log(engine, task_id)
    assert [event.number for event in events] == list(range(1, len(events) + 1))
    return [event.data.text for event in events if event.type == Type.Note]


def emit(engine: Engine, held: Assignment, text: str = "once") -> Awaitable[None]:
    return engine.work.emit(held.task.id, held.attempt, [note(text)], [JournalEntry("k", "1")])


def emit_large(engine: Engine, held: Assignment) -> Awaitable[None]:
    event = NewEvent(type=Type.Chunk, data="x" * 300_000)
    return engine.work.emit(held.task.id, held.attempt, [event])


def pause(engine: Engine, held: Assignment) -> Awaitable[None]:
    return finish(engine, held, Status.Paused, hitl_request={"question": "May I?"})


def save(engine: Engine, held: Assignment) -> Awaitable[Any]:
    return engine.tasks.update(held.task.id, {"internal_status": "half"}, attempt=held.attempt)


def crash(engine: Engine, held: Assignment) -> Awaitable[None]:
    return engine.work.crashed(held.task.id, held.attempt, "was killed by signal 9")


def retry_later(engine: Engine, held: Assignment) -> Awaitable[None]:
    return hand_back(engine, held, error="no luck")


def stop(engine: Engine, held: Assignment) -> Awaitable[Any]:
    return engine.tasks.stop(held.task.id)


WRITES: dict[str, tuple[Callable[[Engine, Assignment], Awaitable[Any]], Status]] = {
    "emit": (emit, Status.Executing),
    "emit_large": (emit_large, Status.Executing),
    "finish": (finish, Status.Completed),
    "pause": (pause, Status.Paused),
    "save": (save, Status.Executing),
    "hand_back": (hand_back, Status.Pending),
    "retry_later": (retry_later, Status.Pending),
    "crash": (crash, Status.Pending),
    "stop": (stop, Status.Stopped),
}


@pytest.mark.parametrize("name", WRITES)
async def test_a_write_whose_answer_was_lost_is_known_to_have_been_done(far: Engine, way: Proxy, name: str) -> None:
    _, held = await run(far)
    way.cut_at(STORED if name in OWN else COMMITTED)
    await _is_known_to_have_been_done(far, way, name, held)


@pytest.mark.parametrize("name", OWN)
async def test_a_write_to_a_task_that_was_looked_at_is_known_to_have_been_done_too(
    far: Engine, way: Proxy, name: str
) -> None:
    _, held = await run(far)
    far.core.writer.owned_rows.forget([held.task.id])
    way.cut_at(COMMITTED)
    await _is_known_to_have_been_done(far, way, name, held)


async def _is_known_to_have_been_done(far: Engine, way: Proxy, name: str, held: Assignment) -> None:
    write, status = WRITES[name]
    await asyncio.wait_for(write(far, held), SECONDS)
    assert way.cuts == 1, "the answer was lost indeed"
    task = await far.tasks.get(held.task.id)
    assert (task.status, task.last_event) == (status, 3)
    assert (task.errors, task.crashes) == (int(name == "retry_later"), int(name == "crash"))
    assert len(await log(far, task.id)) == 3


READS: dict[str, Callable[[Engine, str], Awaitable[Any]]] = {
    "get": lambda far, task_id: far.tasks.get(task_id),
    "find": lambda far, _: far.tasks.find(TaskQuery()),
    "search": lambda far, _: far.tasks.find(TaskQuery(text="analyst-to-find")),
    "counts": lambda far, _: far.tasks.counts(TaskQuery()),
    "standing": lambda far, _: far.stats(),
    "attempts": lambda far, task_id: far.tasks.attempts(task_id),
}


@pytest.mark.parametrize("name", READS)
async def test_a_read_whose_answer_was_lost_is_asked_again(far: Engine, way: Proxy, name: str) -> None:
    task = await create(far, "analyst-to-find")
    way.cut_at(b"SELECT 1\0")
    found = await asyncio.wait_for(READS[name](far, task.id), SECONDS)
    assert way.cuts == 1, "the answer was lost indeed"
    assert found is not None


async def test_a_write_that_never_arrived_is_done_again(far: Engine, way: Proxy) -> None:
    _, held = await run(far)
    far.core.writer.owned_rows.forget([held.task.id])
    way.cut_at(b"BEGIN\0")  # so its transaction ends without a commit
    await asyncio.wait_for(emit(far, held), SECONDS)
    assert way.cuts == 1
    assert await texts(far, held.task.id) == ["once"]


async def test_a_task_whose_creates_answer_was_lost_was_created_once(far: Engine, way: Proxy) -> None:
    await create(far)
    way.cut_at(INSERTED)
    task = await asyncio.wait_for(create(far), SECONDS)
    assert way.cuts == 1
    again = await far.tasks.get(task.id)
    assert again.created_at == task.created_at
    assert len(await far.core.rows("select id from worker.tasks")) == 2


async def test_answers_to_what_runs_write_that_are_lost_do_nothing_twice(far: Engine, way: Proxy) -> None:
    by = await worker(far)
    for _ in range(20):
        await create(far)
    held = await claim(far, by, 20)
    await far.tasks.push(held[7].task.id, [note("from outside")])
    far.core.writer.owned_rows.learn(
        [{**vars_of(held[7]), "last_event": 2}], by.id, now()
    )  # of that one it knows less than there is
    way.cut_at(STORED, times=2)
    await asyncio.gather(*(emit(far, each, "twice") for each in held for _ in range(2)))
    await asyncio.gather(*(finish(far, each) for each in held))
    assert way.cuts == 2
    for each in held:
        outside = ["from outside"] if each is held[7] else []
        assert await texts(far, each.task.id) == [*outside, "twice", "twice"]
        assert (await far.tasks.get(each.task.id)).status is Status.Completed


def vars_of(held: Assignment) -> dict[str, Any]:
    """A claimed task as its row was."""
    task = held.task
    row = {
        name: getattr(task, name)
        for name in (
            "id",
            "organization_id",
            "agent_id",
            "suspicions",
            "crashes",
            "errors",
            "internal_status",
            "result",
        )
    }
    return {**row, "started_at": task.started_at, "status": "executing", "attempt": held.attempt, "state": {}}


async def test_answers_lost_again_and_again_do_nothing_twice(far: Engine, way: Proxy) -> None:
    by = await worker(far)
    for _ in range(20):
        await create(far)
    held = await claim(far, by, 20)
    far.core.writer.owned_rows.forget(each.task.id for each in held)
    way.cut_at(COMMITTED, times=4)
    await asyncio.gather(*(emit(far, each, str(each.attempt)) for each in held))
    await asyncio.gather(*(finish(far, each) for each in held))
    assert way.cuts == 4
    for each in held:
        assert await texts(far, each.task.id) == ["1"]
        assert (await far.tasks.get(each.task.id)).status is Status.Completed


async def test_under_a_hail_of_killed_connections_no_event_is_lost_and_none_comes_twice(
    far: Engine, database_url: str
) -> None:
    """Thousands of emits, while the writer's connection is killed again and again in the middle of its groups."""
    by = await worker(far)
    for _ in range(20):
        await create(far)
    held = await claim(far, by, 20)
    done = asyncio.Event()
    kills = 0

    async def kill() -> None:
        nonlocal kills
        moments = random.Random(4)
        async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as connection:
            while not done.is_set():
                await asyncio.sleep(moments.uniform(0, 0.06))  # the moment itself
                writing = far.core.writer._connection
                if writing is not None and not writing.closed:
                    await connection.execute("select pg_terminate_backend(%s)", (writing.info.backend_pid,))
                    kills += 1

    async def emit_all(each: Assignment) -> None:
        for number in range(150):
            await emit(far, each, str(number))
        await finish(far, each)

    killing = asyncio.create_task(kill())
    await asyncio.wait_for(asyncio.gather(*(emit_all(each) for each in held)), 60)
    done.set()
    await killing
    assert kills > 10
    for each in held:
        assert await texts(far, each.task.id) == [str(number) for number in range(150)]


@pytest.mark.parametrize("timings", [EngineTimings(away=0.3, reading=0.3)], ids=["quick"])
async def test_while_the_database_is_away_attempts_wait_and_everybody_else_is_told(
    far: Engine, way: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, held = await run(far)
    await way.take()
    writes = [asyncio.create_task(each) for each in (emit(far, held), save(far, held), emit_large(far, held))]  # pyright: ignore[reportArgumentType] # coroutines, as all verbs
    large = JournalEntry("large", f'"{"x" * 300_000}"')
    writes.append(asyncio.create_task(far.work.emit(held.task.id, held.attempt, (), [large])))
    reading = asyncio.create_task(far.work.journal(held.task.id))
    for attempt in range(3):
        with pytest.raises(Unavailable) as told:
            await asyncio.wait_for(create(far, f"number {attempt}"), SECONDS)
        assert told.value.retry_after is not None
    assert not any(each.done() for each in (*writes, reading)), "an attempt waits, however long"
    await way.give()
    await asyncio.wait_for(asyncio.gather(*writes, reading), SECONDS)
    await asyncio.wait_for(finish(far, held), SECONDS)
    assert await texts(far, held.task.id) == ["once"]
    assert len(await far.core.rows("select id from worker.tasks")) == 1


@pytest.mark.parametrize("timings", [EngineTimings(away=0.3)], ids=["quick"])
async def test_what_nobody_can_know_is_said(far: Engine, way: Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    await create(far)  # the writer is connected
    way.cut_at(INSERTED, for_good=True)
    with pytest.raises(Unavailable, match="the outcome of the write is unknown"):
        await asyncio.wait_for(create(far), SECONDS)
    await way.give()


async def test_whoever_comes_when_too_much_waits_is_held_and_not_refused(
    far: Engine, way: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue, "ROOM_ITEMS", 5)
    _, held = await run(far)
    await way.take()
    emits = [asyncio.create_task(emit(far, held, str(number))) for number in range(40)]  # pyright: ignore[reportArgumentType] # a coroutine, as all verbs
    pending = far.core.writer._queue
    await wait_until(lambda: not pending._room.is_set(), "there is no more room")
    assert len(pending._items) <= 5 + 5, "what was under way when the connection broke was put back"
    await way.give()
    await asyncio.wait_for(asyncio.gather(*emits), SECONDS)
    assert sorted(await texts(far, held.task.id), key=int) == [str(number) for number in range(40)]


async def test_what_waits_by_its_bytes_is_bounded_too(far: Engine, way: Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queue, "ROOM_BYTES", 10_000)
    _, held = await run(far)
    await way.take()
    emits = [asyncio.create_task(emit(far, held, "x" * 4_000)) for _ in range(9)]  # pyright: ignore[reportArgumentType] # a coroutine, as all verbs
    pending = far.core.writer._queue
    await wait_until(lambda: not pending._room.is_set(), "there is no more room")
    assert len(pending._items) <= 2 + 2, "what was under way when the connection broke was put back"
    await way.give()
    await asyncio.wait_for(asyncio.gather(*emits), SECONDS)
    assert len(await texts(far, held.task.id)) == 9


async def test_an_engine_that_is_closed_while_the_database_is_away_tells_whoever_waits(far: Engine, way: Proxy) -> None:
    _, held = await run(far)
    await way.take()
    writes = [asyncio.create_task(each) for each in (emit(far, held), emit_large(far, held))]  # pyright: ignore[reportArgumentType] # coroutines, as all verbs
    await wait_until(lambda: far.core.writer._queue, "one waits")
    await far.close()
    assert {type(each) for each in await asyncio.gather(*writes, return_exceptions=True)} == {Unavailable}
    await way.give()
