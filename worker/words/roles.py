"""Roles of the HTTP server's keys."""

from enum import StrEnum


class Role(StrEnum):
    """The permissions of a key, within the agents that it reaches."""

    Viewer = "viewer"
    """Read."""
    Client = "client"
    """Read; create, change, stop, retry and answer tasks."""
    Worker = "worker"
    """Read; claim tasks and events, and write to what is claimed."""
    Admin = "admin"
    """Everything, agents and keys included."""


def role_of(text: str) -> Role:
    """Return the role with this name.

    Raises:
        ValueError: There is no such role; the message lists all.
    """
    try:
        return Role(text)
    except ValueError:
        raise ValueError(f"{text[:50]!r} is not a role; the roles are {', '.join(Role)}") from None
