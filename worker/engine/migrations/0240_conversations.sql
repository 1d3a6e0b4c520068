-- Conversations: tasks that share memory, which one agent takes one at a time.

create sequence if not exists worker.places;

-- What agents' handlers say of a second task of a conversation; an agent without a row queues it. '': any agent.
create table if not exists worker.conversation_modes (
    organization_id text collate "C" not null,
    agent_id        text collate "C" not null,
    mode            text not null check (mode in ('parallel', 'reject', 'replace', 'steer')),
    primary key (organization_id, agent_id)
);

alter table worker.tasks
    add column if not exists conversation_id text collate "C",
    add column if not exists place           bigint,                          -- in its conversation's queue; none: it takes no turn
    add column if not exists queued          boolean not null default false;  -- pending, but its turn has not come

update worker.tasks set conversation_id = settings->>'conversation_id'
 where length(settings->>'conversation_id') between 1 and 400;

create index if not exists tasks_of_conversation on worker.tasks (organization_id, conversation_id, created_at desc, id desc)
    where conversation_id is not null;
create index if not exists conversations_by_time on worker.tasks (organization_id, created_at desc, id desc)
    where conversation_id is not null;
create index if not exists tasks_queued on worker.tasks (organization_id, agent_id, conversation_id, place)
    where queued and status = 'pending';
create index if not exists tasks_in_turn on worker.tasks (organization_id, agent_id, conversation_id)
    where place is not null and not queued and status in ('pending', 'executing', 'paused');
