"""A claim whose answer never came: the database gave a task to a worker that does not know of it."""

import asyncio

import pytest

from tests.contract.steps import claim, create, worker
from worker.engine.database.statements import claims as sql_claims
from worker.engine.engine import Engine
from worker.words.ids import new_id
from worker.words.tasks import AgentExecutionInput, NewTask
from worker.words.work import Assignment, Demand, WorkerCard


async def test_what_a_claim_took_whose_answer_was_lost_is_queued_again_uncharged(engine: Engine) -> None:
    card = WorkerCard(id=new_id(), name="w", agents=("a",))
    await engine.work.register(card)
    known, lost = [
        (await engine.tasks.create(NewTask(agent_id="a", input=AgentExecutionInput(text=text)))).id for text in "xy"
    ]
    first = await engine.work.assignments(card.id, lambda: Demand(1, {"a": 1}), 5)
    claim = {"organization": "default", "worker": card.id, "agents": ["a"], "free": [1], "named": ["a"], "total": 1}
    await engine.core.rows(
        sql_claims.CLAIM_NAMED, {**claim, "since": ["-infinity"], "others": 0, "suspects": 1}
    )  # committed, and nobody heard of it
    engine.work._unanswered.add(card.id)  # what a connection that breaks at that moment leaves behind
    again = await engine.work.assignments(card.id, lambda: Demand(5, {"a": 5}), 5)
    assert [(each.task.id, each.attempt) for each in [*first, *again]] == [(known, 1), (lost, 2)]
    assert (again[0].task.suspicions, again[0].task.crashes, again[0].task.errors) == (0, 0, 0)
    await engine.work.leave(card.id)


async def test_a_claim_that_found_all_there_was_is_followed_by_a_wait_and_not_by_another(
    engine: Engine, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    by = await worker(engine)
    await create(engine)
    assert len(await claim(engine, by, 5)) == 1
    looks: list[str] = []
    look = engine.work._claim

    async def counting(worker_id: str, demand: Demand) -> list[Assignment]:
        looks.append(worker_id)
        return await look(worker_id, demand)

    monkeypatch.setattr(engine.work, "_claim", counting)
    waiting = asyncio.create_task(claim(engine, by, 5))
    await asyncio.sleep(0)  # it has had its turn
    assert looks == []
    other = Engine(database_url)
    await other.open()
    task = await create(other)
    await other.close()
    assert [each.task.id for each in await asyncio.wait_for(waiting, 10)] == [task.id]
    assert looks


async def test_a_claim_that_found_all_there_was_looks_again_at_once_where_it_cannot_wait(engine: Engine) -> None:
    by = await worker(engine)
    await create(engine)
    assert len(await claim(engine, by, 5)) == 1
    await engine.core.rows("update worker.tasks set status = 'pending', worker_id = null")  # nobody hints at that
    assert len(await claim(engine, by, 5, seconds=0)) == 1
