"""The stored files that a key restricted to certain agents may use."""

from collections.abc import Collection, Sequence
from typing import Protocol


class Uploads(Protocol):
    """The record of who uploaded which file, in one organization. The server is the only caller."""

    async def note(self, sha256: str, key_id: str) -> None:
        """Record that a key has uploaded this stored file."""
        ...

    async def within(self, digests: Collection[str], key_id: str, agents: Sequence[str]) -> frozenset[str]:
        """Return the files among these that the key has uploaded, or that belong to tasks of these agents."""
        ...
