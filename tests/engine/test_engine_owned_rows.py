"""What a run writes of its own task is one statement, without a look first, and decided as it would be with one."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import fields
from typing import Any

import pytest

from tests.contract.steps import claim, create, deliver, finish, hand_back, log, note, numbers, run, snapshot, worker
from tests.contract.test_contract_update import VALUES
from worker.engine.commit.transaction import Transaction
from worker.engine.database.columns import LOCKED
from worker.engine.engine import Engine
from worker.engine.state.rows import ERROR, Row
from worker.words.errors import LeaseLost, ValidationError
from worker.words.events import NewEvent
from worker.words.outcomes import HandBack, Outcome
from worker.words.statuses import AgentExecutionStatus as Status
from worker.words.statuses import TaskUpdateEventType as Type
from worker.words.work import Assignment, JournalEntry, Subscription

TIMES = {"created_at", "updated_at", "started_at", "finished_at"}


@pytest.fixture
async def other(engine: Engine, database_url: str) -> AsyncIterator[Engine]:
    """The same tasks in another process: an engine that knows nothing of what this one knows."""
    there = Engine(database_url)
    await there.open()
    yield there
    await there.close()


@pytest.fixture
def looks(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many items each group of this engine had that was decided on locked rows."""
    counts: list[int] = []
    change = Transaction._change

    async def counting(transaction: Transaction) -> None:
        if transaction._owned is engine.core.writer.owned_rows:
            counts.append(len(transaction._group))
        await change(transaction)

    monkeypatch.setattr(Transaction, "_change", counting)
    return counts


async def whole_life(engine: Engine, assignment: Assignment) -> None:
    """All that a run writes, one after the other, and two things in one group."""
    task_id, work = assignment.task.id, engine.work
    await work.emit(task_id, 1, [note("one"), NewEvent(type=Type.Chunk, data="a\0b")], [JournalEntry("k#1.1", "[1]")])
    await work.emit(task_id, 1, [], [JournalEntry("k#1.2", '"two"')])
    await engine.tasks.update(task_id, {"title": "T", "payload_extension": {"a": 1}}, attempt=1)
    await asyncio.gather(
        engine.tasks.update(task_id, {"payload_extension": {"b": 2}, "internal_status": "half"}, attempt=1),
        work.emit(task_id, 1, [note("three")]),
    )
    await finish(engine, assignment, result="R\0", tokens={"prompt_tokens": 3}, used_tools=["t"], duration=0.5)


async def seen(engine: Engine, task_id: str) -> Any:
    """All that can be seen of a task, but for ids and times."""
    task, events, journal = await snapshot(engine, task_id)
    told = [
        (
            each.number,
            each.type,
            each.attempt,
            each.data.model_dump(exclude={*TIMES, "id"}) if hasattr(each.data, "model_dump") else each.data,
        )
        for each in events
    ]
    return task.model_dump(exclude={*TIMES, "id"}), told, journal


async def test_it_stores_what_a_look_first_would_store(engine: Engine, looks: list[int]) -> None:
    _, known = await run(engine)
    await whole_life(engine, known)
    assert looks == []
    _, unknown = await run(engine)
    engine.core.writer.owned_rows.forget([unknown.task.id])
    await whole_life(engine, unknown)
    assert sum(looks) == 6
    assert await seen(engine, known.task.id) == await seen(engine, unknown.task.id)
    task = await engine.tasks.get(known.task.id)
    assert (task.status, task.result, task.payload_extension) == (Status.Completed, "R\ufffd", {"a": 1, "b": 2})
    assert task.finished_at is not None
    assert task.started_at is not None
    assert task.started_at <= task.finished_at


async def test_a_stale_attempt_is_refused_and_changes_nothing(engine: Engine, looks: list[int]) -> None:
    by, first = await run(engine)
    await hand_back(engine, first)
    (second,) = await claim(engine, by)
    looks.clear()
    before = await snapshot(engine, first.task.id)
    with pytest.raises(LeaseLost):
        await finish(engine, first, result="late")
    with pytest.raises(LeaseLost):
        await engine.work.emit(first.task.id, 1, [note()], [JournalEntry("k", "1")])
    assert await snapshot(engine, first.task.id) == before
    await finish(engine, second, result="right")
    assert (await engine.tasks.get(first.task.id)).result == "right"
    assert looks == [1, 1], "the owner's own word needed no look"


