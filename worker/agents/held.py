"""What an attempt notes only if it goes on.

Most runs end with an answer of their model, and the next thing that is written is the task's result, after which no
journal is read. So the row of an answer that asks for no tool is not made yet: it waits until the loop turns, or until
anything else of the attempt is to be written or to begin. What comes first most often is the end, and then there is
nothing to make. A process that dies in between has not noted the answer, and its model is asked again.
"""

from typing import Protocol


class Keeper(Protocol):
    """Who holds something back after its run has ended."""

    def drop(self) -> bool:
        """Forget what is held back; whether there was anything."""
        ...

    async def settle(self) -> bool:
        """Have all stored, what was held back too. Raises what storing it raised."""
        ...


class Held:
    """Of one attempt: what its runs left to be noted if it goes on."""

    def __init__(self) -> None:
        self._keepers: list[Keeper] = []
        self._dropped = False

    def keep(self, keeper: Keeper) -> None:
        """A run has ended that holds something back."""
        self._keepers.append(keeper)

    def drop(self) -> bool:
        """Forget what is still held back; whether there was anything, now or before."""
        self._dropped |= any([keeper.drop() for keeper in self._keepers])  # noqa: C419 - each drops
        return self._dropped

    async def store(self) -> None:
        """The attempt goes on: return when all is stored. Raises what storing it raised, once."""
        keepers, self._keepers = self._keepers, []
        for keeper in keepers:
            await keeper.settle()
