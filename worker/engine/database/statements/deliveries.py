"""The SQL of subscriptions and deliveries."""

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

SEEN_SUBSCRIPTIONS = "update worker.subscriptions set seen_at = now() where id = any(%s)"

# Removes subscriptions that no worker has served for 7 days, together with their cursors.
RETIRE_SUBSCRIPTIONS = "delete from worker.subscriptions where seen_at < now() - interval '7 days'"

# For arrays the planner uses the primary key, however many rows it expects.
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

RELEASE_ORPHANED_CURSORS = f"""
    with held as (
        select subscription_id, task_id from worker.cursors
        where worker_id is not null
          and worker_id = any(array(select id from worker.workers where gone_at is not null))
        order by subscription_id, task_id for update
    )
    {_FREE_HELD}
"""  # noqa: S608 - constants

# The next due event of some (subscription, task) pairs, each pair leased to the worker until it settles: a limited
# number per subscription, in turn, so that none delays the others. Dead letters to be retried come first.
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

# Only the last claimer of a cursor settles its delivery. An event beyond the cursor's position is a regular one; any
# other is a dead letter that was retried.
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

# A failed delivery is retried with exponential back-off and a jitter of a fifth, so that deliveries that failed
# together are not retried together.
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

SUBSCRIBED = "update worker.workers set subscriptions = %s where id = %s"

SUBSCRIPTIONS_OF = """
    select s.id, s.handler, s.event_type, s.agent_id
    from worker.subscriptions s join worker.workers w on s.id = any(w.subscriptions)
    where w.id = %s and w.organization_id = %s
"""

CLAIMED_DELIVERIES = "select subscription_id, task_id, claim from worker.cursors where worker_id = %s"

# In the order in which writers touch cursors, so that they cannot deadlock.
GIVE_BACK_DELIVERIES = """
    with held as (
        select c.subscription_id, c.task_id from worker.cursors c
        join unnest(%s::bigint[], %s::text[], %s::integer[]) as h(subscription_id, task_id, claim)
          on (h.subscription_id, h.task_id, h.claim) = (c.subscription_id, c.task_id, c.claim)
        where c.worker_id is not null
        order by c.subscription_id, c.task_id for update of c
    )
    update worker.cursors c set worker_id = null from held h
    where c.subscription_id = h.subscription_id and c.task_id = h.task_id returning 1
"""
