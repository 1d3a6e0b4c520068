-- What the HTTP server keeps: keys, its own secrets, creates that may be repeated, and who is at the other end of a stream.

create table worker.keys (
    id              text collate "C" primary key,
    organization_id text collate "C" not null,
    digest          text collate "C" not null unique,   -- SHA-256 of the key; the key itself is nowhere
    name            text not null,
    agents          text[],                             -- none: every agent of the organization
    created_at      timestamptz not null default now(),
    expires_at      timestamptz,
    revoked_at      timestamptz
);

create table worker.secrets (
    name       text primary key,
    value      bytea not null,
    created_at timestamptz not null default now()
);

-- Creates with an Idempotency-Key: the task that the first one made, and what it asked for.
create table worker.repeats (
    organization_id text collate "C" not null,
    key             text collate "C" not null,
    digest          text not null,
    task_id         text collate "C" not null,
    created_at      timestamptz not null default now(),
    primary key (organization_id, key)
);
create index repeats_by_age on worker.repeats (created_at);

alter table worker.workers
    add column subscriptions bigint[] not null default '{}',
    add column is_busy       boolean not null default false,    -- it said so itself: nothing is claimed for it
    add column peer          text,                              -- key, agent and address of a worker that has no id of its own
    add column stream        text,                              -- the stream that assigns work to it; a newer one replaces it
    add column stream_seen   timestamptz,
    add column dropped_at    timestamptz,                       -- when its stream ended
    add column heard_at      timestamptz;                       -- its last heartbeat
create index workers_by_peer on worker.workers (organization_id, peer) where peer is not null;
