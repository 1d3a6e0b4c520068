"""Parents of tasks that have just ended in this process, so that the upkeep checks them immediately."""

import asyncio
from collections.abc import Collection


class Parents:
    """Ids of parents, collected until the upkeep takes them."""

    def __init__(self) -> None:
        self._due: set[str] = set()
        self._some = asyncio.Event()

    def note(self, parents: Collection[str]) -> None:
        """Record parents to be checked soon."""
        self._due |= set(parents)
        self._some.set()

    async def taken(self) -> list[str]:
        """Wait for recorded parents and return them; those recorded meanwhile come with the next call."""
        await self._some.wait()
        due, self._due = self._due, set()
        self._some.clear()
        return sorted(due)
