"""The SQL, named. A line of prose above each says what it is for."""

from typing import LiteralString

from worker.engine.database.columns import KEPT_COLUMNS, LOCKED_COLUMNS, SAVED, TASK_COLUMNS, typed

HOLDS = "h.place is not null and not h.queued and h.status in ('pending', 'executing', 'paused')"
"""Whether it is the turn of this task of a conversation; that it waits for a retry or a person changes nothing."""

# The rows a group changes, locked in the order of their ids: two groups with tasks in common cannot deadlock.
LOCK_TASKS = f"""
    select {LOCKED_COLUMNS}, now() as now from worker.tasks where id = any(%(ids)s::text[]) order by id for update
"""  # noqa: S608 - composed of constants

_GIVEN = typed(
    {
        "id",
        "organization_id",
        "agent_id",
        "user_id",
        "parent_id",
        "triggering_agent_id",
        "conversation_id",
        "queued",
        "status",
        "attempt",
        "worker_id",
        "settings",
        "state",
    }
)
_NEW = f"{_GIVEN}, told json"

_INSERT = f"""
    with fresh as materialized (
        select r.*, w.id as holder from {{given}}
        left join worker.workers w on w.id = r.worker_id and w.gone_at is null and not w.is_busy
    ), made as (
        insert into worker.tasks as t (
            id, organization_id, agent_id, user_id, parent_id, triggering_agent_id, settings, state,
            status, attempt, worker_id, last_event, created_at, updated_at, available_at, started_at{{columns}}
        )
        select id, organization_id, agent_id, user_id, parent_id, triggering_agent_id, settings, state,
            case when holder is null then status else 'executing' end,
            case when holder is null then attempt else 1 end, holder,
            case when holder is null then 1 else 2 end, now(), now(), {{due}},
            case when holder is not null or status = 'executing' then now() end{{values}}
        from fresh{{order}}
        returning {TASK_COLUMNS}, t.worker_id
    ), told as (
        select id, organization_id, agent_id, settings, 1 as number, 'task_created' as type, null::integer as attempt,
            told as data
        from fresh
        union all
        select id, organization_id, agent_id, settings, 2, 'task_updated', 1,
            json_build_object('status', 'executing', 'execution_attempts', 1, '_worker', holder)
        from fresh where holder is not null
    ), logged as (
        insert into worker.events (task_id, number, type, time, attempt, data)
        select id, number, type, now(), attempt, data from told
    ), due as (
        insert into worker.cursors (subscription_id, task_id, position, newest)
        select s.id, f.id, f.number - 1, f.number from told f join worker.subscriptions s
          on s.organization_id = f.organization_id and s.event_type = f.type
         and (s.agent_id is null or s.agent_id = f.agent_id) and (s.needs is null or f.settings->>s.needs is not null)
        order by s.id, f.id
        returning 1
    )
    select now() as now, exists (select from due) as is_due, begun.*
    from (values (1)) as always left join (select * from made where worker_id is not null) as begun on true
"""  # noqa: S608 - composed of constants

# New tasks, their first events, and the cursors of who wants to hear of those. One that names a worker is begun by it,
# as by a claim, if that worker is still there. Answers the time, whether a cursor was raised, and a row for each task
# that was begun, or one with no task.
INSERT_TASKS = _INSERT.format(
    given=f"json_to_recordset(%s::json) as r({_NEW})", columns="", values="", due="now()", order=""
)

# The same, where some belong to a conversation. Those that take turns get their places in the order in which they came.
INSERT_TURNS = _INSERT.format(
    given=f"rows from (json_to_recordset(%s::json) as ({_NEW})) with ordinality as r",
    columns=", conversation_id, queued, place",
    values=", conversation_id, queued, case when queued then nextval('worker.places') end",
    due="case when queued then now() + interval '36500 days' else now() end",
    order=" order by ordinality",
)

_EVENT = "task_id text, number bigint, type text, attempt integer, origin text, data json"

