"""What an attempt writes only if it goes on.

Most runs end with an answer of their model, and the next thing that is written is the task's result, after which no
journal is read. So the row of an answer that asks for no tool is not made yet: it waits until the loop turns, or until
anything else of the attempt is about to be written or to begin. Usually the end comes first, and the row is never made.
A process that dies in between has not noted the answer, and its model is asked again.
"""

from typing import Protocol


class DeferredKeeper(Protocol):
    """Something that defers rows after its run has ended."""

    def drop(self) -> bool:
        """Forget what is deferred; whether there was anything."""
        ...

    async def settle(self) -> bool:
        """Have everything stored, what was deferred too. Raises what storing it raised."""
        ...


class Deferred:
    """Of one attempt: what its runs left to be written if it goes on."""

    def __init__(self) -> None:
        self._keepers: list[DeferredKeeper] = []
        self._dropped = False

    def keep(self, keeper: DeferredKeeper) -> None:
        """A run has ended that defers something."""
        self._keepers.append(keeper)

    def drop(self) -> bool:
        """Forget what is still deferred; whether there was anything, now or before."""
        keepers, self._keepers = self._keepers, []
        self._dropped |= any([keeper.drop() for keeper in keepers])  # noqa: C419 - each drops
        return self._dropped

    async def store(self) -> None:
        """The attempt goes on: return when everything is stored. Raises what storing it raised, once."""
        keepers, self._keepers = self._keepers, []
        for keeper in keepers:
            await keeper.settle()
