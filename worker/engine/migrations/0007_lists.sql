-- Lists of an organization's tasks, newest first, merged from one ordered scan a status; and counts by status.
create index if not exists tasks_by_status on worker.tasks (organization_id, status, created_at desc, id desc);
create index if not exists tasks_by_internal_status
    on worker.tasks (organization_id, internal_status, created_at desc, id desc) where internal_status is not null;
