-- Who did what to which row, when, and from where; and who tried and was refused. Kept for WORKER_AUDIT_DAYS.

create table worker.audit (
    id              text collate "C" primary key,       -- UUIDv7: in order of time
    organization_id text collate "C" not null,
    at              timestamptz not null default now(),
    action          text not null,
    subject         text not null,                      -- a row's kind and id; of what was refused, what was asked for
    agent_id        text collate "C",                   -- whose task or agent it is; none: nobody's alone
    key_id          text not null,                      -- the key's id, 'server key', 'no key', 'database'
    key_name        text not null,
    role            text,                               -- none: no key that opens anything
    address         text not null,
    door            text not null,                      -- api, page, database
    error           text,                               -- why it did not happen; none: it did
    times           integer not null default 1,         -- how often within a minute, of what was refused
    details         json
);
create index audit_by_organization on worker.audit (organization_id, id);
create index audit_by_age on worker.audit (at);