# Events, and for each subscription that wants one, the cursor that says so. No subscription: no cost.
_LOG = """
    insert into worker.events (task_id, number, type, time, attempt, origin, data)
    select task_id, number, type, now(), attempt, origin, data from fresh
"""
_RAISE_CURSORS = """
    insert into worker.cursors as c (subscription_id, task_id, position, newest)
    select s.id, f.task_id, min(f.number) - 1, max(f.number)
    from fresh f join worker.subscriptions s
      on s.organization_id = f.organization_id and s.event_type = f.type
     and (s.agent_id is null or s.agent_id = f.agent_id) and s.handler is distinct from f.origin
     and (s.needs is null or exists (
         select from worker.tasks t where t.id = f.task_id and t.settings->>s.needs is not null
     ))
    group by s.id, f.task_id order by s.id, f.task_id
    on conflict (subscription_id, task_id) do update set newest = greatest(c.newest, excluded.newest)
"""

# Events of a group.
INSERT_EVENTS = f"""
    with fresh as materialized (
        select * from json_to_recordset(%s::json) as r({_EVENT}, organization_id text, agent_id text)
    ), logged as ({_LOG})
    {_RAISE_CURSORS}
"""  # noqa: S608 - composed of constants

INSERT_JOURNAL = """
    insert into worker.journal (task_id, key, value, sha256)
    select task_id, key, value::json, sha256
    from json_to_recordset(%s::json) as r(task_id text, key text, value text, sha256 text)
    on conflict (task_id, key) do nothing
"""

# Some events, each the number of a task: by them a commit whose answer was lost is known.
READ_TIMES = """
    select task_id, number, time, attempt, data::text from worker.events
    where (task_id, number) in (select * from unnest(%s::text[], %s::bigint[]))
"""

# What runs write of their own tasks, in one statement: a row is changed, and events and journal entries are added, if
# the attempt and its worker still own it and nobody has logged anything since. (The worker too: a standby that had not
# got everything may hand an attempt's number out again.) Answers the time, the tasks of which that is so, and
# whether a subscription wants any of the events. Columns that are not given stay; a given status ends the task.
WRITE_OWNED = f"""
    with wanted as materialized (
        select * from json_to_recordset(%(rows)s::json) as r(
            id text, attempt integer, owner text, known bigint, changes boolean, last_event bigint, {typed(SAVED)}
        )
    ), locked as materialized (
        select id, organization_id, agent_id, status, attempt, worker_id, last_event from worker.tasks
        where id = any(%(ids)s::text[]) order by id for update
    ), mine as materialized (
        select w.*, l.organization_id, l.agent_id from wanted w join locked l on l.id = w.id
        where l.status = 'executing' and l.attempt = w.attempt and l.worker_id = w.owner and l.last_event = w.known
    ), changed as (
        update worker.tasks t
           set last_event = m.last_event, updated_at = now(), {KEPT_COLUMNS},
               worker_id = case when m.status is null then t.worker_id end,
               finished_at = case when m.status is null then t.finished_at else now() end
          from mine m where t.id = any(%(ids)s::text[]) and t.id = m.id and m.changes
    ), fresh as materialized (
        select e.*, m.organization_id, m.agent_id
        from json_to_recordset(%(events)s::json) as e({_EVENT}) join mine m on m.id = e.task_id
    ), logged as ({_LOG}), noted as (
        insert into worker.journal (task_id, key, value, sha256)
        select j.task_id, j.key, j.value::json, j.sha256
        from json_to_recordset(%(journal)s::json) as j(task_id text, key text, value text, sha256 text)
        join mine m on m.id = j.task_id
        on conflict (task_id, key) do nothing
    ), due as ({_RAISE_CURSORS} returning 1)
    select now(), array(select id from mine) as stored, exists (select from due)
"""  # noqa: S608 - composed of constants

# A retry by hand starts over, but on sessions as the task found them: what its runs left there does not count twice.
DROP_JOURNAL = """
    delete from worker.journal
    where task_id = any(%s::text[]) and not starts_with(key, task_id || '/session/')
"""

READ_JOURNAL = """
    select j.key, j.value::text, j.sha256 from worker.journal j join worker.tasks t on t.id = j.task_id
    where j.task_id = %s and t.organization_id = %s
"""

