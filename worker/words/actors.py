"""Actors and the actions that the audit log records for them."""

from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from enum import StrEnum


class AuditAction(StrEnum):
    """An action that the audit log records: one that changes permissions, or that ends or repeats somebody's work."""

    KeyCreated = "key.create"
    KeyRevoked = "key.revoke"
    AgentSaved = "agent.save"
    AgentDeleted = "agent.delete"
    TaskStopped = "task.stop"
    TaskEnded = "task.end"
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
    """The channel through which an action arrived."""

    Api = "api"
    Page = "page"
    Link = "link"
    """A signed link that came with the request in place of a key."""
    Database = "database"
    """A command or program that connects with ``DATABASE_URL``."""


@dataclass(frozen=True, slots=True)
class Actor:
    """The author of an action.

    Args:
        key_id: The key's id, ``server key``, ``no key`` or ``database``.
        name: The purpose of the key; for a program, its user and machine.
        role: The role of the key; None means that it grants no access.
        address: The address that the request came from; for a program, its machine.
        door: The channel through which the action arrived.
    """

    key_id: str
    name: str
    role: str | None
    address: str
    door: Door


_acting: ContextVar[Actor | None] = ContextVar("acting", default=None)


def acting() -> Actor | None:
    """Return the actor on whose behalf the current code runs; None means the process itself."""
    return _acting.get()


@contextmanager
def as_actor(actor: Actor) -> Generator[None]:
    """Attribute audit entries made inside this block to the given actor."""
    token = _acting.set(actor)
    try:
        yield
    finally:
        _acting.reset(token)
