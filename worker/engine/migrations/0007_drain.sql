-- A worker says that it is leaving: it finishes what it runs, or hands it back, and takes nothing more.
alter table worker.workers add column if not exists is_draining boolean not null default false;
