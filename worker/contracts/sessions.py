"""Sessions of people who have signed in to the server's pages."""

from collections.abc import Sequence
from typing import Protocol


class Sessions(Protocol):
    """Sign-in sessions of all organizations. The server is the only caller."""

    async def begin(self, mark: str, seconds: float) -> str:
        """Begin a session for a key, and return the token that finds it.

        Args:
            mark: A stable identifier of the key.
            seconds: How long the session lasts.
        """
        ...

    async def find(self, token: str) -> str | None:
        """Return the ``mark`` of a session's key, or None if the session has ended or never existed."""
        ...

    async def active(self, tokens: Sequence[str]) -> frozenset[str]:
        """Return the tokens whose session has not ended."""
        ...

    async def end(self, token: str) -> None:
        """End a session, which ``Keys.changed`` then reports."""
        ...

    async def secret(self, name: str) -> bytes:
        """Return the random secret of this name, the same in every process. It is deleted after 30 days."""
        ...
