-- Knowledge bases: documents, divided into passages that are found by their words, and by their vectors where the server
-- has pgvector (engine/knowledge/vectors.py makes that table). A search never looks beyond its own knowledge base: each word is indexed with the base's number before it.
create table worker.knowledge_bases (
    organization_id text collate "C" not null,
    id              text collate "C" not null,
    number          integer generated always as identity unique,
    name            text not null,
    description     text,
    language        text collate "C",                   -- of all documents; null: each one's own is recognized
    embedder        text,                               -- provider:model; null: words alone count
    dimensions      integer,                            -- of its vectors; null: it has none yet
    agents          text[] collate "C",                  -- of the key that made it, if that reaches these alone
    created_at      timestamptz not null default now(),
    primary key (organization_id, id)
);

create table worker.knowledge_documents (
    base     integer not null references worker.knowledge_bases (number) on delete cascade,
    id       text collate "C" not null,                 -- of its URL, so that adding it again means the same one
    url      text not null,
    name     text not null default '',
    status   text not null default 'pending' check (status in ('pending', 'ready', 'unreadable')),
    note     text,
    chunks   integer not null default 0,
    task_id  text collate "C",
    added_at timestamptz not null default now(),
    primary key (base, id)
);

-- What was read of a document at one time. The newest that is whole is the one that is found.
create table worker.knowledge_editions (
    number   bigint generated always as identity primary key,
    base     integer not null,
    document text collate "C" not null,
    task_id  text collate "C" not null,
    attempt  integer not null,
    language text collate "C" not null,
    is_live  boolean not null default false
);
create index knowledge_editions_document on worker.knowledge_editions (base, document);

create table worker.knowledge_chunks (
    base    integer not null,
    edition bigint not null,
    number  integer not null,
    heading text,
    page    integer,
    content text not null,
    words   tsvector not null,                          -- each with the base and its language before it
    length  integer not null,                           -- in words
    primary key (base, edition, number)
) with (toast_tuple_target = 8160);                     -- ranking reads words: they stay in the row
create index knowledge_chunks_words on worker.knowledge_chunks using gin (words) with (fastupdate = off);

-- In how many passages a word stands, which says how much it tells. The empty word: all passages, and their length.
create table worker.knowledge_terms (
    base     integer not null,
    language text collate "C" not null,
    term     text collate "C" not null,
    chunks   bigint not null,
    length   bigint not null default 0,
    primary key (base, language, term)
);

alter table worker.workers
    add column reads_documents boolean not null default false;  -- whether it serves the tasks that do; older ones do not
