-- Suspects: tasks that ran when their worker died, more than once. They are claimed apart, to run alone in a process.

alter table worker.tasks add column suspicions integer not null default 0;     -- deaths of its worker; nothing is charged
create index tasks_suspect on worker.tasks (organization_id, available_at, id) where status = 'pending' and suspicions >= 2;

alter table worker.workers add column isolates boolean not null default false; -- its death says nothing of suspects
