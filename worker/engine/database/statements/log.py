"""The SQL that reads events and journals of tasks."""

READ_JOURNAL = """
    select j.key, j.value::text, j.sha256 from worker.journal j join worker.tasks t on t.id = j.task_id
    where j.task_id = %s and t.organization_id = %s
"""

# Messages sent to a task: journal rows that no attempt writes. Those up to "heard" belong to an earlier input.
READ_MESSAGES = """
    select j.value::text, coalesce((t.state->>'_heard')::bigint, 0) as heard
    from worker.journal j join worker.tasks t on t.id = j.task_id
    where j.task_id = %s and t.organization_id = %s and j.key >= 'message/' and j.key < 'message0'
"""

# Events of earlier attempts, except for those from before the journal was dropped.
READ_EARLIER_EVENTS = """
    select e.number, e.type, e.data from worker.events e join worker.tasks t on t.id = e.task_id
    where e.task_id = %s and t.organization_id = %s and e.attempt < %s and e.type = any(%s::text[])
      and e.number > greatest(coalesce((t.state->>'_anew')::bigint, 0), %s)
    order by e.number limit %s
"""

# The unread part of a task's log, with the task's status: one row without an event if there is none.
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

# The events that carry a task's changes, each with the name of the worker whose id it contains.
READ_ATTEMPTS = """
    select e.number, e.time, e.attempt, e.data, w.name as worker
    from worker.events e left join worker.workers w on w.id = e.data->>'_worker'
    where e.task_id = %s and e.type in ('task_created', 'task_updated', 'task_finished') order by e.number
"""

# Earlier settings of a task that was created again with a new input.
READ_RENEWALS = """
    select number, data->'_settings_before' as before from worker.events
    where task_id = %s and type = 'task_updated' and data->'_settings_before' is not null
"""
