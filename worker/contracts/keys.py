"""What the HTTP server keeps beside the tasks, for all organizations."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from worker.words.errors import ValidationError
from worker.words.ids import check_id
from worker.words.roles import Role

RESERVED_ORGANIZATIONS = frozenset(
    {
        "activity",
        "agent-controller",
        "agent-execution",
        "agents",
        "agents-metrics",
        "conversations",
        "events",
        "files",
        "keys",
        "knowledge_bases",
        "providers",
        "ui",
    }
)
"""Names that no organization with a key has: an address would leave it open whether they mean a route of the server."""


@dataclass(frozen=True, slots=True)
class Key:
    """A key of the HTTP server, without the key itself.

    Args:
        agents: The agents it reaches; None means every one of its organization.
        role: What it may do with them.
    """

    id: str
    organization_id: str
    name: str
    agents: tuple[str, ...] | None
    role: Role
    created_at: datetime
    expires_at: datetime | None = None
    revoked_at: datetime | None = None


class KeyAdmin(Protocol):
    """What an operator does with the keys of a server."""

    async def create(
        self,
        organization_id: str,
        *,
        role: Role = Role.Client,
        name: str = "",
        agents: Sequence[str] = (),
        seconds: float | None = None,
    ) -> tuple[str, Key]:
        """Operator; makes a key and answers it, this once. ``seconds``: its life.

        Raises: ValidationError (no name of an organization, or a reserved one).
        """
        ...

    async def list(self, organization_id: str | None = None) -> list[Key]:
        """Operator; all keys, the expired and revoked too."""
        ...

    async def revoke(self, key_id: str) -> Key:
        """Operator; the key opens nothing any more. Raises: NotFound."""
        ...


class Keys(KeyAdmin, Protocol):
    """What the server keeps beside the tasks, for all organizations."""

    async def assumed(self) -> list[Key]:
        """The server; keys made before there were roles, which are ``admin`` now; each is answered once."""
        ...

    async def find(self, text: str) -> Key | None:
        """The server; the key that this text is, if it opens anything now."""
        ...

    async def get(self, key_id: str) -> Key | None:
        """The server; the key of this id, if it opens anything now."""
        ...

    async def exist(self) -> bool:
        """The server; whether any key opens anything now."""
        ...

    async def note(self) -> None:
        """The server; it has a key that is not among these: ``ever`` is true from now on."""
        ...

    async def ever(self) -> bool:
        """The server; whether there has ever been a key, the expired and revoked too."""
        ...

    async def valid(self, key_ids: Sequence[str]) -> frozenset[str]:
        """The server; those of them that open something now."""
        ...

    def changes(self) -> int:
        """The server; a mark of the changes of keys that it has heard of so far."""
        ...

    async def changed(self, mark: int, seconds: float) -> bool:
        """The server; waits for a change after a mark; whether one came in time. A hint: it may never come."""
        ...

    async def guessed(self, network: str, per_minute: int) -> float:
        """The server; counts a wrong key; how many its network has spent at any process, given back in a minute."""
        ...

    async def secret(self, name: str) -> bytes:
        """The server; a secret of its own, the same in every process."""
        ...

    async def reserve(self, organization_id: str, key: str, digest: str, task_id: str) -> tuple[str, bool]:
        """The server; the task of an Idempotency-Key, and whether it was unknown before. Raises: Conflict."""
        ...

    async def release(self, organization_id: str, key: str, task_id: str) -> None:
        """The server; gives up the key of a create that failed."""
        ...


def check_organization(organization_id: str) -> str:
    """Check the name of an organization that a server is to serve.

    Returns:
        The same name.

    Raises:
        ValidationError: It is no identifier, or a reserved one.
    """
    check_id(organization_id, "organization")
    if organization_id in RESERVED_ORGANIZATIONS:
        raise ValidationError(
            f"no organization can be named {organization_id!r}: its addresses could not be told from those of the"
            f" server itself (reserved: {', '.join(sorted(RESERVED_ORGANIZATIONS))})",
            field="organization",
        )
    return organization_id
