"""Counts of an organization's tasks. Every count uses an index that contains only unfinished work."""

from worker.contracts.bounds import bounded
from worker.contracts.stats import AgentStats, Stats
from worker.engine.core import Core
from worker.engine.database.statements.claims import WAITING_AGENTS

MOST = 100_000  # the highest count; the default of WORKER_MAX_QUEUED

# Agents with pending tasks by a loose index scan, then each agent's queue, the longest waiting first.
_PENDING = f"""
    with recursive {WAITING_AGENTS}
    select w.agent_id, queue.* from waiting w cross join lateral (
        select count(*) as pending, count(*) filter (where q.available_at <= now()) as due,
               greatest(0, extract(epoch from now() - min(q.available_at)))::double precision as oldest_seconds
        from (
            select t.available_at from worker.tasks t
             where t.organization_id = %(organization)s and t.agent_id = w.agent_id and t.status = 'pending'
             order by t.available_at, t.id limit %(most)s
        ) q
    ) queue where w.agent_id is not null
"""  # noqa: S608 - constants

_HELD = """
    select agent_id, count(*) as executing from worker.tasks
    where status = 'executing' and organization_id = %(organization)s group by agent_id
"""

_PAUSED = """
    select agent_id, count(*) as paused from worker.tasks
    where status = 'paused' and organization_id = %(organization)s group by agent_id
"""

_REST = """
    with mine as (select id from worker.subscriptions where organization_id = %(organization)s)
    select
        (select count(*) from worker.workers where organization_id = %(organization)s and gone_at is null) as workers,
        (select count(*) from (
            select from worker.cursors c where c.position < c.newest and c.worker_id is null
               and c.subscription_id in (select id from mine) limit %(most)s
        ) due) as deliveries_due,
        (select count(*) from (
            select from worker.cursors c where c.tries > 0 and c.subscription_id in (select id from mine) limit %(most)s
        ) failing) as deliveries_failing,
        (select count(*) from (
            select from worker.deliveries_set_aside d where d.subscription_id in (select id from mine) limit %(most)s
        ) aside) as deliveries_set_aside,
        (select count(*) from worker.providers
          where organization_id = %(organization)s and opened_at is not null) as providers_away
"""


@bounded
async def stats(core: Core, organization_id: str) -> Stats:
    """Count an organization's unfinished work."""
    keys = {"organization": organization_id, "most": MOST}
    agents: dict[str, dict[str, float]] = {}
    for sql in (_PENDING, _HELD, _PAUSED):
        for row in await core.read(sql, keys):
            agents.setdefault(row.pop("agent_id"), {}).update(row)
    (rest,) = await core.read(_REST, keys)
    counted = tuple(
        AgentStats(
            agent_id,
            pending=int(each.get("pending", 0)),
            due=int(each.get("due", 0)),
            oldest_seconds=each.get("oldest_seconds") or 0.0,
            executing=int(each.get("executing", 0)),
            paused=int(each.get("paused", 0)),
        )
        for agent_id, each in sorted(agents.items())
    )
    return Stats(counted, **rest)
