-- Tables whose rows change all the time are vacuumed and analyzed after a hundredth of their rows has changed, not after
-- PostgreSQL's fifth and tenth: between two vacuums a queue's dead rows are what every claim has to pass.

alter table worker.tasks set (
    autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 2000,
    autovacuum_analyze_scale_factor = 0.01, autovacuum_analyze_threshold = 2000
);
alter table worker.cursors set (
    autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 2000,
    autovacuum_analyze_scale_factor = 0.01, autovacuum_analyze_threshold = 2000
);
alter table worker.events set (autovacuum_analyze_scale_factor = 0.02, autovacuum_analyze_threshold = 5000);
alter table worker.journal set (autovacuum_analyze_scale_factor = 0.02, autovacuum_analyze_threshold = 5000);
alter table worker.workers set (fillfactor = 70);     -- renewals change no index: they stay on their page
