"""What a key of the HTTP server is for."""

from enum import StrEnum


class Role(StrEnum):
    """What a key may do, with the agents that it reaches."""

    Viewer = "viewer"
    """It reads."""
    Client = "client"
    """It reads, and creates, changes, stops, retries and answers tasks."""
    Worker = "worker"
    """It reads, claims tasks and events, and writes what its claims own."""
    Admin = "admin"
    """It does everything, agents and keys included."""


def role_of(text: str) -> Role:
    """The role of this name. Raises: ValueError, which names all."""
    try:
        return Role(text)
    except ValueError:
        raise ValueError(f"{text[:50]!r} is no role; there are {', '.join(Role)}") from None
