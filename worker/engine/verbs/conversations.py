"""The conversations of an organization on PostgreSQL: what becomes of a task that comes while it is another's turn."""

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

# Whether a task, or one that it was made by, takes turns in this conversation.
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

# One that was never let go: nobody has seen more of it than that it was created.
_TAKE_BACK = """
    with gone as (delete from worker.tasks where id = %(id)s and queued and status = 'pending' returning id),
    cursors as (delete from worker.cursors where task_id in (select id from gone)),
    files as (delete from worker.task_files where task_id in (select id from gone))
    delete from worker.events where task_id in (select id from gone)
"""


@dataclass(frozen=True, slots=True)
class Unfinished:
    """A task that takes turns and is not finished.

    Args:
        queued: Whether its turn has not come.
        place: In the queue.
    """

    id: str
    queued: bool
    status: str
    place: int


class Conversations:
    """The conversations of one organization.

    Args:
        core: The database.
        organization_id: Whose.
    """

    def __init__(self, core: Core, organization_id: str) -> None:
        self._core = core
        self._organization = organization_id

    async def mode(self, agent_id: str) -> Mode:
        """What an agent's handler says of a second task of a conversation."""
        rows = await self._core.read(_MODE, (self._organization, [clean(agent_id), ANY_AGENT]))
        return rows[0]["mode"] if rows else QUEUE

    async def set_modes(self, modes: Mapping[str, Mode]) -> None:
        """Take in what a worker's handlers say, by agent."""
        others = {agent: mode for agent, mode in modes.items() if mode != QUEUE}
        if queued := [agent for agent in modes if agent not in others]:
            await self._core.rows(_FORGET_MODES, (self._organization, queued))
        if others:
            await self._core.rows(_SET_MODES, (self._organization, list(others), list(others.values())))

    async def enter(self, new: NewTask) -> Mode:
        """See whether a task may come into its conversation; what its agent says of a second one.

        A task that another one makes as part of its own turn takes no turn: that one may wait for it.

        Raises:
            Conflict: The agent takes one at a time, and is busy with another.
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
        """The task that is to be told what another one of its conversation asks for; None: there is none.

        Args:
            new: What is asked for; files, and more text than a message may have, wait for their turn.
        """
        text = new.input.text or ""
        if new.conversation_id is None or new.id is not None or new.input.files or not 0 < len(text) <= TEXT_CHARACTERS:
            return None
        unfinished = await self.unfinished(new.agent_id, new.conversation_id)
        return unfinished[0].id if unfinished else None

    async def settle(self, mode: Mode, task: TaskRecord, conversation_id: str, *, is_new: bool) -> None:
        """Have others make way for a task that came, or it for them.

        Raises:
            Conflict: Another has come at the same moment, and only one can stay.
        """
        if mode == "reject" and is_new:
            await self._core.turns.advance([ConversationKey(self._organization, task.agent_id, conversation_id)])
            others = [each for each in await self.unfinished(task.agent_id, conversation_id) if each.id != task.id]
            if others and await self._take_back(task.id):
                _check_free(others, conversation_id)
        elif mode == "replace":
            known = sorted(await self.unfinished(task.agent_id, conversation_id), key=lambda each: each.place)
            changes = [Stop(self._organization, each.id) for each in known[:-1]]
            await asyncio.gather(*(self._core.writer.write(change) for change in changes))

    async def unfinished(self, agent_id: str, conversation_id: str) -> list[Unfinished]:
        """Tasks of a conversation that take turns and are not finished: the one whose turn it is, then by place."""
        asked = {
            "organization": self._organization,
            "agent": clean(agent_id),
            "conversation": clean(conversation_id),
        }
        return [Unfinished(**row) for row in await self._core.read(_UNFINISHED, asked)]

    async def place(self) -> int:
        """The last place of every queue."""
        (row,) = await self._core.rows("select nextval('worker.places') as place")
        return row["place"]

    async def _take_back(self, task_id: str) -> bool:
        """Take a task back whose turn has not come; whether it was taken back."""
        return await self._core.by_index(_TAKE_BACK, {"id": task_id}) > 0


def _check_free(others: Sequence[Unfinished], conversation_id: str) -> None:
    if others:
        first = others[0]
        raise Conflict(f"Conversation {conversation_id!r} is busy with task {first.id!r}, which is {first.status}.")
