"""The SQL of workers that connect to the server over HTTP."""

# Renews a remote worker's lease, and marks its subscriptions as served, at most once an hour.
RENEW_OF = """
    with renewed as (
        update worker.workers set gone_at = null, lease_until = now() + make_interval(secs => lease_seconds)
        where id = %s and organization_id = %s returning subscriptions
    ), seen as (
        update worker.subscriptions s set seen_at = now() from renewed r
        where s.id = any(r.subscriptions) and s.seen_at < now() - interval '1 hour'
    )
    select 1 from renewed
"""

_WORKER = """
    w.id, w.name, w.agents, w.any_agent, w.concurrency, w.is_busy, w.started_at, w.lease_until, w.gone_at,
    w.peer is not null as bare, not w.has_lock as remote, w.is_draining, w.hung_threads,
    w.memory, w.runs, w.recent, w.troubles,
    greatest(w.heard_at, w.lease_until - make_interval(secs => w.lease_seconds)) as heard_at,
    (select count(*) from worker.tasks t where t.worker_id = w.id and t.status = 'executing') as running
"""

# A worker's registrant: the key, and the digest of the session's secret.
SESSION_OF = """
    select id, agents, any_agent, registered_by, session from worker.workers
    where id = %s and organization_id = %s
"""

# The worker that claimed an attempt, which never changes, or that holds a task now. The row of an ended task names no
# worker, so its claim is read from the log.
CLAIMED_BY = """
    select c.task_id, c.attempt, w.id, w.agents, w.any_agent, w.registered_by, w.session
    from unnest(%s::text[], %s::integer[]) as c(task_id, attempt)
    join worker.tasks t on t.id = c.task_id and t.organization_id = %s
    join worker.workers w on w.organization_id = t.organization_id and w.id = case
        when t.worker_id is not null and t.attempt = coalesce(c.attempt, t.attempt) then t.worker_id
        else (
            select e.data->>'_worker' from worker.events e
             where e.task_id = t.id and e.attempt = coalesce(c.attempt, t.attempt) and e.type = 'task_updated'
               and e.data->>'_worker' is not null
             order by e.number limit 1
        ) end
"""

# The workers that hold deliveries of a task, or a single one: the next of a subscription, under one claim.
DELIVERED_TO = """
    select w.id, w.agents, w.any_agent, w.registered_by, w.session
    from worker.cursors c
    join worker.tasks t on t.id = c.task_id and t.organization_id = %(organization)s
    join worker.workers w on w.organization_id = t.organization_id
     and (w.id = c.worker_id or (c.worker_id is null and c.subscription_id = any(w.subscriptions)))
    where c.task_id = %(task)s
      and (%(subscription)s::bigint is null and c.worker_id is not null
           or c.subscription_id = %(subscription)s and c.claim = %(claim)s)
"""

# Each call also removes a few old rows, so that guesses from many networks do not fill the table.
COUNT_GUESS = """
    with old as (
        delete from worker.guesses where network in (
            select network from worker.guesses where at < now() - interval '10 minutes' and network <> %(network)s
            order by at limit 20 for update skip locked
        )
    )
    insert into worker.guesses as g (network, spent) values (%(network)s, 1)
    on conflict (network) do update set at = now(), spent = 1 + least(1e6, greatest(
        0, g.spent - greatest(0, extract(epoch from now() - g.at)::double precision) * %(rate)s::double precision
    ))
    returning spent
"""

# Bounded by the number of workers, which is small.
HUNG_THREADS = """
    select id, hung_threads from worker.workers
    where gone_at is null and lease_until > now() and hung_threads > 0 order by hung_threads desc, id
"""

LIST_WORKERS = f"""
    select {_WORKER} from worker.workers w where w.organization_id = %s and w.gone_at is null
    order by w.started_at, w.id
"""  # noqa: S608 - constants

GET_WORKER = f"select {_WORKER} from worker.workers w where w.id = %s and w.organization_id = %s"  # noqa: S608 - constants

_ABSENT = """
    organization_id = %(organization)s and peer = %(peer)s
    and (dropped_at > now() - interval '60 seconds'
         or (dropped_at is null and stream_seen < now() - interval '15 seconds'
             and greatest(stream_seen, heard_at) > now() - interval '60 seconds'))
"""

# Whether a worker without an id may be a returning one: there is a worker whose stream ended within the last minute, or
# is no longer held open although it was heard of within that minute. Returns the time.
ABSENT = f"select now() as since from worker.workers where {_ABSENT} limit 1"  # noqa: S608 - constants

# It is the returning worker if heartbeats for its id have continued; a new process on the same host sends none for an
# id that it does not know.
COME_BACK = f"""
    update worker.workers set registered_by = %(registered_by)s, session = null,
           stream = %(stream)s, stream_seen = now(), dropped_at = null, heard_at = null,
           gone_at = null, is_busy = false, lease_until = now() + make_interval(secs => lease_seconds)
    where id = (
        select id from worker.workers
        where {_ABSENT} and heard_at > %(since)s
        order by started_at limit 1 for update skip locked
    ) returning id
"""  # noqa: S608 - constants

ENTER = """
    update worker.workers set peer = %(peer)s, stream = %(stream)s, stream_seen = now(), dropped_at = null
    where id = %(id)s and organization_id = %(organization)s
"""

# Marks a worker's stream as open, unless a newer one has replaced it.
TOUCH = """
    update worker.workers set stream_seen = now(), gone_at = null,
           lease_until = now() + make_interval(secs => lease_seconds)
    where id = %s and organization_id = %s and stream = %s returning 1
"""

# Marks a worker's stream as ended: until a new one opens, only heartbeats renew the lease.
DROPPED = """
    update worker.workers set dropped_at = now(), lease_until = now() + make_interval(secs => lease_seconds)
    where id = %s and organization_id = %s and stream = %s returning 1
"""

HEARD = "update worker.workers set heard_at = now() where id = %s and organization_id = %s"

BUSY = "update worker.workers set is_busy = %s where id = %s and organization_id = %s returning 1"

CLAIMED = """
    select id, attempt, coalesce((state->>'_begun')::integer, 0) = attempt as begun from worker.tasks
    where worker_id = %s and organization_id = %s and status = 'executing'
"""

# Whether a task is run without attempt numbers: by a worker of the public protocol, or a client that took it by a save.
RUN_OUTSIDE = """
    select 1 from worker.tasks t left join worker.workers w on w.id = t.worker_id
    where t.id = %s and t.organization_id = %s and t.status = 'executing'
      and (t.worker_id is null or w.peer is not null)
"""

# Tasks taken by a client without a worker, and not updated for the given time.
SILENT = """
    select id, organization_id from worker.tasks
    where status = 'executing' and worker_id is null and updated_at < now() - make_interval(secs => %s)
    limit 500
"""

COUNT_PENDING = """
    select count(*) as pending from (
        select from worker.tasks where organization_id = %s and agent_id = %s and status = 'pending' limit %s
    ) waiting
"""
