-- The tools that a worker has for the agents that it serves: names, descriptions, schemas. Null: none.
alter table worker.workers add column if not exists tools json;