# What was said to a task: rows of the journal that no attempt writes.
READ_MESSAGES = """
    select j.value::text from worker.journal j join worker.tasks t on t.id = j.task_id
    where j.task_id = %s and t.organization_id = %s and j.key >= 'message/' and j.key < 'message0'
"""

# What attempts before one have told, but for what they told before the journal was dropped.
READ_TOLD = """
    select e.number, e.type, e.data from worker.events e join worker.tasks t on t.id = e.task_id
    where e.task_id = %s and t.organization_id = %s and e.attempt < %s and e.type = any(%s::text[])
      and e.number > greatest(coalesce((t.state->>'_anew')::bigint, 0), %s)
    order by e.number limit %s
"""

# A hint to whoever listens, sent after the commit: NOTIFY inside a transaction takes a lock of the whole server.
NOTIFY = "select pg_notify('worker', %s)"

# Agents that have something waiting, by a loose scan of the index: one probe an agent, however long its queue.
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

# Of these the agents that no handler of a worker names, in any order.
_OTHER_AGENTS = f"""
    {WAITING_AGENTS}, others(agent_id, free, since) as (
        select agent_id, %(others)s, timestamptz '-infinity' from waiting
         where agent_id is not null and agent_id <> all(%(named)s::text[])
           and exists (select from worker.workers where id = %(worker)s and gone_at is null and not is_busy)
         order by random()
    ),
"""  # noqa: S608 - constants

# The same, of agents that are known to have something waiting: no queue is looked for.
_KNOWN_AGENTS = """
    others(agent_id, free, since) as (
        select agent_id, %(others)s, since
          from unnest(%(known)s::text[], %(known_since)s::timestamptz[]) as known(agent_id, since)
         where exists (select from worker.workers where id = %(worker)s and gone_at is null and not is_busy)
         order by random()
    ),
"""

# What waits of some agents, the longest waiting first, each agent's up to its free count. Tasks that workers died of
# more than once (words/retry.py: SUSPICIONS) are picked only as far as the worker can run them apart.
_DUE = """
    select due.id from {source} w cross join lateral (
        select t.id from worker.tasks t
         where t.organization_id = %(organization)s and t.agent_id = w.agent_id and t.status = 'pending'
           and t.available_at >= w.since and t.available_at <= now()
           and (t.suspicions < 2 or t.id = any(array(select id from suspects)))
         order by t.available_at, t.id limit w.free for update skip locked
    ) due
"""

# The cursors of who wants to hear that tasks were updated, each by its last event.
RAISE_CURSORS_OF = """
        insert into worker.cursors as c (subscription_id, task_id, position, newest)
        select s.id, f.id, f.last_event - 1, f.last_event from {rows} f join worker.subscriptions s
          on s.organization_id = f.organization_id and s.event_type = 'task_updated'
         and (s.agent_id is null or s.agent_id = f.agent_id) and (s.needs is null or f.settings->>s.needs is not null)
        order by s.id, f.id
        on conflict (subscription_id, task_id) do update set newest = greatest(c.newest, excluded.newest)
        returning 1
"""

# An array rather than a join: by any() the planner takes the primary key, however stale its statistics are.
# Agents take turns by chance, so that a long queue of one starves no other. A worker that was taken for dead gets
# nothing before it has renewed its lease: its new tasks would be taken from it again.
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


# Claim what named agents have waiting, each up to its own free count, from some moment on (claim_positions.py).
CLAIM_NAMED = _claim("", _DUE.format(source="wanted"))

# The same, and whatever other agents have waiting; which of the two comes first is the caller's throw of a coin.
_NAMED = "(" + _DUE.format(source="wanted") + ")"
_OTHERS = "(" + _DUE.format(source="others") + " limit %(others)s)"
_NAMED_FIRST, _OTHERS_FIRST = _NAMED + " union all " + _OTHERS, _OTHERS + " union all " + _NAMED
CLAIM_ANY = _claim(_OTHER_AGENTS, _NAMED_FIRST)
CLAIM_ANY_OTHERS_FIRST = _claim(_OTHER_AGENTS, _OTHERS_FIRST)
CLAIM_KNOWN = _claim(_KNOWN_AGENTS, _NAMED_FIRST)
CLAIM_KNOWN_OTHERS_FIRST = _claim(_KNOWN_AGENTS, _OTHERS_FIRST)

