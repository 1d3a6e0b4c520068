-- Sessions of the pages: signing out ends one wherever its cookie has got to. The cookie itself is nowhere in here.
create table worker.sessions (
    digest     text collate "C" primary key,            -- SHA-256 of what the cookie holds
    mark       text collate "C" not null,               -- what the key is known by that it began with
    created_at timestamptz not null default now(),
    expires_at timestamptz not null
);
create index sessions_by_end on worker.sessions (expires_at);
