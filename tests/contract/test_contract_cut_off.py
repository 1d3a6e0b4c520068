"""A worker's lease by its own clock: what was held when it ran out may be another's, and its run does not go on."""

import time

import pytest

from tests.contract.steps import claim, create, finish, hand_back, log, note, run, worker
from tests.support import wait_until
from worker.contracts import Platform
from worker.contracts.lease import OwnLease, now
from worker.words.errors import CutOff
from worker.words.statuses import AgentExecutionStatus as Status
from worker.words.work import Assignment

SHORT = 0.02  # seconds: it has run out before it is renewed, as where nobody answers for a lease


async def overdue(platform: Platform) -> Assignment:
    """What a worker holds whose lease has run out since."""
    await create(platform)
    by = await worker(platform, lease_seconds=SHORT)
    (held,) = await claim(platform, by)
    mine = {held.task.id: held.attempt}
    await wait_until(lambda: platform.work.cut_off(mine) == [held.task.id], "the lease has run out")
    return held


async def test_a_worker_whose_lease_is_renewed_is_not_cut_off(platform: Platform) -> None:
    _, held = await run(platform)
    await platform.work.emit(held.task.id, held.attempt, [note()])
    assert platform.work.cut_off({held.task.id: held.attempt, "somebody's": 1}) == []


async def test_a_late_ok_ends_the_run_that_waited_for_it(platform: Platform) -> None:
    held = await overdue(platform)
    with pytest.raises(CutOff):
        await platform.work.emit(held.task.id, held.attempt, [note("late")])
    with pytest.raises(CutOff):
        await platform.tasks.update(held.task.id, {"internal_status": "late"}, attempt=held.attempt)
    told = [event.model_dump_json() for event in await log(platform, held.task.id)]
    assert any('"late"' in each for each in told), "it was stored all the same"


async def test_what_nobody_took_meanwhile_is_handed_back(platform: Platform) -> None:
    held = await overdue(platform)
    await hand_back(platform, held)
    assert (await platform.tasks.get(held.task.id)).status is Status.Pending


async def test_a_result_that_came_late_stands_if_nobody_took_the_task(platform: Platform) -> None:
    held = await overdue(platform)
    await finish(platform, held, result="late")
    assert (await platform.tasks.get(held.task.id)).result == "late"


def test_a_gap_between_two_renewals_is_remembered() -> None:
    lease, start = OwnLease(), now()
    assert lease.holds(start)
    lease.renewed(start, 30)
    assert lease.holds(start)
    lease.renewed(start + 31, 30)  # nobody looked in between: the process was frozen
    assert not lease.holds(start)
    assert lease.holds(start + 32)
    lease.end()
    assert lease.holds(start + 1000)


def test_the_clock_of_leases_goes_on() -> None:
    before = now()
    time.sleep(0.001)
    assert now() > before