# A task; of one whose turn has not come, also whose turn it is.
GET_TASK = f"""
    select {TASK_COLUMNS}, case when t.queued and t.status = 'pending' then (
        select json_build_array(h.id, h.status) from worker.tasks h
         where h.organization_id = t.organization_id and h.agent_id = t.agent_id
           and h.conversation_id = t.conversation_id and {HOLDS} limit 1
    ) end as turn_of
    from worker.tasks t where t.id = %s and t.organization_id = %s
"""  # noqa: S608 - constants

# Which of the attempts that a worker holds own their task no longer.
LOST = """
    select h.id, coalesce(t.status, 'stopped') as status
    from unnest(%s::text[], %s::integer[]) as h(id, attempt)
    left join worker.tasks t on t.id = h.id and t.organization_id = %s
    where t.id is null or t.status <> 'executing' or t.attempt <> h.attempt
"""

# What of a task's log a reader has not seen, and whether there will be more: one row with no event where there is none.
READ_LOG = """
    select t.status, t.last_event, e.task_id, e.number, e.type, e.time, e.attempt, e.data
    from worker.tasks t left join lateral (
        select * from worker.events where task_id = t.id and number > %s order by number limit %s
    ) e on true
    where t.id = %s order by e.number
"""

# One event of a task.
READ_EVENT = "select task_id, number, type, time, attempt, data from worker.events where task_id = %s and number = %s"

# The events that carry a task's changes, up to where a reader begins.
READ_CHANGES = """
    select task_id, number, type, time, attempt, data from worker.events
    where task_id = %s and number <= %s and type in ('task_created', 'task_updated', 'task_finished') order by number
"""

# The events that carry a task's changes of status, each with the name of the worker that it names.
READ_ATTEMPTS = """
    select e.number, e.time, e.attempt, e.data, w.name as worker
    from worker.events e left join worker.workers w on w.id = e.data->>'_worker'
    where e.task_id = %s and e.type in ('task_created', 'task_updated', 'task_finished') order by e.number
"""

# Settings a task had before it was created again with a new input.
READ_RENEWALS = """
    select number, data->'_settings_before' as before from worker.events
    where task_id = %s and type = 'task_updated' and data->'_settings_before' is not null
"""

LOCAL = "database"
"""Who registered a worker that has a connection to the database of its own: no key of the server acts for it."""

# An id is its first worker's: nobody else takes it over, of no other session, key or organization. A server of a
# version before wrote no session, so what it registered is whoever's that comes again with its id.
REGISTER = """
    insert into worker.workers as w (
        id, organization_id, name, agents, any_agent, concurrency, isolates, has_lock, lease_seconds, lease_until,
        registered_by, session, tools, reads_documents
    ) values (
        %(id)s, %(organization)s, %(name)s, %(agents)s, %(any_agent)s, %(concurrency)s, %(isolates)s, %(has_lock)s,
        %(lease)s, now() + make_interval(secs => %(lease)s), %(registered_by)s, %(session)s,
        %(tools)s::json, %(reads_documents)s
    )
    on conflict (id) do update set gone_at = null, is_draining = false, lease_until = excluded.lease_until,
        agents = excluded.agents, any_agent = excluded.any_agent, concurrency = excluded.concurrency,
        isolates = excluded.isolates, registered_by = excluded.registered_by, session = excluded.session,
        tools = excluded.tools, reads_documents = excluded.reads_documents
    where w.organization_id = excluded.organization_id and (
        w.registered_by = excluded.registered_by and w.session is not distinct from excluded.session
        or w.registered_by is null and not w.has_lock and w.lease_seconds <= excluded.lease_seconds
    )
    returning lock_key
"""

ANNOUNCE_AGENTS = """
    insert into worker.agents (organization_id, id, record, announced)
    select %s, id, json_build_object('name', id, 'unique_name', id), true from unnest(%s::text[]) as id
    on conflict (organization_id, id) do nothing
"""