async def test_a_stop_beats_a_finish(engine: Engine, other: Engine) -> None:
    _, assignment = await run(engine)
    await other.tasks.stop(assignment.task.id)
    with pytest.raises(LeaseLost):
        await finish(engine, assignment, result="late")
    task = await engine.tasks.get(assignment.task.id)
    assert (task.status, task.result) == (Status.Stopped, None)
    assert await numbers(engine, task.id) == [1, 2, 3]


async def test_a_finish_beats_a_stop(engine: Engine, other: Engine) -> None:
    _, assignment = await run(engine)
    await finish(engine, assignment, result="R")
    task = await other.tasks.stop(assignment.task.id)
    assert (task.status, task.result) == (Status.Completed, "R")


async def test_a_repeat_of_a_finish_changes_nothing(engine: Engine, looks: list[int]) -> None:
    _, assignment = await run(engine)
    await finish(engine, assignment, result="R")
    before = await snapshot(engine, assignment.task.id)
    await finish(engine, assignment, result="again")
    assert await snapshot(engine, assignment.task.id) == before
    assert looks == [1]


async def test_what_somebody_else_wrote_meanwhile_stays(engine: Engine, other: Engine, looks: list[int]) -> None:
    _, assignment = await run(engine)
    task_id = assignment.task.id
    await other.tasks.push(task_id, [note("from outside")])
    await other.tasks.update(task_id, {"title": "theirs", "payload_extension": {"theirs": 1}})
    await engine.tasks.update(task_id, {"payload_extension": {"ours": 2}}, attempt=1)
    assert looks == [1]
    await finish(engine, assignment, result="R")
    assert looks == [1], "it knew the row again after its look"
    task = await engine.tasks.get(task_id)
    assert (task.title, task.payload_extension, task.result) == ("theirs", {"theirs": 1, "ours": 2}, "R")
    assert await numbers(engine, task_id) == [1, 2, 3, 4, 5, 6]


