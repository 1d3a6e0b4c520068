-- Tasks, their events, the workers that run them, and what keeps a run from repeating itself.

create table worker.tasks (
    id                  text collate "C" primary key,
    organization_id     text collate "C" not null,
    agent_id            text collate "C" not null,
    user_id             text collate "C",
    parent_id           text collate "C",
    triggering_agent_id text collate "C",
    status              text not null check (
        status in ('pending', 'executing', 'paused', 'error', 'failed', 'completed', 'stopped')
    ),
    internal_status     text check (char_length(internal_status) <= 255),
    attempt             integer not null default 0,     -- the fencing number: +1 at every claim, never reused
    crashes             integer not null default 0,
    errors              integer not null default 0,
    worker_id           text collate "C",               -- who holds it while it executes; none: somebody outside
    available_at        timestamptz not null default now(),
    last_event          bigint not null default 0,      -- events are numbered from it, under this row's lock
    created_at          timestamptz not null default now(),
    updated_at          timestamptz not null default now(),
    started_at          timestamptz,
    paused_at           timestamptz,
    finished_at         timestamptz,
    result              text,
    settings            json not null,                  -- what is fixed at create, the input among it
    state               json not null                   -- what saves may change beside the columns above
) with (fillfactor = 80);

create index tasks_of_agent on worker.tasks (organization_id, agent_id, created_at desc, id desc);
create index tasks_of_user on worker.tasks (organization_id, user_id, created_at desc, id desc) where user_id is not null;
create index tasks_of_parent on worker.tasks (parent_id) where parent_id is not null;
create index tasks_to_claim on worker.tasks (organization_id, agent_id, available_at, id) where status = 'pending';
create index tasks_held on worker.tasks (worker_id) where status = 'executing';

-- The log of a task. data is what changed; whole tasks are composed when read.
create table worker.events (
    task_id text collate "C" not null,
    number  bigint not null,
    type    text not null,
    time    timestamptz not null default now(),
    attempt integer,
    origin  text,                                       -- the delivery handler that caused it
    data    json,
    primary key (task_id, number)
);

-- Completed steps of runs, so that a retry does not repeat them.
create table worker.journal (
    task_id    text collate "C" not null,
    key        text collate "C" not null,
    value      json not null,
    created_at timestamptz not null default now(),
    primary key (task_id, key)
);

create sequence worker.lock_keys as integer cycle;

-- Worker processes. One lease each covers all that it holds, so a renewal is one row.
create table worker.workers (
    id              text collate "C" primary key,
    organization_id text collate "C" not null,
    name            text not null,
    agents          text[] not null,
    any_agent       boolean not null,
    concurrency     integer not null,
    lock_key        integer not null default nextval('worker.lock_keys'),   -- second half of its session lock
    has_lock        boolean not null,                   -- false behind a pooler: its lease is its only sign of life
    lease_seconds   double precision not null,
    lease_until     timestamptz not null,
    started_at      timestamptz not null default now(),
    gone_at         timestamptz
);
create index workers_here on worker.workers (organization_id) where gone_at is null;

-- Handlers' wishes for events, one row per handler, agent and type, whatever worker serves it.
create table worker.subscriptions (
    id              bigint generated always as identity primary key,
    organization_id text collate "C" not null,
    handler         text not null,
    agent_id        text collate "C",
    event_type      text not null,
    seen_at         timestamptz not null default now()
);
create unique index subscriptions_once
    on worker.subscriptions (organization_id, handler, event_type, coalesce(agent_id, ''));

-- How far each subscription has come in each task's log; the next event is due while position < newest.
create table worker.cursors (
    subscription_id bigint not null references worker.subscriptions on delete cascade,
    task_id         text collate "C" not null,
    position        bigint not null,
    newest          bigint not null,
    worker_id       text collate "C",
    claim           integer not null default 0,
    tries           integer not null default 0,
    available_at    timestamptz not null default now(),
    error           text,
    primary key (subscription_id, task_id)
) with (fillfactor = 80);
create index cursors_due on worker.cursors (available_at) where position < newest and worker_id is null;
create index cursors_held on worker.cursors (worker_id) where worker_id is not null;

-- Deliveries that used up their tries.
create table worker.deliveries_set_aside (
    subscription_id bigint not null references worker.subscriptions on delete cascade,
    task_id         text collate "C" not null,
    number          bigint not null,
    tries           integer not null,
    error           text not null,
    set_aside_at    timestamptz not null default now(),
    primary key (subscription_id, task_id, number)
);

create table worker.agents (
    id              text collate "C" not null,
    organization_id text collate "C" not null,
    record          json not null,
    announced       boolean not null default false,
    version         integer not null default 1,
    created_at      timestamptz not null default now(),
    primary key (organization_id, id)
);

-- Uploaded files, by digest: identical content is stored once for an organization.
create table worker.files (
    organization_id text collate "C" not null,
    sha256          text collate "C" not null,
    media_type      text not null,
    size            bigint not null,
    created_at      timestamptz not null default now(),
    content         bytea not null,
    primary key (organization_id, sha256)
);
alter table worker.files alter column content set storage external;    -- substring() then reads a part alone