SUBSCRIBE = """
    insert into worker.subscriptions as s (
        organization_id, handler, agent_id, event_type, needs, retry_attempts, retry_base, retry_cap
    ) values (
        %(organization)s, %(handler)s, %(agent)s, %(type)s, %(needs)s, %(attempts)s, %(base)s, %(cap)s
    )
    on conflict (organization_id, handler, event_type, coalesce(agent_id, '')) do update
        set seen_at = now(), needs = excluded.needs, retry_attempts = excluded.retry_attempts,
            retry_base = excluded.retry_base, retry_cap = excluded.retry_cap
    returning s.id
"""

# A worker says that it lives; one that was taken for dead is here again (what it held is fenced off by then).
RENEW = """
    update worker.workers set gone_at = null, lease_until = now() + make_interval(secs => lease_seconds)
    where id = %s returning 1
"""

# Rights that the role lacks: it works with every table of the schema but that of the migrations. (A case, because a
# planner may ask what is no sequence for the rights on one.)
MISSING_RIGHTS = """
    select case when not has_schema_privilege(n.oid, 'usage') then array['usage on schema worker'] else array(
        select wanted || ' on ' || c.relname from pg_class c
          cross join unnest(array['select', 'insert', 'update', 'delete']) as wanted
         where c.relnamespace = n.oid and c.relkind = 'r' and c.relname <> 'migrations'
           and not case when c.relkind = 'r' then has_table_privilege(c.oid, wanted) else true end
        union all
        select 'usage on sequence ' || c.relname from pg_class c
         where c.relnamespace = n.oid and c.relkind = 'S'
           and not case when c.relkind = 'S' then has_sequence_privilege(c.oid, 'usage') else true end
    ) end as missing
    from pg_namespace n where n.nspname = 'worker'
"""

REPORT = """
    update worker.workers set hung_threads = %s, memory = %s, runs = %s, recent = %s
    where id = %s and organization_id = %s returning 1
"""

DRAIN = "update worker.workers set is_draining = true where id = %s and organization_id = %s returning 1"

SEEN_SUBSCRIPTIONS = "update worker.subscriptions set seen_at = now() where id = any(%s)"

# A subscription that no worker has served for 7 days is given up, its cursors with it.
RETIRE_SUBSCRIPTIONS = "delete from worker.subscriptions where seen_at < now() - interval '7 days'"

# (One look in an index each: a join might read the tables through.)
FORGET_WORKERS = """
    delete from worker.workers w where gone_at < now() - interval '7 days'
       and (select 1 from worker.tasks t where t.worker_id = w.id and t.status = 'executing' limit 1) is null
       and (select 1 from worker.cursors c where c.worker_id = w.id limit 1) is null
"""

# What bounds this user's connections first: its role, the database, the server.
CONNECTION_LIMIT = """
    select least(
        (select nullif(rolconnlimit, -1) from pg_roles where rolname = current_user),
        (select nullif(datconnlimit, -1) from pg_database where datname = current_database()),
        current_setting('max_connections')::integer - current_setting('superuser_reserved_connections')::integer
    ) as connections
"""

LEAVE = "update worker.workers set gone_at = coalesce(gone_at, now()) where id = %s"

HELD_BY = """
    select id, organization_id, worker_id, attempt from worker.tasks
    where worker_id = %s and status = 'executing' order by id
"""

# By arrays the planner takes the primary key, however many rows it expects.
_FREE_HELD = """
    update worker.cursors c set worker_id = null from held h
    where c.subscription_id = h.subscription_id and c.task_id = h.task_id
      and c.subscription_id = any(array(select subscription_id from held))
      and c.task_id = any(array(select task_id from held))
"""

# In the order in which writers touch cursors, so that they cannot deadlock.
RELEASE_CURSORS = f"""
    with held as (
        select subscription_id, task_id from worker.cursors where worker_id = %s
        order by subscription_id, task_id for update
    )
    {_FREE_HELD}
"""  # noqa: S608 - constants

