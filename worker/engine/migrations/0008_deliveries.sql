-- Deliveries: each subscription's own back-off, which tasks it is about, and set-aside events that are delivered once more.

alter table worker.subscriptions
    add column retry_attempts integer          not null default 10,
    add column retry_base     double precision not null default 1,      -- seconds before the second try, doubling
    add column retry_cap      double precision not null default 3600,   -- seconds that no wait exceeds
    add column needs          text;                                     -- a setting without which a task's events are not wanted

-- How many of its set-aside events are to be delivered once more, before all that follows.
alter table worker.cursors add column retries integer not null default 0;
create index cursors_again on worker.cursors (subscription_id, task_id) where retries > 0 and worker_id is null;
create index cursors_failing on worker.cursors (task_id, subscription_id) where tries > 0;

alter table worker.deliveries_set_aside add column retry_at timestamptz;    -- when somebody wished that it be tried again
create index deliveries_set_aside_by_task on worker.deliveries_set_aside (task_id, number, subscription_id);

-- Paused tasks are few and counted at every scrape; the other statuses that last have an index already.
create index tasks_paused on worker.tasks (organization_id, agent_id) where status = 'paused';
