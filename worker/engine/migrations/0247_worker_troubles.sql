-- What a worker says of what hangs in it, or has held its event loop: a line each.
alter table worker.workers add column if not exists troubles text[] not null default '{}';
