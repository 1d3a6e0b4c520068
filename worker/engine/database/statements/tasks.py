"""The SQL that locks, creates and writes tasks."""

from worker.engine.database.columns import KEPT_COLUMNS, LOCKED_COLUMNS, SAVED, TASK_COLUMNS, typed

HOLDS = "h.place is not null and not h.queued and h.status in ('pending', 'executing', 'paused')"
"""Condition for task h to have the turn in its conversation; it keeps it while it waits for a retry or a person."""

# Locks the rows that a group changes in the order of their ids, so that groups with tasks in common cannot deadlock.
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
_NEW = f"{_GIVEN}, first_event json"

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
    ), new_events as (
        select id, organization_id, agent_id, settings, 1 as number, 'task_created' as type, null::integer as attempt,
            first_event as data
        from fresh
        union all
        select id, organization_id, agent_id, settings, 2, 'task_updated', 1,
            json_build_object('status', 'executing', 'execution_attempts', 1, '_worker', holder)
        from fresh where holder is not null
    ), logged as (
        insert into worker.events (task_id, number, type, time, attempt, data)
        select id, number, type, now(), attempt, data from new_events
    ), due as (
        insert into worker.cursors (subscription_id, task_id, position, newest)
        select s.id, f.id, f.number - 1, f.number from new_events f join worker.subscriptions s
          on s.organization_id = f.organization_id and s.event_type = f.type
         and (s.agent_id is null or s.agent_id = f.agent_id) and (s.needs is null or f.settings->>s.needs is not null)
        order by s.id, f.id
        returning 1
    )
    select now() as now, exists (select from due) as is_due, begun.*
    from (values (1)) as always left join (select * from made where worker_id is not null) as begun on true
"""  # noqa: S608 - composed of constants

# New tasks, their first events, and the cursors of subscriptions to those. A task that names a worker is begun by it,
# as by a claim, if that worker is still alive. Returns the time, whether a cursor was raised, and a row for each task
# that was begun, or one row without a task.
INSERT_TASKS = _INSERT.format(
    given=f"json_to_recordset(%s::json) as r({_NEW})", columns="", values="", due="now()", order=""
)

# New tasks of which some belong to a conversation. Those that take turns get their places in the order given.
INSERT_TURNS = _INSERT.format(
    given=f"rows from (json_to_recordset(%s::json) as ({_NEW})) with ordinality as r",
    columns=", conversation_id, queued, place",
    values=", conversation_id, queued, case when queued then nextval('worker.places') end",
    due="case when queued then now() + interval '36500 days' else now() end",
    order=" order by ordinality",
)

_EVENT = "task_id text, number bigint, type text, attempt integer, origin text, data json"

# Inserts events, and raises the cursor of each subscription to one of them. Without subscriptions it costs nothing.
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

# The events of a group.
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

# Reads events by task and number, to find out whether a commit whose answer was lost took place.
READ_TIMES = """
    select task_id, number, time, attempt, data::text from worker.events
    where (task_id, number) in (select * from unnest(%s::text[], %s::bigint[]))
"""

# Runs' writes to their own tasks, in one statement: a row is changed, and events and journal entries are added, if the
# attempt and its worker still own the task and nothing has been logged since. (The worker is compared too, since a
# promoted standby that lagged behind may assign an attempt's number again.) Returns the time, the tasks written, and
# whether a subscription wants any of the events. Missing columns stay unchanged; a given status ends the task.
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

# A retry from the start keeps the snapshots of sessions as the task found them, so that its runs do not count twice.
DROP_JOURNAL = """
    delete from worker.journal
    where task_id = any(%s::text[])
      and not starts_with(key, task_id || '/session/') and not starts_with(key, 'message/')
"""

# A hint to other processes, sent after the commit: NOTIFY inside a transaction takes a lock of the whole server.
NOTIFY = "select pg_notify('worker', %s)"

# Raises the cursors of subscriptions to updates of some tasks, each to the task's last event.
RAISE_CURSORS_OF = """
        insert into worker.cursors as c (subscription_id, task_id, position, newest)
        select s.id, f.id, f.last_event - 1, f.last_event from {rows} f join worker.subscriptions s
          on s.organization_id = f.organization_id and s.event_type = 'task_updated'
         and (s.agent_id is null or s.agent_id = f.agent_id) and (s.needs is null or f.settings->>s.needs is not null)
        order by s.id, f.id
        on conflict (subscription_id, task_id) do update set newest = greatest(c.newest, excluded.newest)
        returning 1
"""

# A task; if it waits for its turn, also the task that has the turn.
GET_TASK = f"""
    select {TASK_COLUMNS}, case when t.queued and t.status = 'pending' then (
        select json_build_array(h.id, h.status) from worker.tasks h
         where h.organization_id = t.organization_id and h.agent_id = t.agent_id
           and h.conversation_id = t.conversation_id and {HOLDS} limit 1
    ) end as turn_of
    from worker.tasks t where t.id = %s and t.organization_id = %s
"""  # noqa: S608 - constants

# The attempts of a worker that no longer own their tasks.
LOST = """
    select h.id, coalesce(t.status, 'stopped') as status
    from unnest(%s::text[], %s::integer[]) as h(id, attempt)
    left join worker.tasks t on t.id = h.id and t.organization_id = %s
    where t.id is null or t.status <> 'executing' or t.attempt <> h.attempt
"""
