"""Turns of tasks in conversations.

A task that takes turns is stored as waiting, with a place in the order of creation. Free turns are given whenever such
a task is created or ends, and also every two seconds, since the process that should have done it may be gone. A lock is
held only while a turn is given, never while a task runs.
"""

import asyncio
from collections.abc import Collection
from contextvars import Context

from worker.engine.commit.hints import DELIVERIES, WORK
from worker.engine.database.access import DatabaseAccess
from worker.engine.database.connections import BY_INDEX
from worker.engine.database.statements.tasks import HOLDS, RAISE_CURSORS_OF
from worker.engine.liveness.upkeep import repeat
from worker.words.conversations import ConversationKey
from worker.words.errors import ModuleException
from worker.words.notices import PlatformTrouble, announce

POLL_SECONDS = 2.0  # between searches for free turns that no process has noticed
BATCH = 500  # conversations per statement
LOCK_CLASS = 0x636F6E76  # "conv": of the advisory locks of this module; workers' session locks have another

# One lock per conversation, taken by all processes in the same order, until the transaction ends.
_LOCK = """
    select pg_advisory_xact_lock(%(class)s, key) from (
        select distinct hashtext(concat_ws(E'\\n', organization_id, agent_id, conversation_id)) as key
          from unnest(%(organizations)s::text[], %(agents)s::text[], %(conversations)s::text[])
               as w(organization_id, agent_id, conversation_id)
         order by 1
    ) keys
"""

_SAME = """
    {task}.organization_id = w.organization_id and {task}.agent_id = w.agent_id
    and {task}.conversation_id = w.conversation_id
"""

# Gives the turn to the first task of each conversation in which no task has it, and logs that. (Rows to lock are tested
# by their end and not by their status, or the planner might choose the index of all pending tasks.)
ADVANCE = f"""
    with free as materialized (
        select n.id from unnest(%(organizations)s::text[], %(agents)s::text[], %(conversations)s::text[])
               as w(organization_id, agent_id, conversation_id)
         cross join lateral (
             select q.id from worker.tasks q
              where {_SAME.format(task="q")} and q.queued and q.status = 'pending' order by q.place limit 1
         ) n
         where not exists (select from worker.tasks h where {_SAME.format(task="h")} and {HOLDS})
    ), locked as materialized (
        select t.id from worker.tasks t
         where t.id = any(array(select id from free)) and t.queued and t.finished_at is null order by t.id for update
    ), released as (
        update worker.tasks t
           set queued = false, available_at = now(), updated_at = now(), last_event = t.last_event + 1
         where t.id = any(array(select id from locked))
        returning t.id, t.organization_id, t.agent_id, t.last_event, t.attempt, t.settings
    ), logged as (
        insert into worker.events (task_id, number, type, time, data)
        select id, last_event, 'task_updated', now(), json_build_object(
            'waiting_for', null, 'available_at', case when attempt > 0 then now() end
        ) from released
    ), due as ({RAISE_CURSORS_OF.format(rows="released")})
    select id, (select count(*) from due) as due from released
"""  # noqa: S608 - constants

# Conversations in which tasks wait although no task has the turn. (Each step is one index lookup.)
STUCK = f"""
    with recursive w(organization_id, agent_id, conversation_id) as (
        (select organization_id, agent_id, conversation_id from worker.tasks
          where queued and status = 'pending' order by organization_id, agent_id, conversation_id limit 1)
        union all
        select n.* from w cross join lateral (
            select q.organization_id, q.agent_id, q.conversation_id from worker.tasks q
             where q.queued and q.status = 'pending' and (q.organization_id, q.agent_id, q.conversation_id)
                   > (w.organization_id, w.agent_id, w.conversation_id)
             order by q.organization_id, q.agent_id, q.conversation_id limit 1
        ) n
    )
    select w.* from w where not exists (select from worker.tasks h where {_SAME.format(task="h")} and {HOLDS})
     limit %(batch)s
"""  # noqa: S608 - constants


class TurnKeeper:
    """Gives turns to the tasks of conversations, one at a time.

    Args:
        core: The database.
    """

    def __init__(self, core: DatabaseAccess) -> None:
        self._core = core
        self._due: set[ConversationKey] = set()
        self._task: asyncio.Task[None] | None = None

    def look_at(self, turns: Collection[ConversationKey]) -> None:
        """Give free turns in these conversations soon."""
        self._due |= set(turns)
        if self._due and (self._task is None or self._task.done()):
            self._task = asyncio.create_task(self._run(), name="assigning turns in conversations", context=Context())

    async def _run(self) -> None:
        while self._due:
            due, self._due = self._due, set()
            try:
                await self.advance(sorted(due))
            except ModuleException as error:  # the search every two seconds will find them
                announce(PlatformTrouble(doing="assigning turns in conversations", error=error, again_in=POLL_SECONDS))

    async def advance(self, turns: Collection[ConversationKey]) -> None:
        """Give the turn to the first task of each of these conversations in which no task has it."""
        keys = {
            "class": LOCK_CLASS,
            "organizations": [each.organization_id for each in turns],
            "agents": [each.agent_id for each in turns],
            "conversations": [each.conversation_id for each in turns],
        }
        async with self._core.connection() as connection, connection.transaction():
            await connection.execute(BY_INDEX)
            await connection.execute(_LOCK, keys)
            released = await (await connection.execute(ADVANCE, keys)).fetchall()
        if released:
            flags = WORK + DELIVERIES if released[0][1] else WORK
            self._core.announce(flags, [task_id for task_id, _ in released])

    async def look(self) -> None:
        """Find the conversations in which tasks wait although no task has the turn, and give it."""
        while rows := await self._stuck():
            await self.advance(rows)
            if len(rows) < BATCH:
                return

    async def _stuck(self) -> list[ConversationKey]:
        async with self._core.connection() as connection, connection.transaction():
            await connection.execute(BY_INDEX)
            rows = await (await connection.execute(STUCK, {"batch": BATCH})).fetchall()
        return [ConversationKey(*row) for row in rows]

    async def look_after(self) -> None:
        """Call ``look`` every two seconds until cancelled."""
        await repeat(self.look, POLL_SECONDS, "assigning turns in conversations")

    async def close(self) -> None:
        """Wait until the turns requested by ``look_at`` are given."""
        if self._task is not None:
            await self._task
