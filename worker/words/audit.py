"""The audit log: who did what to which row, when, and from where."""

from datetime import datetime
from typing import Any

from pydantic import Field

from worker.words.actors import AuditAction, Door
from worker.words.records import Words
from worker.words.task_lists import ReachQuery


class AuditEntry(Words):
    """One entry of the audit log.

    Args:
        id: The id that ``before`` takes.
        subject: The row as its kind and id (``task 0199…``); for a refused action, what the request asked for.
        agent_id: The agent concerned, or the agent of the task concerned.
        key_id: The key's id, ``server key`` (WORKER_API_KEY), ``no key``, or ``database`` for a direct connection.
        key_name: The purpose of the key.
        error: Why the action failed; None means that it took place.
        times: How often the action occurred within a minute; only refused actions are counted together.
        details: Further facts about the action.
    """

    id: str
    at: datetime
    action: AuditAction | str
    subject: str
    agent_id: str | None = None
    key_id: str
    key_name: str = ""
    role: str | None = None
    address: str = ""
    door: Door | str
    error: str | None = None
    times: int = 1
    details: dict[str, Any] | None = None


class AuditQuery(ReachQuery):
    """Filters and paging for audit entries. An entry must match every filter given.

    Args:
        action: Only this kind of action.
        subject: Only actions on this row: its kind and id, or its id alone.
        key: Only actions with this key: its id or its name.
        address: Only actions from this address.
        after: Only actions at this time or later.
        until: Only actions before this time.
        limit: The maximum number of entries, 1 to 1,000.
        before: The id of the last entry of the previous page.
    """

    action: str | None = None
    subject: str | None = None
    key: str | None = None
    address: str | None = None
    after: datetime | None = None
    until: datetime | None = None
    limit: int = Field(default=100, ge=1, le=1000)
    before: str | None = None
