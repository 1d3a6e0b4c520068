-- Why the answer that became a task's result ended; and lists of those that are not whole, which are few.
alter table worker.tasks add column if not exists finish_reason text check (char_length(finish_reason) <= 64);
create index if not exists tasks_by_finish_reason
    on worker.tasks (organization_id, finish_reason, created_at desc, id desc)
    where finish_reason is not null and finish_reason <> 'stop';
