"""A claim whose answer never came: the database gave a task to a worker that does not know of it."""

from worker.engine import statements
from worker.engine.engine import Engine
from worker.words.ids import new_id
from worker.words.tasks import AgentExecutionInput, NewTask
from worker.words.work import Demand, WorkerCard


async def test_what_a_claim_took_whose_answer_was_lost_is_queued_again_uncharged(engine: Engine) -> None:
    card = WorkerCard(id=new_id(), name="w", agents=("a",))
    await engine.work.register(card)
    known, lost = [
        (await engine.tasks.create(NewTask(agent_id="a", input=AgentExecutionInput(text=text)))).id for text in "xy"
    ]
    first = await engine.work.assignments(card.id, lambda: Demand(1, {"a": 1}), 5)
    claim = {"organization": "default", "worker": card.id, "agents": ["a"], "free": [1], "named": ["a"], "total": 1}
    await engine.core.rows(
        statements.CLAIM_NAMED, {**claim, "others": 0, "suspects": 1}
    )  # committed, and nobody heard of it
    engine.work._unheard.add(card.id)  # what a connection that breaks at that moment leaves behind
    again = await engine.work.assignments(card.id, lambda: Demand(5, {"a": 5}), 5)
    assert [(each.task.id, each.attempt) for each in [*first, *again]] == [(known, 1), (lost, 2)]
    assert (again[0].task.suspicions, again[0].task.crashes, again[0].task.errors) == (0, 0, 0)
    await engine.work.leave(card.id)
