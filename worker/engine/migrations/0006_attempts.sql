-- By which sign a worker was found dead: its lock was free, or its lease had run out. Its attempts' history tells it.

alter table worker.workers add column lost_by text check (lost_by in ('lock', 'lease'));
