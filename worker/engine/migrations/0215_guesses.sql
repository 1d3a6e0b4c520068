-- How many wrong keys each network has tried of late, at any server process. Unlogged: a crash may forget them.
create unlogged table worker.guesses (
    network text collate "C" primary key,
    spent   double precision not null,                  -- so many, each of which is given back in time
    at      timestamptz not null default now()
);
create index guesses_by_time on worker.guesses (at);
