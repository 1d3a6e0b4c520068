"""Which stored files a key of certain agents reaches."""

from collections.abc import Collection, Sequence
from typing import Protocol


class Uploads(Protocol):
    """Who has uploaded what, in one organization."""

    async def note(self, sha256: str, key_id: str) -> None:
        """The server; a key has uploaded this file, which is there."""
        ...

    async def within(self, digests: Collection[str], key_id: str, agents: Sequence[str]) -> frozenset[str]:
        """The server; those of these files that the key uploaded, or that tasks of these agents have."""
        ...
