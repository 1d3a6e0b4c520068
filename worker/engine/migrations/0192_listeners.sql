-- Each listener is given its own share of what is due, so one that takes nothing more is not read past for the others.
create index if not exists cursors_due_of on worker.cursors (subscription_id, available_at)
    where position < newest and worker_id is null;
drop index if exists worker.cursors_due;
