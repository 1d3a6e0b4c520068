-- The tasks of which runs ended last on a worker, the newest first, as it says itself.
alter table worker.workers add column if not exists recent text[] not null default '{}';
