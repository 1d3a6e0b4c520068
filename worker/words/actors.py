"""Who acts, and what of it is written down in the audit log."""

from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from enum import StrEnum


class AuditAction(StrEnum):
    """What is written down; whatever changes what others may do, or ends or repeats their work."""

    KeyCreated = "key.create"
    KeyRevoked = "key.revoke"
    AgentSaved = "agent.save"
    AgentDeleted = "agent.delete"
    TaskStopped = "task.stop"
    TaskRetried = "task.retry"
    TaskAnswered = "task.answer"
    TaskSignalled = "task.signal"
    TaskSkipped = "task.skip"
    TaskSentMessage = "task.send"
    DeliveryRetried = "delivery.retry"
    ProviderResumed = "provider.resume"
    ProviderFailed = "provider.fail"
    KnowledgeBaseCreated = "knowledge_base.create"
    KnowledgeBaseDeleted = "knowledge_base.delete"
    DocumentsRemoved = "knowledge_base.remove"
    SignedIn = "sign_in"
    SignedOut = "sign_out"
    Refused = "refused"


class Door(StrEnum):
    """The way somebody came."""

    Api = "api"
    Page = "page"
    Link = "link"
    """A link that came with what was asked, in the place of a key."""
    Database = "database"
    """A command or a program that has ``DATABASE_URL``."""


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts.

    Args:
        key_id: The key's id, ``server key``, ``no key`` or ``database``.
        name: What the key is for; of a program, its user and machine.
        role: Of the key; None means it opens nothing.
        address: Where the request came from; of a program, its machine.
        door: The way it came.
    """

    key_id: str
    name: str
    role: str | None
    address: str
    door: Door


_acting: ContextVar[Actor | None] = ContextVar("acting", default=None)


def acting() -> Actor | None:
    """On whose behalf this code runs; None means on that of its own process."""
    return _acting.get()


@contextmanager
def as_actor(actor: Actor) -> Generator[None]:
    """Have what is written down within be this actor's."""
    token = _acting.set(actor)
    try:
        yield
    finally:
        _acting.reset(token)
