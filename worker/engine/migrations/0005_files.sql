-- What a task's attachments held when they were first read, large values of journals, and what keeps all of it from
-- growing for ever. The indexes are made within the migration: on a million tasks that is a second or two.

alter table worker.files
    add column used_at timestamptz not null default now();                  -- an upload that nobody used yet stays a day

-- The files of a task: uploads from its creation on, fetched ones once an attempt has read them.
create table worker.task_files (
    task_id         text collate "C" not null,
    url_digest      text collate "C" not null,          -- SHA-256 of the URL as the task names it; it may hold a signature
    organization_id text collate "C" not null,
    sha256          text collate "C" not null,          -- of the content, in worker.files
    media_type      text not null,                      -- as it came, charset and all; empty: none came
    name            text not null,                      -- the file name that came with it; empty: none came
    primary key (task_id, url_digest)
);
insert into worker.task_files (task_id, url_digest, organization_id, sha256, media_type, name)
select t.id, encode(sha256(convert_to(file.url, 'UTF8')), 'hex'), t.organization_id, substring(file.url from 8 for 64), '', ''
from worker.tasks t cross join lateral json_array_elements_text(
    case json_typeof(t.settings->'input'->'files') when 'array' then t.settings->'input'->'files' else '[]' end
) as file(url)
where file.url ~ '^worker:[0-9a-f]{64}(/|$)'
on conflict do nothing;
create index task_files_of_content on worker.task_files (organization_id, sha256);

-- A value too large for a row: its content is in worker.files, and value is null.
alter table worker.journal add column sha256 text collate "C";
create index journal_large on worker.journal (sha256) where sha256 is not null;

create index tasks_finished on worker.tasks (finished_at, id) where finished_at is not null;

-- What the fleet does once in a while, whichever process comes first.
create table worker.chores (
    name     text primary key,
    begun_at timestamptz,                               -- by the process that does it now; it beats while it goes on
    done_at  timestamptz not null default '-infinity'
);
