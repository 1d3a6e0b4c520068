-- What a worker says of its own state: threads that hang, bytes of memory, how many runs have ended.
alter table worker.workers add column if not exists hung_threads integer not null default 0;
alter table worker.workers add column if not exists memory bigint;
alter table worker.workers add column if not exists runs bigint;
