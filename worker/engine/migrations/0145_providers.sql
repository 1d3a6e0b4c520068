-- Providers that fail, by provider and key: how often in a row, and, from the moment its breaker is open, which tasks wait.

create table worker.providers (
    organization_id text collate "C" not null,
    id              text collate "C" not null,      -- provider and a digest of the key and address it is asked with
    failures        integer     not null default 0, -- in a row, of all workers
    failed_at       timestamptz not null default now(),
    error_code      text        not null,
    provider_code   text,
    message         text        not null,
    opened_at       timestamptz,                    -- none: its tasks are tried as usual
    ends_at         timestamptz,                    -- when those that wait end as errors; none: never by itself
    probes          integer     not null default 0, -- since it was opened
    probe_at        timestamptz,
    probe_task      text collate "C",               -- the one task that may ask it meanwhile
    primary key (organization_id, id)
);

-- The provider that a pending task waits for.
alter table worker.tasks add column waits_for text collate "C";
create index tasks_waiting on worker.tasks (organization_id, waits_for, available_at, id) where waits_for is not null;
