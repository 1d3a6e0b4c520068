-- Writes of a run that are sent again, since their answer was lost, are known by their number, whichever server process they reach.

alter table worker.tasks
    add column written bigint not null default 0;   -- attempt (high 32 bits) and number of the run's last write that was numbered
