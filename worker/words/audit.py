"""The audit log: who did what to which row, when, and from where."""

from datetime import datetime
from typing import Any

from pydantic import Field

from worker.words.actors import AuditAction, Door
from worker.words.records import Words


class AuditEntry(Words):
    """One line of the audit log.

    Args:
        id: What ``before`` takes.
        subject: The row, as its kind and its id (``task 0199…``); of what was refused, what was asked for.
        agent_id: Whose task or agent it is.
        key_id: The key's id, ``server key`` (WORKER_API_KEY), ``no key``, or ``database`` for whoever has its URL.
        key_name: What the key is for.
        error: Why it did not happen; None means it did.
        times: How often within a minute; more than once only of what was refused.
        details: What else is known of it.
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


class AuditQuery(Words):
    """Which lines to list; all that is given must fit.

    Args:
        action: Of this kind.
        subject: About this row: its kind and id, or its id alone.
        key: By this key: its id or its name.
        address: From there.
        after: At this moment or later.
        until: Before this moment.
        agents: Of these agents alone: what a key may reach.
        limit: How many at the most, 1 to 1,000.
        before: Page on: the id of the last one of the page before.
    """

    action: str | None = None
    subject: str | None = None
    key: str | None = None
    address: str | None = None
    after: datetime | None = None
    until: datetime | None = None
    agents: list[str] | None = None
    limit: int = Field(default=100, ge=1, le=1000)
    before: str | None = None
