"""Claims go on where the last one ended: a long snapshot, as a backup holds it, does not slow them down."""

from dataclasses import replace

import psycopg
import pytest

from tests.conftest import execute
from tests.contract.steps import claim, create, finish, hand_back, worker
from worker.engine.engine import Engine
from worker.engine.timings import EngineTimings
from worker.engine.verbs.claim_positions import FRONT, ClaimPositions

TASKS = 60
ENTRIES = """
    select idx_tup_read from pg_stat_user_indexes where indexrelname = 'tasks_to_claim'
"""


SLOW = EngineTimings(quick_claim=-1, front_claims=(3600, 3600))
"""No claim from the front counts as quick, and the next one is far away."""


@pytest.mark.parametrize("any_agent", [False, True])
async def test_under_a_long_snapshot_claims_pass_no_more_and_more_entries(
    empty_database_url: str, any_agent: bool
) -> None:
    database_url = empty_database_url  # whose index nobody has read before
    engine = Engine(database_url, timings=replace(SLOW, late_commit=0))  # the test creates all tasks within a second
    await engine.migrate()
    await engine.open()
    tasks = [(await create(engine)).id for _ in range(TASKS)]
    with psycopg.connect(database_url) as backup:
        backup.execute("set transaction isolation level repeatable read")
        backup.execute("select count(*) from worker.tasks")
        by = await worker(engine, "nobody" if any_agent else "analyst", any_agent=any_agent)
        for task_id in tasks:
            (held,) = await claim(
                engine, by, seconds=0, agents={} if any_agent else {"analyst": 1}, others=int(any_agent)
            )
            assert held.task.id == task_id, "in order"
            await finish(engine, held)
        await engine.close()
    ((entries,),) = execute(database_url, ENTRIES)
    assert entries < TASKS * 20, "each passes a few, not all that were claimed before it"


@pytest.mark.parametrize("timings", [SLOW], ids=["slow"])
async def test_what_comes_into_a_queue_is_found_from_the_mark_on(engine: Engine) -> None:
    by = await worker(engine)
    for _ in range(3):
        task = await create(engine)
        (held,) = await claim(engine, by)
        assert held.task.id == task.id
        await hand_back(engine, held)
        (held,) = await claim(engine, by)
        await finish(engine, held)
        await engine.tasks.retry(task.id)
        (held,) = await claim(engine, by)
        await finish(engine, held)


@pytest.mark.parametrize("timings", [SLOW], ids=["slow"])
async def test_what_came_in_before_the_mark_is_found_from_the_front(
    engine: Engine, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    by = await worker(engine)
    for _ in range(2):
        await create(engine)
        await finish(engine, (await claim(engine, by))[0])
    late = await create(engine)  # in a transaction that was slow to commit
    execute(database_url, "update worker.tasks set available_at = now() - interval '1 min' where status = 'pending'")
    assert await claim(engine, by, seconds=0) == []
    monkeypatch.setattr(engine.organization("default").work._positions, "_whole_at", 0.0)
    assert [each.task.id for each in await claim(engine, by)] == [late.id]


def test_quick_claims_all_begin_at_the_front() -> None:
    recent_agents = ClaimPositions(EngineTimings())
    for _ in range(3):
        scan = recent_agents.scan()
        assert scan.is_full
        assert recent_agents.since(scan, ["a"]) == [FRONT]
        recent_agents.record(scan, [])
