"""Repair after the database's clock is set back: due work stays due, and later work keeps its remaining delay.

A time that was stored before then lies too far in the future. Such a row is recognized by its own last change, which
lies in the future as well.
"""

import asyncio

from worker.contracts.lease import now
from worker.engine.commit.hints import DELIVERIES, WORK
from worker.engine.database.access import DatabaseAccess
from worker.words.errors import ModuleException, Unavailable
from worker.words.notices import ClockSetBack, PlatformTrouble, announce

BACK_SECONDS = 1.0  # a smaller step may be a slow answer, and delays nothing for longer than that
BATCH = 500

_ASK = "select extract(epoch from clock_timestamp())::double precision as clock"

# Pending tasks of each queue whose last change lies in the future: those that were due then are due now, and the others
# keep their delay. A loose index scan finds the queues, and the index of claims finds the tasks not yet due in each.
_TASKS = """
    with recursive queues(organization_id, agent_id) as (
        (select organization_id, agent_id from worker.tasks
          where status = 'pending' order by organization_id, agent_id limit 1)
        union all
        select next.organization_id, next.agent_id from queues q cross join lateral (
            select t.organization_id, t.agent_id from worker.tasks t
             where t.status = 'pending' and (t.organization_id, t.agent_id) > (q.organization_id, q.agent_id)
             order by t.organization_id, t.agent_id limit 1
        ) next
    ), late as (
        select found.id from queues q cross join lateral (
            select t.id from worker.tasks t
             where t.organization_id = q.organization_id and t.agent_id = q.agent_id and t.status = 'pending'
               and t.available_at > now() and t.waits_for is null
               and t.updated_at > now() + make_interval(secs => %(back)s)
             order by t.available_at, t.id limit %(batch)s for update skip locked
        ) found limit %(batch)s
    )
    update worker.tasks t
       set available_at = now() + greatest(t.available_at - t.updated_at, interval '0'), updated_at = now()
     where t.id = any(array(select id from late)) returning 1
"""

# The number of a delivery's tries gives the longest time that it may wait.
_CURSORS = """
    with late as (
        select c.subscription_id, c.task_id, most.seconds as longest
          from worker.cursors c join worker.subscriptions s on s.id = c.subscription_id
         cross join lateral (
             select case when c.tries = 0 then 0 else
                 least(s.retry_cap, s.retry_base * power(2, least(c.tries - 1, 62))) * 1.2 end as seconds
         ) most
         where c.position < c.newest and c.worker_id is null
           and c.available_at > now() + make_interval(secs => most.seconds + %(back)s)
         order by c.subscription_id, c.task_id limit %(batch)s for update of c skip locked
    )
    update worker.cursors c set available_at = now() + make_interval(secs => late.longest)
      from late where c.subscription_id = late.subscription_id and c.task_id = late.task_id returning 1
"""

_PROVIDERS = """
    update worker.providers set failed_at = now(), opened_at = opened_at - (failed_at - now()),
           probe_at = probe_at - (failed_at - now()), ends_at = ends_at - (failed_at - now())
     where failed_at > now() + make_interval(secs => %(back)s) returning 1
"""


async def watch(core: DatabaseAccess, interval: float) -> None:
    """Detect a clock that was set back, even while no process was running, and repair delays; runs until cancelled.

    Args:
        core: The database.
        interval: The seconds between two checks.
    """
    before: tuple[float, float] | None = None
    while True:
        try:
            asked = now()
            clock = float((await core.rows(_ASK))[0]["clock"])
            back = 0.0 if before is None else now() - before[1] - (clock - before[0])
            if before is None or back > BACK_SECONDS:
                await _repair_and_announce(core, back)
            before = clock, asked
        except ModuleException as error:
            if not isinstance(error, Unavailable):
                announce(PlatformTrouble(doing="checking the database's clock", error=error, again_in=interval))
        await asyncio.sleep(interval)


async def _repair_and_announce(core: DatabaseAccess, back: float) -> None:
    count = await repair(core)
    if count:
        announce(ClockSetBack(back, count))


async def repair(core: DatabaseAccess) -> int:
    """Bring forward the due times that a clock set back has postponed, and return how many."""
    count = 0
    for statement in (_TASKS, _CURSORS, _PROVIDERS):
        while mended := await core.by_index(statement, {"batch": BATCH, "back": BACK_SECONDS}):
            count += mended
            if mended < BATCH:
                break
    if count:
        core.announce(WORK + DELIVERIES, [])
    return count
