"""Conversations of an organization on PostgreSQL: how a new task is treated while another one has the turn."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from worker.engine.core import Core
from worker.engine.state.client_changes import Stop
from worker.words.conversations import ANY_AGENT, PARALLEL, QUEUE, ConversationKey, Mode
from worker.words.errors import Conflict
from worker.words.messages import TEXT_CHARACTERS
from worker.words.tasks import NewTask, TaskRecord
from worker.words.texts import clean

_UNFINISHED = """
    select h.id, h.queued, h.status, h.place from worker.tasks h
     where h.organization_id = %(organization)s and h.agent_id = %(agent)s and h.conversation_id = %(conversation)s
       and h.place is not null and h.status in ('pending', 'executing', 'paused')
     order by h.queued, h.place
"""

_MODE = """
    select mode from worker.conversation_modes where organization_id = %s and agent_id = any(%s)
     order by agent_id desc limit 1
"""

# Whether a task, or one of its ancestors, takes turns in this conversation.
_WITHIN_TURN = """
    with recursive above(id, parent_id, agent_id, conversation_id, depth) as (
        select id, parent_id, agent_id, conversation_id, 1 from worker.tasks
         where id = %(parent)s and organization_id = %(organization)s
        union all
        select t.id, t.parent_id, t.agent_id, t.conversation_id, a.depth + 1 from above a
          join worker.tasks t on t.id = a.parent_id and t.organization_id = %(organization)s
         where a.depth < 50
    )
    select 1 from above where agent_id = %(agent)s and conversation_id = %(conversation)s limit 1
"""

_SET_MODES = """
    insert into worker.conversation_modes as m (organization_id, agent_id, mode)
    select %s, agent_id, mode from unnest(%s::text[], %s::text[]) as r(agent_id, mode) order by agent_id
    on conflict (organization_id, agent_id) do update set mode = excluded.mode where m.mode <> excluded.mode
"""

_FORGET_MODES = "delete from worker.conversation_modes where organization_id = %s and agent_id = any(%s)"

# The task that a repeated request has already steered.
_STEERED = """
    select id from worker.tasks
     where organization_id = %(organization)s and agent_id = %(agent)s and conversation_id = %(conversation)s
       and state::jsonb->'_message_keys' ? %(key)s
     limit 1
"""

# Deletes a task whose turn has not come; clients have only seen that it was created.
_TAKE_BACK = """
    with gone as (delete from worker.tasks where id = %(id)s and queued and status = 'pending' returning id),
    cursors as (delete from worker.cursors where task_id in (select id from gone)),
    files as (delete from worker.task_files where task_id in (select id from gone))
    delete from worker.events where task_id in (select id from gone)
"""


@dataclass(frozen=True, slots=True)
class Unfinished:
    """An unfinished task that takes turns.

    Args:
        queued: Whether its turn has not come yet.
        place: Its place in the queue.
    """

    id: str
    queued: bool
    status: str
    place: int


class Conversations:
    """The conversations of one organization.

    Args:
        core: The database.
        organization_id: The organization.
    """

    def __init__(self, core: Core, organization_id: str) -> None:
        self._core = core
        self._organization = organization_id

    async def mode(self, agent_id: str) -> Mode:
        """Return how an agent's handler treats a second task of a conversation."""
        rows = await self._core.read(_MODE, (self._organization, [clean(agent_id), ANY_AGENT]))
        return rows[0]["mode"] if rows else QUEUE

    async def set_modes(self, modes: Mapping[str, Mode]) -> None:
        """Store the modes that a worker's handlers declare, by agent."""
        others = {agent: mode for agent, mode in modes.items() if mode != QUEUE}
        if queued := [agent for agent in modes if agent not in others]:
            await self._core.rows(_FORGET_MODES, (self._organization, queued))
        if others:
            await self._core.rows(_SET_MODES, (self._organization, list(others), list(others.values())))

    async def enter(self, new: NewTask) -> Mode:
        """Check whether a task may enter its conversation, and return the agent's mode.

        A task that another one creates as part of its own turn takes no turns, since that one may wait for it.

        Raises:
            Conflict: The agent accepts one task at a time, and is busy with another.
        """
        if new.parent_execution is not None and await self._is_within_turn(new, new.parent_execution):
            return PARALLEL
        mode = await self.mode(new.agent_id)
        if mode == "reject" and new.conversation_id is not None:
            _check_free(await self.unfinished(new.agent_id, new.conversation_id), new.conversation_id)
        return mode

    async def _is_within_turn(self, new: NewTask, parent_id: str) -> bool:
        asked = {
            "parent": clean(parent_id),
            "organization": self._organization,
            "agent": clean(new.agent_id),
            "conversation": clean(new.conversation_id),
        }
        return bool(await self._core.read(_WITHIN_TURN, asked))

    async def steer(self, new: NewTask) -> str | None:
        """Return the id of the unfinished task to which a new one's text is sent as a message; None if there is none.

        Args:
            new: The new task. With files, or with more text than a message may have, it waits for its turn instead.
        """
        text = new.input.text or ""
        if new.conversation_id is None or new.id is not None or new.input.files or not 0 < len(text) <= TEXT_CHARACTERS:
            return None
        unfinished = await self.unfinished(new.agent_id, new.conversation_id)
        return unfinished[0].id if unfinished else None

    async def steered(self, new: NewTask, key: str) -> str | None:
        """Return the task that this request has already steered, or None."""
        asked = {
            "organization": self._organization,
            "agent": clean(new.agent_id),
            "conversation": clean(new.conversation_id),
            "key": key,
        }
        rows = await self._core.read(_STEERED, asked)
        return rows[0]["id"] if rows else None

    async def settle(self, mode: Mode, task: TaskRecord, conversation_id: str, *, is_new: bool) -> None:
        """Make other tasks give way to a new task, or the new task to them, as the mode demands.

        Raises:
            Conflict: Another task was created at the same moment, and only one can stay.
        """
        if mode == "reject" and is_new:
            await self._core.turns.advance([ConversationKey(self._organization, task.agent_id, conversation_id)])
            others = [each for each in await self.unfinished(task.agent_id, conversation_id) if each.id != task.id]
            if others and await self._core.by_index(_TAKE_BACK, {"id": task.id}):  # its turn has not come
                _check_free(others, conversation_id)
        elif mode == "replace":
            known = sorted(await self.unfinished(task.agent_id, conversation_id), key=lambda each: each.place)
            changes = [Stop(self._organization, each.id) for each in known[:-1]]
            await asyncio.gather(*(self._core.writer.write(change) for change in changes))

    async def unfinished(self, agent_id: str, conversation_id: str) -> list[Unfinished]:
        """Return a conversation's unfinished tasks that take turns: the one that has the turn, then the others."""
        asked = {
            "organization": self._organization,
            "agent": clean(agent_id),
            "conversation": clean(conversation_id),
        }
        return [Unfinished(**row) for row in await self._core.read(_UNFINISHED, asked)]

    async def place(self) -> int:
        """Return a new place, at the end of every queue."""
        (row,) = await self._core.rows("select nextval('worker.places') as place")
        return row["place"]


def _check_free(others: Sequence[Unfinished], conversation_id: str) -> None:
    if others:
        first = others[0]
        raise Conflict(f"Conversation {conversation_id!r} is busy with task {first.id!r}, which is {first.status}.")
