"""Tasks whose children have just ended, in this process: who looks after parents looks at these at once."""

import asyncio
from collections.abc import Collection


class Parents:
    """Ids of parents, gathered until somebody takes them."""

    def __init__(self) -> None:
        self._due: set[str] = set()
        self._some = asyncio.Event()

    def note(self, parents: Collection[str]) -> None:
        """Have them looked at soon."""
        self._due |= set(parents)
        self._some.set()

    async def taken(self) -> list[str]:
        """Those that were noted, as soon as there is one; whatever is noted meanwhile comes with the next."""
        await self._some.wait()
        due, self._due = self._due, set()
        self._some.clear()
        return sorted(due)
