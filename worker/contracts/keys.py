"""What the server stores besides tasks, for all organizations: keys, secrets, reservations of Idempotency-Keys."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from worker.words.errors import ValidationError
from worker.words.ids import check_id
from worker.words.records import Words
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
"""Names that organizations with keys cannot have: in an address, they would be confused with the server's routes."""


class Key(Words):
    """A key of the server, without its secret text.

    Args:
        agents: The agents that it reaches; None means all agents of its organization.
        role: What it may do with them.
    """

    id: str
    organization_id: str
    name: str
    role: Role
    agents: tuple[str, ...] | None = None
    created_at: datetime
    expires_at: datetime | None = None
    revoked_at: datetime | None = None


class KeyAdmin(Protocol):
    """An operator's verbs for the keys of a server."""

    async def create(
        self,
        organization_id: str,
        *,
        role: Role = Role.Client,
        name: str = "",
        agents: Sequence[str] = (),
        seconds: float | None = None,
    ) -> tuple[str, Key]:
        """Create a key. Its text is returned only this once.

        Args:
            organization_id: The key's organization.
            role: The key's role.
            name: A name for people.
            agents: The agents that the key reaches; empty means all.
            seconds: How long the key is valid; None means without limit.

        Returns:
            The key's text, and its record.

        Raises:
            ValidationError: The organization's name is invalid or reserved.
        """
        ...

    async def list(self, organization_id: str | None = None) -> list[Key]:
        """Return all keys, including expired and revoked ones."""
        ...

    async def revoke(self, key_id: str) -> Key:
        """Revoke a key.

        Raises:
            NotFound: There is no such key.
        """
        ...


class Keys(KeyAdmin, Protocol):
    """What the server stores besides tasks, for all organizations. The server is the caller."""

    async def assumed(self) -> list[Key]:
        """Return keys from before there were roles, which are ``admin`` now. Each key is returned once."""
        ...

    async def find(self, text: str) -> Key | None:
        """Return the valid key with this text, or None."""
        ...

    async def get(self, key_id: str) -> Key | None:
        """Return the valid key with this id, or None."""
        ...

    async def exist(self) -> bool:
        """Return whether any key is valid."""
        ...

    async def note(self) -> None:
        """Record that the server has a key that is not stored here, so that ``ever`` returns True."""
        ...

    async def ever(self) -> bool:
        """Return whether there has ever been a key, including expired and revoked ones."""
        ...

    async def valid(self, key_ids: Sequence[str]) -> frozenset[str]:
        """Return the ids of keys that are valid."""
        ...

    def changes(self) -> int:
        """Return a mark of the changes of keys that this process has learned of."""
        ...

    async def changed(self, mark: int, seconds: float) -> bool:
        """Wait for a change of keys after a mark, and return whether one came in time. As a hint, it may be lost."""
        ...

    async def guessed(self, network: str, per_minute: int) -> float:
        """Count a wrong key, and return how many its network has used up, in all processes together.

        Args:
            network: The network that the key came from.
            per_minute: How many are given back in a minute.
        """
        ...

    async def secret(self, name: str) -> bytes:
        """Return a secret of the server, the same in every process."""
        ...

    async def reserve(self, organization_id: str, key: str, digest: str, task_id: str) -> tuple[str, bool]:
        """Return the task id for an Idempotency-Key, and whether the key was unknown before.

        Raises:
            Conflict: The key was used for a different request.
        """
        ...

    async def release(self, organization_id: str, key: str, task_id: str) -> None:
        """Release the Idempotency-Key of a task that could not be created."""
        ...


def check_organization(organization_id: str) -> str:
    """Check the name of an organization that a server is to serve.

    Returns:
        The name.

    Raises:
        ValidationError: The name is not an identifier, or is reserved.
    """
    check_id(organization_id, "organization")
    if organization_id in RESERVED_ORGANIZATIONS:
        raise ValidationError(
            f"{organization_id!r} is reserved and cannot be the name of an organization, since it is part of the"
            f" server's own URLs (reserved: {', '.join(sorted(RESERVED_ORGANIZATIONS))})",
            field="organization",
        )
    return organization_id
