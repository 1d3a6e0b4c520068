"""The SQL that claims tasks."""

from typing import LiteralString

from worker.engine.database.columns import TASK_COLUMNS
from worker.engine.database.statements.tasks import RAISE_CURSORS_OF

# Agents with pending tasks, by a loose index scan: one probe per agent, however long its queue.
WAITING_AGENTS = """
    waiting(agent_id) as (
        (select agent_id from worker.tasks
          where organization_id = %(organization)s and status = 'pending' order by agent_id limit 1)
        union all
        select (select t.agent_id from worker.tasks t
                 where t.organization_id = %(organization)s and t.status = 'pending' and t.agent_id > w.agent_id
                 order by t.agent_id limit 1)
        from waiting w where w.agent_id is not null
    )
"""

# Those of them that no handler of the worker names, in random order.
_OTHER_AGENTS = f"""
    {WAITING_AGENTS}, others(agent_id, free, since) as (
        select agent_id, %(others)s, timestamptz '-infinity' from waiting
         where agent_id is not null and agent_id <> all(%(named)s::text[])
           and exists (select from worker.workers where id = %(worker)s and gone_at is null and not is_busy)
         order by random()
    ),
"""  # noqa: S608 - constants

# Other agents that are already known to have pending tasks, so that no scan is needed.
_KNOWN_AGENTS = """
    others(agent_id, free, since) as (
        select agent_id, %(others)s, since
          from unnest(%(known)s::text[], %(known_since)s::timestamptz[]) as known(agent_id, since)
         where exists (select from worker.workers where id = %(worker)s and gone_at is null and not is_busy)
         order by random()
    ),
"""

# Due tasks of some agents, the longest waiting first, up to each agent's free places. Tasks that workers died of more
# than once (words/retry.py: SUSPICIONS) are picked only as far as the worker can run them alone.
_DUE = """
    select due.id from {source} w cross join lateral (
        select t.id from worker.tasks t
         where t.organization_id = %(organization)s and t.agent_id = w.agent_id and t.status = 'pending'
           and t.available_at >= w.since and t.available_at <= now()
           and (t.suspicions < 2 or t.id = any(array(select id from suspects)))
         order by t.available_at, t.id limit w.free for update skip locked
    ) due
"""

# An array rather than a join: for any() the planner uses the primary key, however stale its statistics are.
# Agents are served in random order, so that a long queue of one starves no other. A worker that was presumed dead
# gets nothing before it has renewed its lease: its new tasks would be taken from it again.
_CLAIM = """
    with recursive {waiting} wanted(agent_id, free, since) as (
        select * from unnest(%(agents)s::text[], %(free)s::integer[], %(since)s::timestamptz[])
         where exists (select from worker.workers where id = %(worker)s and gone_at is null and not is_busy)
         order by random()
    ), suspects as (
        select t.id from worker.tasks t
         where t.organization_id = %(organization)s and t.status = 'pending' and t.suspicions >= 2
           and t.available_at <= now()
           and (t.agent_id = any(%(agents)s::text[]) or (%(others)s > 0 and t.agent_id <> all(%(named)s::text[])))
         order by t.available_at, t.id limit %(suspects)s
    ), picked as materialized (
        {due} limit %(total)s
    ), claimed as (
        update worker.tasks t
           set status = 'executing', attempt = t.attempt + 1, worker_id = %(worker)s, updated_at = now(),
               started_at = coalesce(t.started_at, now()), last_event = t.last_event + 1
         where t.id = any(array(select id from picked))
        returning {columns}
    ), logged as (
        insert into worker.events (task_id, number, type, time, attempt, data)
        select id, last_event, 'task_updated', now(), attempt,
               json_build_object('status', 'executing', 'execution_attempts', attempt, '_worker', %(worker)s::text)
        from claimed
    ), due as ({cursors})
    select claimed.*, (select count(*) from due) as due from claimed order by created_at, id
"""


def _claim(waiting: LiteralString, due: LiteralString) -> LiteralString:
    cursors = RAISE_CURSORS_OF.format(rows="claimed")
    return _CLAIM.format(waiting=waiting, due=due, columns=TASK_COLUMNS, cursors=cursors)


# Claims due tasks of named agents, each up to its free places, from a position in its queue (claim_positions.py).
CLAIM_NAMED = _claim("", _DUE.format(source="wanted"))

# Claims due tasks of all other agents too; the caller chooses at random which of the two come first.
_NAMED = "(" + _DUE.format(source="wanted") + ")"
_OTHERS = "(" + _DUE.format(source="others") + " limit %(others)s)"
_NAMED_FIRST, _OTHERS_FIRST = _NAMED + " union all " + _OTHERS, _OTHERS + " union all " + _NAMED
CLAIM_ANY = _claim(_OTHER_AGENTS, _NAMED_FIRST)
CLAIM_ANY_OTHERS_FIRST = _claim(_OTHER_AGENTS, _OTHERS_FIRST)
CLAIM_KNOWN = _claim(_KNOWN_AGENTS, _NAMED_FIRST)
CLAIM_KNOWN_OTHERS_FIRST = _claim(_KNOWN_AGENTS, _OTHERS_FIRST)
