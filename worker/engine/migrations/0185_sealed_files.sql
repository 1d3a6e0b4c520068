-- With WORKER_ENCRYPT=all the contents of files are encrypted, too; those that were stored before are as they are.
alter table worker.files add column sealed boolean not null default false;
