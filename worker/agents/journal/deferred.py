"""Journal rows that an attempt writes only if it continues.

Most runs end with a model answer, and the next write is the task's result, after which the journal is never read. The
row of an answer that calls no tool is therefore not created immediately: it waits until the event loop turns, or until
anything else of the attempt is about to be written or to begin. Usually the attempt ends first, and the row is never
created. If the process dies in between, the answer is not in the journal, and the model is asked again.
"""

from typing import Protocol


class DeferredKeeper(Protocol):
    """A holder of rows that remain deferred after its run has ended."""

    def drop(self) -> bool:
        """Discard the deferred rows and return whether there were any."""
        ...

    async def settle(self) -> bool:
        """Store all rows, including deferred ones, and raise any error that storing them raised."""
        ...


class Deferred:
    """The rows that the runs of one attempt have deferred until the attempt continues."""

    def __init__(self) -> None:
        self._keepers: list[DeferredKeeper] = []
        self._dropped = False

    def keep(self, keeper: DeferredKeeper) -> None:
        """Add the holder of a finished run's deferred rows."""
        self._keepers.append(keeper)

    def drop(self) -> bool:
        """Discard all deferred rows and return whether any have been discarded, in this call or an earlier one."""
        keepers, self._keepers = self._keepers, []
        self._dropped |= any([keeper.drop() for keeper in keepers])  # noqa: C419 - every keeper has to drop its rows
        return self._dropped

    async def store(self) -> None:
        """Store all deferred rows because the attempt continues. Errors from storing are raised once."""
        keepers, self._keepers = self._keepers, []
        for keeper in keepers:
            await keeper.settle()
