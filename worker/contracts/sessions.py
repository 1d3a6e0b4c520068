"""Who has signed in to the server's pages."""

from collections.abc import Sequence
from typing import Protocol


class Sessions(Protocol):
    """Sessions of the pages, for all organizations."""

    async def begin(self, mark: str, seconds: float) -> str:
        """The server; begins a session for what a key is known by, and answers the token that finds it."""
        ...

    async def find(self, token: str) -> str | None:
        """The server; what the session's key is known by; None means it has ended, or never began."""
        ...

    async def going_on(self, tokens: Sequence[str]) -> frozenset[str]:
        """The server; those of them whose session has not ended."""
        ...

    async def end(self, token: str) -> None:
        """The server; the session is found no more, and ``Keys.changed`` tells of it."""
        ...

    async def secret(self, name: str) -> bytes:
        """The server; a random secret of this name, the same in every process. It is gone after 30 days."""
        ...
