"""The SQL of workers: their presence, the tasks they hold, and leftovers of dead ones."""

LOCAL = "database"
"""The registrant of a worker with its own connection to the database: no key of the server may act for it."""

# An id belongs to its first worker: no other session, key or organization can take it over. Earlier versions of the
# server stored no session, so a worker that they registered may be taken over by any worker that sends its id.
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

# Renews a worker's lease, and revives a worker that was presumed dead (its former tasks are fenced off by that time).
RENEW = """
    update worker.workers set gone_at = null, lease_until = now() + make_interval(secs => lease_seconds)
    where id = %s returning 1
"""

# Rights that the role lacks on any table of the schema except that of the migrations. (The case expressions are needed
# because the planner might otherwise check the rights on a sequence for a relation that is not one.)
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
    update worker.workers set hung_threads = %s, memory = %s, runs = %s, recent = %s, troubles = %s
    where id = %s and organization_id = %s returning 1
"""

DRAIN = "update worker.workers set is_draining = true where id = %s and organization_id = %s returning 1"

# (One index lookup each: a join might read the whole tables.)
FORGET_WORKERS = """
    delete from worker.workers w where gone_at < now() - interval '7 days'
       and (select 1 from worker.tasks t where t.worker_id = w.id and t.status = 'executing' limit 1) is null
       and (select 1 from worker.cursors c where c.worker_id = w.id limit 1) is null
"""

# The lowest limit on this user's connections: of its role, the database, or the server.
CONNECTION_LIMIT = """
    select least(
        (select nullif(rolconnlimit, -1) from pg_roles where rolname = current_user),
        (select nullif(datconnlimit, -1) from pg_database where datname = current_database()),
        current_setting('max_connections')::integer - current_setting('superuser_reserved_connections')::integer
    ) as connections
"""

LEAVE = "update worker.workers set gone_at = coalesce(gone_at, now()) where id = %s"

TASKS_OF_WORKER = """
    select id, organization_id, worker_id, attempt from worker.tasks
    where worker_id = %s and status = 'executing' order by id
"""

# Workers that seem dead: their session lock is free (certain only if seen twice) or, without one, their lease expired.
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

# Tasks still held by gone workers, including those of a rescuer that died half-way.
ORPHANS = """
    select t.id, t.organization_id, t.worker_id, w.isolates, w.lost_by
    from worker.tasks t join worker.workers w on w.id = t.worker_id
    where t.status = 'executing' and w.gone_at is not null
    order by t.id limit 500
"""

# Whether gone workers still hold a task or a delivery.
LEFTOVERS = """
    with gone as materialized (select array(select id from worker.workers where gone_at is not null) as ids)
    select 1 where exists (
        select from worker.tasks where status = 'executing' and worker_id = any((select ids from gone)::text[])
    ) or exists (
        select from worker.cursors where worker_id is not null and worker_id = any((select ids from gone)::text[])
    )
"""
