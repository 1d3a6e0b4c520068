"""The SQL of the clean-up. Each statement finds the rows to remove by an index, however many are kept."""

from typing import LiteralString

TERMINAL = "('completed', 'failed', 'error', 'stopped')"

# Whether a subscription still has an event of the task to deliver.
_DUE = """
    exists (
        select from worker.cursors c
        where c.subscription_id = any(array(select id from worker.subscriptions)) and c.task_id = t.id
          and c.position < c.newest
    )
"""

# The tasks of a batch, locked: finished long enough ago, with every event delivered. Tasks that another transaction
# has locked, perhaps to retry them, are skipped.
PICK_TASKS = f"""
    select t.id, t.last_event from worker.tasks t
    where t.finished_at < now() - make_interval(days => %(days)s) and t.status in {TERMINAL} and not {_DUE}
    order by t.finished_at, t.id limit %(limit)s for update skip locked
"""  # noqa: S608 - constants

# All rows of a task, by table; the task itself comes last, in the same transaction.
OF_TASKS: dict[str, LiteralString] = {
    "deliveries_set_aside": """
        delete from worker.deliveries_set_aside
        where subscription_id = any(array(select id from worker.subscriptions)) and task_id = any(%s::text[])
    """,
    "cursors": """
        delete from worker.cursors
        where subscription_id = any(array(select id from worker.subscriptions)) and task_id = any(%s::text[])
    """,
    "events": "delete from worker.events where task_id = any(%s::text[])",
    "journal": "delete from worker.journal where task_id = any(%s::text[])",
    "task_files": "delete from worker.task_files where task_id = any(%s::text[])",
    "tasks": "delete from worker.tasks where id = any(%s::text[])",
}

# Tables in which Agno stores its sessions, in schemas next to ours (agents/agno_storage.py).
SESSION_TABLES = """
    select n.nspname as schema, c.relname as name from pg_class c join pg_namespace n on n.oid = c.relnamespace
     where n.nspname ~ '^worker_agno(_[0-9a-f]{16})?$' and c.relname in ('agno_sessions', 'agno_runs')
       and c.relkind in ('r', 'p')
"""

# Removes sessions that have been unused for as long as finished tasks are kept.
DROP_SESSIONS = """
    delete from {table} where ctid = any(array(
        select ctid from {table} where coalesce(updated_at, created_at)
               < extract(epoch from now() - make_interval(days => %(days)s))::bigint limit %(limit)s
    ))
"""

# Idempotency keys of creates are kept for a day, which is less than any task is kept.
FORGET_REPEATS = "delete from worker.repeats where created_at < now() - interval '1 day'"

# Removes expired lines of the audit log.
DROP_AUDIT = """
    with old as materialized (
        select id from worker.audit where at < now() - make_interval(days => %(days)s) order by at limit %(limit)s
    ), gone as (
        delete from worker.audit where id = any(array(select id from old)) returning 1
    )
    select count(*) as audit from gone
"""
OLD_AUDIT = """
    select count(*) as audit from worker.audit
    where %(days)s > 0 and at < now() - make_interval(days => %(days)s)
"""

# Whether the journal of task t is no longer needed: a retry of a completed task restarts by default, and any other
# resumes from its journal, however late.
_JOURNAL_UNUSED = "t.finished_at < now() - interval '1 day' and t.status = 'completed'"

# Removes such journals page by page through the tasks with a journal, one index probe per task. The task is locked
# against a retry meanwhile.
DROP_JOURNALS = f"""
    with recursive looked(task_id, number) as (
        (select task_id, 1 from worker.journal where task_id > %(after)s order by task_id limit 1)
        union all
        select (
            select j.task_id from worker.journal j where j.task_id > l.task_id order by j.task_id limit 1
        ), l.number + 1
        from looked l where l.task_id is not null and l.number < %(limit)s
    ), over as materialized (
        select t.id from worker.tasks t
        where t.id = any(array(select task_id from looked))
          and {_JOURNAL_UNUSED}
        order by t.id for update skip locked
    ), gone as (
        delete from worker.journal where task_id = any(array(select id from over)) returning 1
    )
    select (select max(task_id) from looked) as last, (select count(*) from gone) as journal
"""  # noqa: S608 - constants

# Whether file f is no longer referenced; one stored or used within a day may be about to be.
_UNUSED = """
    f.used_at < now() - interval '1 day'
    and not exists (
        select from worker.task_files k where k.organization_id = f.organization_id and k.sha256 = f.sha256 {still}
    )
    and not exists (select from worker.journal j where j.sha256 = f.sha256)
"""

# A page of all files, in the order of their keys.
PAGE_OF_FILES = """
    select organization_id, sha256, size, used_at < now() - interval '1 day' as idle from worker.files
    where (organization_id, sha256) > (%(organization)s, %(sha256)s) order by organization_id, sha256 limit %(limit)s
"""

# Removes the unused ones among some files; a file that is just being marked as used stays.
_DROP_FILES = """
    with unused as materialized (
        select f.sha256 from worker.files f
        where f.organization_id = %(organization)s and f.sha256 = any(%(files)s::text[]) and {unused}
        order by f.sha256 for update skip locked
    ), gone as (
        delete from worker.files
        where organization_id = %(organization)s and sha256 = any(array(select sha256 from unused)) returning size
    )
    select count(*) as files, coalesce(sum(size), 0)::bigint as file_bytes from gone
"""
DROP_FILES = _DROP_FILES.format(unused=_UNUSED.format(still=""))

# What a clean-up would remove now. Only people ask for this, so it may read whole tables.
_SURPLUS = """
    with old as materialized (
        select t.id, t.last_event from worker.tasks t
        where t.finished_at < now() - make_interval(days => %(days)s) and t.status in {terminal} and not {due}
    ), unused as (
        select f.size from worker.files f where {unused}
    )
    select (select count(*) from old) as tasks, (select coalesce(sum(last_event), 0)::bigint from old) as events,
           (select count(*) from worker.journal j join worker.tasks t on t.id = j.task_id
             where {journal_unused} or t.id = any(array(select id from old))) as journal,
           (select count(*) from unused) as files, (select coalesce(sum(size), 0)::bigint from unused) as file_bytes
"""
_OF_THE_REST = "and not exists (select from old o where o.id = k.task_id)"
SURPLUS = _SURPLUS.format(
    terminal=TERMINAL, journal_unused=_JOURNAL_UNUSED, due=_DUE, unused=_UNUSED.format(still=_OF_THE_REST)
)

# Once a day one process of the fleet starts the clean-up; if it goes silent, another takes over after ten minutes.
BEGIN = """
    insert into worker.chores as c (name, begun_at) values ('retention', now())
    on conflict (name) do update set begun_at = now()
    where c.done_at < now() - interval '1 day'
      and (c.begun_at is null or c.begun_at < now() - interval '10 minutes')
    returning 1
"""

CONTINUE_CHORE = "update worker.chores set begun_at = now() where name = 'retention'"

DONE = "update worker.chores set done_at = now(), begun_at = null where name = 'retention'"
