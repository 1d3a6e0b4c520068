"""Child tasks on PostgreSQL: created once, waking their parents, and stopped together with them."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from typing import LiteralString, Protocol

from worker.engine.core import Core
from worker.engine.database.columns import TASK_COLUMNS
from worker.engine.liveness.upkeep import repeat
from worker.engine.state.client_changes import Stop
from worker.engine.state.families import Adopt, Wake
from worker.engine.state.records import task_record
from worker.words.errors import Conflict
from worker.words.tasks import NewTask, TaskRecord
from worker.words.texts import clean

RECENT_SECONDS = 30.0  # for which an end is recent: long enough for its commit, however busy the database is
LOOK_AT_ALL_SECONDS = 60.0  # between searches for all waiting parents, some of which every process may have missed
STOPPED_SECONDS = 300.0  # after a parent's stop, for which its remaining children are still stopped
BATCH = 500

_CHILDREN = f"""
    select {TASK_COLUMNS} from worker.tasks t
     where t.id = any(%s) and t.organization_id = %s and t.parent_id = %s
"""  # noqa: S608 - a constant

_IS_READY = """
    p.status = 'pending' and p.awaits is not null and (
        not exists (
            select from worker.tasks c
             where c.id = any(p.awaits) and c.organization_id = p.organization_id and c.finished_at is null
        ) or exists (
            select from worker.tasks c
             where c.id = any(p.awaits) and c.organization_id = p.organization_id
               and c.status in ('error', 'failed', 'stopped')
        )
    )
"""

_READY_OF_LATE = f"""
    select p.organization_id, p.id from worker.tasks p
     where p.id in (
         select c.parent_id from worker.tasks c
          where c.parent_id is not null and c.finished_at >= now() - %(recent)s * interval '1 second'
     ) and {_IS_READY} limit %(batch)s
"""  # noqa: S608 - constants

_READY = f"select p.organization_id, p.id from worker.tasks p where {_IS_READY} limit %(batch)s"  # noqa: S608 - constants

_READY_NOW = f"select p.organization_id, p.id from worker.tasks p where p.id = any(%(ids)s) and {_IS_READY}"  # noqa: S608 - constants

_UNFINISHED = """
    select organization_id, id from worker.tasks
     where parent_id = %(parent)s and organization_id = %(organization)s and finished_at is null
     order by id limit %(batch)s
"""

_ORPHANS = """
    select c.organization_id, c.id
      from worker.tasks p join worker.tasks c on c.parent_id = p.id and c.organization_id = p.organization_id
     where p.status = 'stopped' and p.finished_at >= now() - %(recent)s * interval '1 second'
       and c.finished_at is null and c.created_at <= p.finished_at
     order by c.id limit %(batch)s
"""


class Create(Protocol):
    """A function that creates a task."""

    async def __call__(self, new: NewTask, *, under: str) -> TaskRecord:
        """Create a task under the given id; raise Conflict if that id exists."""
        ...


async def make_children(
    core: Core, create: Create, organization_id: str, parent: tuple[str, int], children: Mapping[str, NewTask]
) -> None:
    """Create those of a run's children that do not exist yet.

    Args:
        core: The database.
        create: Creates a task under an id; raises Conflict if that id exists.
        organization_id: The organization of the tasks.
        parent: The parent task and the attempt that owns it.
        children: The children by their ids, which the run has journaled, so that a repeated call finds them.

    Raises:
        LeaseLost: The attempt no longer owns its task; nothing was created.
        ValidationError: There are too many children.
        Conflict: One of the ids is another task's, or the child may not be created now.
    """
    task_id, attempt = parent
    await core.writer.write(Adopt(organization_id, task_id, attempt, [clean(each) for each in children]))
    made = [new.model_copy(update={"id": None, "parent_execution": task_id}) for new in children.values()]
    refused = await asyncio.gather(*(_make(create, child, new) for child, new in zip(children, made, strict=True)))
    known = {each.id for each in await children_of(core, organization_id, task_id, list(children))}
    for child, conflict in zip(children, refused, strict=True):
        if child not in known:
            raise conflict or Conflict(
                "The child task was not created: an earlier task of its conversation received its text instead."
            )


async def _make(create: Create, child: str, new: NewTask) -> Conflict | None:
    """Create a child, and return the conflict if it was refused, which may mean that the child exists."""
    try:
        await create(new, under=child)
    except Conflict as conflict:
        return conflict
    return None


async def children_of(core: Core, organization_id: str, task_id: str, children: Sequence[str]) -> list[TaskRecord]:
    """Return some of a task's children, leaving out those that do not exist."""
    keys = [clean(each) for each in children], organization_id, clean(task_id)
    return [task_record(row) for row in await core.read(_CHILDREN, keys, patient=True)]


async def wake_if_ready(core: Core, task_id: str) -> None:
    """Wake a task that has just begun to wait for its children, if they had already ended."""
    await _wake(core, await core.rows(_READY_NOW, {"ids": [clean(task_id)]}))


async def stop_children(core: Core, organization_id: str, task_id: str) -> None:
    """Stop the children of a stopped task, and all their descendants."""
    parents = [task_id]
    while parents:
        parent = parents.pop()
        keys = {"parent": clean(parent), "organization": organization_id, "batch": BATCH}
        while rows := await core.rows(_UNFINISHED, keys):
            await asyncio.gather(*(core.writer.write(Stop(row["organization_id"], row["id"])) for row in rows))
            parents += [row["id"] for row in rows]
            if len(rows) < BATCH:
                break


async def wake_parents(core: Core) -> None:
    """Wake parents as soon as this process has ended the last of their children; runs until cancelled."""

    async def wake() -> None:
        parents = await core.parents.taken()
        await _wake(core, await core.rows(_READY_NOW, {"ids": parents}))

    await repeat(wake, 0.0, "waking parents of tasks")  # after an error, the search each second finds the rest


async def maintain_children(core: Core) -> None:
    """Wake parents whose children have ended, and stop children whose parents were stopped; runs until cancelled."""
    looked_at_all = 0.0

    async def look() -> None:
        nonlocal looked_at_all
        if time.monotonic() - looked_at_all >= LOOK_AT_ALL_SECONDS:
            await check_all(core)
            looked_at_all = time.monotonic()
        await _wake_all(core, _READY_OF_LATE)

    await repeat(look, core.timings.children, "updating parents of finished tasks")


async def check_all(core: Core) -> None:
    """Wake all parents whose children have ended, and stop remaining children of stopped parents, once."""
    await _wake_all(core, _READY)
    for row in await core.rows(_ORPHANS, {"recent": STOPPED_SECONDS, "batch": BATCH}):
        await core.writer.write(Stop(row["organization_id"], row["id"]))
        await stop_children(core, row["organization_id"], row["id"])


async def _wake_all(core: Core, statement: LiteralString) -> None:
    while rows := await core.rows(statement, {"recent": RECENT_SECONDS, "batch": BATCH}):
        await _wake(core, rows)
        if len(rows) < BATCH:
            return


async def _wake(core: Core, rows: Sequence[Mapping[str, str]]) -> None:
    await asyncio.gather(*(core.writer.write(Wake(row["organization_id"], row["id"])) for row in rows))
