-- What a key may do, and which key and which process a worker over HTTP belongs to.

-- Keys made before there were roles, and by a version that knows of none, keep what they could do.
alter table worker.keys
    add column if not exists role         text not null default 'admin',
    add column if not exists role_assumed boolean not null default true;  -- until the log has said so, once

alter table worker.workers
    add column if not exists registered_by text,  -- the key's id, 'server key', 'no key'; 'database': it has its own connection
    add column if not exists session       text;  -- SHA-256 of a secret that the worker's process made
