-- The children that a pending task waits for. Null: none.
alter table worker.tasks add column if not exists awaits text[];
create index if not exists tasks_awaiting on worker.tasks (id) where awaits is not null;
-- Which parents may be waiting: those of children that have ended of late.
create index if not exists children_by_end on worker.tasks (finished_at) where parent_id is not null;