async def test_in_a_group_only_what_has_moved_is_looked_at(engine: Engine, other: Engine, looks: list[int]) -> None:
    by = await worker(engine)
    for _ in range(5):
        await create(engine)
    held = await claim(engine, by, 5)
    await other.tasks.stop(held[1].task.id)
    await other.tasks.push(held[3].task.id, [note("from outside")])
    outcomes = await asyncio.gather(*(finish(engine, each, result="R") for each in held), return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [type(None), LeaseLost, *[type(None)] * 3]
    assert looks == [2]
    assert [await numbers(engine, each.task.id) for each in held] == [[1, 2, 3]] * 3 + [[1, 2, 3, 4], [1, 2, 3]]


async def test_two_processes_that_write_to_a_task_at_once_leave_no_gap(engine: Engine, other: Engine) -> None:
    by = await worker(engine)
    for _ in range(4):
        await create(engine)
    held = await claim(engine, by, 4)
    rounds = 15

    async def inside(each: Assignment) -> None:
        for number in range(rounds):
            await engine.work.emit(each.task.id, 1, [note(f"inside {number}")])

    async def outside(each: Assignment) -> None:
        for number in range(rounds):
            await other.tasks.push(each.task.id, [note(f"outside {number}")])

    await asyncio.gather(*(act(each) for each in held for act in (inside, outside)))
    for each in held:
        events = await log(engine, each.task.id)
        assert [event.number for event in events] == list(range(1, 2 * rounds + 3))
        for side in ("inside", "outside"):
            texts = [event.data.text for event in events if event.type is Type.Note and side in event.data.text]
            assert texts == [f"{side} {number}" for number in range(rounds)]


async def test_its_events_are_delivered(engine: Engine, looks: list[int]) -> None:
    wishes = [Subscription("tell", Type.TaskFinished), Subscription("watch", Type.Note)]
    by = await worker(engine, subscriptions=wishes)
    await create(engine)
    (assignment,) = await claim(engine, by)
    await engine.work.emit(assignment.task.id, 1, [note("one"), note("two")])
    await finish(engine, assignment, result="R")
    assert looks == []
    found = await deliver(engine, by)
    assert {(each.subscription.handler, each.event.number) for each in found} == {("tell", 5), ("watch", 3)}


async def test_of_a_bad_value_among_good_ones_only_its_caller_hears(engine: Engine) -> None:
    by = await worker(engine)
    for _ in range(3):
        await create(engine)
    held = await claim(engine, by, 3)
    values = ["1", "{", "3"]
    outcomes = await asyncio.gather(
        *(
            engine.work.emit(each.task.id, 1, [note()], [JournalEntry("k", value)])
            for each, value in zip(held, values, strict=True)
        ),
        return_exceptions=True,
    )
    assert [type(outcome) for outcome in outcomes] == [type(None), ValidationError, type(None)]
    assert [len(await numbers(engine, each.task.id)) for each in held] == [3, 2, 3]


@pytest.mark.parametrize("ends", ["finish", "pause", "hand back", "lost", "refused", "leave"])
async def test_what_is_over_is_not_kept_in_mind(engine: Engine, other: Engine, ends: str) -> None:
    by, assignment = await run(engine)
    known = engine.core.writer.owned_rows
    assert len(known) == 1
    match ends:
        case "finish":
            await finish(engine, assignment)
        case "pause":
            await engine.work.finish(assignment.task.id, 1, Outcome(Status.Paused))
        case "hand back":
            await hand_back(engine, assignment)
        case "leave":
            await engine.work.leave(by.id)
        case _:
            await other.tasks.stop(assignment.task.id)
            if ends == "lost":
                await engine.work.lost({assignment.task.id: 1})
            else:
                with pytest.raises(LeaseLost):
                    await engine.work.emit(assignment.task.id, 1, [note()])
    assert len(known) == 0
    if ends in ("finish", "pause", "hand back"):
        assert known.claimed_at(assignment.task.id, 1) is None, "a sleeping task costs its worker no memory"


async def test_an_attempt_whose_number_was_handed_out_again_writes_nothing(engine: Engine) -> None:
    """A standby that had not got a claim hands its number out again: the fence names the worker, too."""
    _, frozen = await run(engine)
    other = await worker(engine, "another")
    await engine.core.rows("update worker.tasks set worker_id = %s", (other.id,))
    for write in (
        engine.work.emit(frozen.task.id, frozen.attempt, [note()]),
        engine.tasks.update(frozen.task.id, {"internal_status": "x"}, attempt=frozen.attempt),
        engine.work.hand_back(frozen.task.id, frozen.attempt, HandBack()),
        engine.work.crashed(frozen.task.id, frozen.attempt, "was killed by signal 9"),
        finish(engine, frozen),
    ):
        with pytest.raises(LeaseLost):
            await write
    task = await engine.tasks.get(frozen.task.id)
    assert (task.status, task.last_event) == (Status.Executing, 2)


@pytest.mark.parametrize("needs_locked_write", [False, True], ids=["owned", "locked"])
@pytest.mark.parametrize("at_the_end", [False, True], ids=["in its midst", "at its end"])
async def test_every_field_that_a_save_may_change_is_stored_whichever_way_a_run_writes(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, needs_locked_write: bool, at_the_end: bool
) -> None:
    values = {name: value for name, value in VALUES.items() if name not in ERROR or not at_the_end}
    monkeypatch.setattr("worker.engine.commit.transaction.needs_locked_write", lambda: needs_locked_write)
    _, assignment = await run(engine)
    if at_the_end:
        await finish(engine, assignment, **values)
    else:
        await engine.tasks.update(assignment.task.id, values, attempt=assignment.attempt)
    task = (await engine.tasks.get(assignment.task.id)).model_dump(mode="json")
    for name, value in values.items():
        assert task[name] == (task[name] | value if isinstance(value, dict) else value), name


def test_what_is_locked_is_what_changes_decide_on() -> None:
    names = {each.name for each in fields(Row)} - {"now", "changed", "has_result"}
    assert set(LOCKED) == names | {"result"}
