"""The audit log, on PostgreSQL.

An action is logged before it is carried out, so that an action that cannot be logged is not carried out. If it then
fails, its line is marked with the error.
"""

import getpass
import json
import os
import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from functools import cache
from typing import Any

from worker.engine.core import Core
from worker.words.actors import Actor, AuditAction, Door, acting
from worker.words.audit import AuditEntry, AuditQuery
from worker.words.errors import ModuleException
from worker.words.ids import new_id
from worker.words.invisible_characters import escaped, line_of
from worker.words.texts import clean

DATABASE = "database"
CHARACTERS = 500  # per text; longer ones are truncated

_WRITE = """
    insert into worker.audit (
        id, organization_id, action, subject, agent_id, key_id, key_name, role, address, door, error, times, details
    ) values (
        %(id)s, %(organization)s, %(action)s, %(subject)s,
        coalesce(%(agent)s, (
            select agent_id from worker.tasks where id = %(task)s and organization_id = %(organization)s
        )),
        %(key)s, %(name)s, %(role)s, %(address)s, %(door)s, %(error)s, %(times)s, %(details)s
    )
"""

_MARK = "update worker.audit set error = %s where id = %s"

_FIND = """
    select id, at, action, subject, agent_id, key_id, key_name, role, address, door, error, times, details
    from worker.audit
    where organization_id = %(organization)s
      and (%(before)s::text is null or id < %(before)s)
      and (%(action)s::text is null or action = %(action)s)
      and (%(subject)s::text is null or subject = %(subject)s or split_part(subject, ' ', 2) = %(subject)s)
      and (%(key)s::text is null or key_id = %(key)s or key_name = %(key)s)
      and (%(address)s::text is null or address = %(address)s)
      and (%(after)s::timestamptz is null or at >= %(after)s)
      and (%(until)s::timestamptz is null or at < %(until)s)
      and (%(agents)s::text[] is null or agent_id = any(%(agents)s))
    order by id desc limit %(limit)s
"""


class EngineAudit:
    """The audit log of one organization."""

    def __init__(self, core: Core, organization_id: str) -> None:
        self._core = core
        self._organization = organization_id

    @asynccontextmanager
    async def of(
        self, action: AuditAction, subject: str, *, agent: str | None = None, task: str | None = None, **details: Any
    ) -> AsyncGenerator[None]:
        """Log the action of the block before it runs, and mark the line with the error if it fails.

        Args:
            action: The action.
            subject: The object of the action, such as "task 1".
            agent: The agent that the object belongs to.
            task: The task whose agent is logged if ``agent`` is None.
            details: Further facts; None values are omitted.
        """
        entry_id = await self.write(action, subject, agent=agent, task=task, details=details)
        try:
            yield
        except ModuleException as error:
            with suppress(ModuleException):  # the action is logged anyway, and its caller gets the error
                await self._core.rows(_MARK, (_text(error.description), entry_id))
            raise

    async def write(
        self,
        action: AuditAction,
        subject: str,
        *,
        agent: str | None = None,
        task: str | None = None,
        actor: Actor | None = None,
        error: str | None = None,
        times: int = 1,
        details: dict[str, Any] | None = None,
    ) -> str:
        """Append an entry to the audit log, and return its id."""
        by = actor or acting() or _this_process()
        entry_id = new_id()
        given = {name: value for name, value in (details or {}).items() if value is not None}
        asked = {
            "id": entry_id,
            "organization": self._organization,
            "action": str(action),
            "subject": _text(line_of(subject)),
            "agent": agent,
            "task": clean(task) if task else None,
            "key": by.key_id,
            "name": _text(line_of(by.name)),
            "role": by.role,
            "address": _text(line_of(by.address)),
            "door": str(by.door),
            "error": None if error is None else _text(escaped(error)),
            "times": times,
            "details": clean(json.dumps(self._core.vault.marked(given))) if given else None,
        }
        await self._core.rows(_WRITE, asked)
        return entry_id

    async def find(self, query: AuditQuery) -> list[AuditEntry]:
        """Return the matching lines, the newest first."""
        asked: dict[str, Any] = {
            name: clean(value) if isinstance(value, str) else value
            for name, value in query.model_dump(mode="json").items()
        }
        return [
            AuditEntry.model_validate(row)
            for row in await self._core.read(_FIND, {**asked, "organization": self._organization})
        ]


def _text(text: str) -> str:
    return clean(text[:CHARACTERS])


@cache
def _this_process() -> Actor:
    """Return the actor for a program that uses the database directly: its user and its machine."""
    machine = socket.gethostname()
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a user in a container may have no name
        user = str(os.getuid()) if hasattr(os, "getuid") else "unknown"
    return Actor(DATABASE, f"{user}@{machine}", "admin", machine, Door.Database)