# Who seems dead: the session lock is free (certain only when seen twice), or where there is none the lease has run out.
SUSPECTS = """
    select w.id, w.name, w.lease_until < now() as expired, w.lease_until::text as until, w.lease_seconds, w.has_lock,
           exists (
               select from pg_locks l
               where l.locktype = 'advisory' and l.granted and l.objsubid = 2
                 and l.database = (select oid from pg_database where datname = current_database())
                 and l.classid = %(class)s::oid and l.objid = (w.lock_key::bigint & 4294967295)::oid
           ) as locked
    from worker.workers w where w.gone_at is null and w.id <> %(me)s
"""

MARK_GONE = """
    update worker.workers set gone_at = now(), lost_by = case when %(certain)s then 'lock' else 'lease' end
    where id = %(id)s and gone_at is null and (%(certain)s or lease_until::text = %(until)s)
"""

# What is still held by workers that are gone: the work of a rescuer that died half-way, too.
ORPHANS = """
    select t.id, t.organization_id, t.worker_id, w.isolates, w.lost_by
    from worker.tasks t join worker.workers w on w.id = t.worker_id
    where t.status = 'executing' and w.gone_at is not null
    order by t.id limit 500
"""

RELEASE_ORPHANED_CURSORS = f"""
    with held as (
        select subscription_id, task_id from worker.cursors
        where worker_id is not null
          and worker_id = any(array(select id from worker.workers where gone_at is not null))
        order by subscription_id, task_id for update
    )
    {_FREE_HELD}
"""  # noqa: S608 - constants

# Whether workers that are gone still hold anything.
LEFTOVERS = """
    with gone as materialized (select array(select id from worker.workers where gone_at is not null) as ids)
    select 1 where exists (
        select from worker.tasks where status = 'executing' and worker_id = any((select ids from gone)::text[])
    ) or exists (
        select from worker.cursors where worker_id is not null and worker_id = any((select ids from gone)::text[])
    )
"""

# The next due event of some (subscription, task) pairs, each pair leased to the worker until it settles: at most so
# many of each subscription, in turn, so that none keeps the others waiting. What was set aside and is to be tried once
# more comes first.
CLAIM_DELIVERIES = """
    with wanted as materialized (
        select id, most from unnest(%(ids)s::bigint[], %(limits)s::integer[]) as w (id, most)
    ), again as materialized (
        select a.* from wanted w cross join lateral (
            select subscription_id, task_id, available_at from worker.cursors c
            where c.retries > 0 and c.worker_id is null and c.subscription_id = w.id
            order by c.task_id limit w.most for update skip locked
        ) a
    ), due as materialized (
        select d.* from wanted w cross join lateral (
            select subscription_id, task_id, available_at from worker.cursors c
            where c.position < c.newest and c.worker_id is null and c.available_at <= now()
              and c.subscription_id = w.id
            order by c.available_at limit w.most for update skip locked
        ) d
    ), picked as materialized (
        select r.subscription_id, r.task_id from (
            select e.*, row_number() over (partition by subscription_id order by is_due, available_at) as place
            from (
                select subscription_id, task_id, min(is_due) as is_due, min(available_at) as available_at
                from (select *, 0 as is_due from again union all select *, 1 from due) b
                group by subscription_id, task_id
            ) e
        ) r join wanted w on w.id = r.subscription_id
        where r.place <= w.most
        order by r.place limit %(limit)s
    ), claimed as (
        update worker.cursors c set worker_id = %(worker)s, claim = c.claim + 1
        from picked p where c.subscription_id = p.subscription_id and c.task_id = p.task_id
        returning c.*
    )
    select c.subscription_id, c.task_id, c.position, c.newest, c.claim, coalesce(aside.tries, c.tries) as tries,
        coalesce(aside.number, (
            select min(e.number) from worker.events e join worker.subscriptions s on s.id = c.subscription_id
             where e.task_id = c.task_id and e.number > c.position and e.number <= c.newest
               and e.type = s.event_type and e.origin is distinct from s.handler
        )) as number
    from claimed c left join lateral (
        select d.number, d.tries from worker.deliveries_set_aside d
         where c.retries > 0 and d.subscription_id = c.subscription_id and d.task_id = c.task_id
           and d.retry_at is not null
         order by d.number limit 1
    ) aside on true
"""

