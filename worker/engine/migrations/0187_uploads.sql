-- By which keys of certain agents a file was uploaded: such a key reaches these, and the files of its agents' tasks.
create table worker.uploads (
    organization_id text collate "C" not null,
    sha256          text collate "C" not null,
    key_id          text collate "C" not null,
    primary key (organization_id, sha256, key_id),
    foreign key (organization_id, sha256) references worker.files on delete cascade
);
