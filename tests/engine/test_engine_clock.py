"""The database's clock is set back: what was due is due, and what was to come later is as far off as it was then.

A clock that was set back is the same as rows that are that much ahead of it.
"""

import asyncio

import pytest

from tests.conftest import execute
from tests.contract.steps import claim, create, deliver, finish, hand_back, run, worker
from tests.support import wait_until
from worker.engine.engine import Engine
from worker.engine.liveness import clock
from worker.words.notices import ClockSetBack, Notice, subscribe
from worker.words.statuses import TaskUpdateEventType as Type
from worker.words.work import Subscription

AHEAD = """
    update worker.tasks
       set available_at = available_at + interval '10 min', updated_at = updated_at + interval '10 min',
           created_at = created_at + interval '10 min'
     where status = 'pending'
"""


async def test_what_was_due_is_due(engine: Engine, database_url: str) -> None:
    tasks = [await create(engine, agent=agent) for agent in ("analyst", "other", "analyst")]
    execute(database_url, AHEAD)
    by = await worker(engine, "analyst", "other")
    await clock.repair(engine.core)  # the worker looks by itself when it starts, too
    found = await claim(engine, by, 3)
    assert {each.task.id for each in found} == {each.id for each in tasks}
    assert await clock.repair(engine.core) == 0


async def test_what_waits_for_another_try_waits_as_long_as_it_was_to(engine: Engine, database_url: str) -> None:
    _, held = await run(engine)
    await hand_back(engine, held, error="busy", delay=50)
    assert await clock.repair(engine.core) == 0, "the clock is right"
    execute(database_url, AHEAD)
    await clock.repair(engine.core)
    ((seconds,),) = execute(database_url, "select extract(epoch from available_at - now())::float8 from worker.tasks")
    assert 40 < seconds <= 50


async def test_deliveries_are_due_as_before(engine: Engine, database_url: str) -> None:
    await create(engine)
    by = await worker(engine, subscriptions=[Subscription("heard", Type.TaskFinished)])
    (held,) = await claim(engine, by)
    await finish(engine, held)
    execute(database_url, "update worker.cursors set available_at = available_at + interval '10 min'")
    await clock.repair(engine.core)
    assert len(await deliver(engine, by)) == 1


async def test_a_clock_that_is_set_back_is_seen_by_a_clock_of_our_own(
    engine: Engine, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    notices: list[Notice] = []
    end = subscribe(notices.append)
    seconds, looks = 0.0, 0

    def own() -> float:
        nonlocal looks
        looks += 1
        return asyncio.get_running_loop().time() + seconds

    monkeypatch.setattr(clock, "now", own)
    watching = asyncio.create_task(clock.watch(engine.core, 0.01))
    await wait_until(lambda: looks > 1, "it has looked once")
    task = await create(engine)
    execute(database_url, AHEAD)
    seconds = 600.0  # as many as the database's clock has fallen behind
    await wait_until(lambda: any(isinstance(each, ClockSetBack) for each in notices), "it was noticed")
    end()
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)
    by = await worker(engine)
    assert [each.task.id for each in await claim(engine, by)] == [task.id]