# A delivery is settled by whoever claimed the cursor last. An event beyond the cursor's position is one in its turn;
# any other was set aside and tried once more.
_HELD = """
    c.subscription_id = %(subscription)s and c.task_id = %(task)s and c.claim = %(claim)s and c.worker_id is not null
"""

SETTLE = f"""
    update worker.cursors c set position = %(number)s, worker_id = null, tries = 0, error = null
    where {_HELD} and c.position < %(number)s
    returning position < newest or retries > 0 as due
"""  # noqa: S608 - constants

SETTLE_AGAIN = f"""
    with held as (
        update worker.cursors c set worker_id = null, retries = greatest(0, c.retries - 1)
        where {_HELD} and c.position >= %(number)s
        returning c.subscription_id, c.task_id, position < newest or retries > 0 as due
    ), gone as (
        delete from worker.deliveries_set_aside d using held h
        where d.subscription_id = h.subscription_id and d.task_id = h.task_id and d.number = %(number)s
    )
    select due from held
"""  # noqa: S608 - constants

# A failed delivery comes again later, each time after twice as long; a fifth of it by chance, so that what failed
# together does not come again together.
POSTPONE = f"""
    update worker.cursors c set worker_id = null, tries = c.tries + 1, error = %(error)s,
           available_at = now() + make_interval(
               secs => least(s.retry_cap, s.retry_base * power(2, least(c.tries, 62))) * (0.8 + 0.4 * random())
           )
    from worker.subscriptions s
    where {_HELD} and s.id = c.subscription_id and c.position < %(number)s and c.tries + 1 < s.retry_attempts
    returning true
"""  # noqa: S608 - constants

SET_ASIDE = f"""
    with held as (
        select c.subscription_id, c.task_id, c.tries + 1 as tries from worker.cursors c
        where {_HELD} and c.position < %(number)s for update
    ), kept as (
        insert into worker.deliveries_set_aside (subscription_id, task_id, number, tries, error)
        select subscription_id, task_id, %(number)s, tries, %(error)s from held
        on conflict (subscription_id, task_id, number) do update
            set tries = excluded.tries, error = excluded.error, set_aside_at = now(), retry_at = null
    )
    update worker.cursors c set position = %(number)s, worker_id = null, tries = 0, error = null
    from held h where c.subscription_id = h.subscription_id and c.task_id = h.task_id
    returning position < newest or retries > 0 as due
"""  # noqa: S608 - constants

SET_ASIDE_AGAIN = f"""
    with held as (
        update worker.cursors c set worker_id = null, retries = greatest(0, c.retries - 1)
        where {_HELD} and c.position >= %(number)s
        returning c.subscription_id, c.task_id, position < newest or retries > 0 as due
    ), kept as (
        update worker.deliveries_set_aside d
           set tries = d.tries + 1, error = %(error)s, set_aside_at = now(), retry_at = null
        from held h where d.subscription_id = h.subscription_id and d.task_id = h.task_id and d.number = %(number)s
    )
    select due from held
"""  # noqa: S608 - constants

_WITH_TOOLS = """
    select a.id, a.record, a.announced, a.version, a.created_at, (
        select json_agg(tool order by w.started_at) from worker.workers w, json_array_elements(w.tools) as tool
        where w.organization_id = a.organization_id and w.gone_at is null and w.tools is not null
            and (w.any_agent or a.id = any(w.agents))
    ) as tools
    from worker.agents a where a.organization_id = %s
"""

GET_MODELS = """
    select id, record->>'model_provider' as model_provider, record->>'model_name' as model_name,
        record->>'llm_reasoning_effort' as llm_reasoning_effort
    from worker.agents where organization_id = %s and id = any(%s)
"""

GET_AGENT = _WITH_TOOLS + " and a.id = %s"

LIST_AGENTS = _WITH_TOOLS + " order by a.record->>'name', a.id"

SAVE_AGENT = """
    insert into worker.agents as a (organization_id, id, record) values (%s, %s, %s::json)
    on conflict (organization_id, id) do update
        set record = excluded.record, announced = false, version = a.version + 1
    returning version, created_at
"""

DELETE_AGENT = """
    delete from worker.agents where organization_id = %s and id = %s
    returning id, record, announced, version, created_at
"""
