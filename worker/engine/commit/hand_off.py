"""Places that idle workers of this process have free: a task made here begins in the transaction that makes it.

A worker that waits has found nothing more to claim, so a new task need not be queued for it first: one commit instead
of two. An offer stands while its worker waits; what took a place is settled when its transaction has ended.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Collection, Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from worker.engine.commit.batch import Item, NewRow
from worker.words.knowledge import AGENT as KNOWLEDGE
from worker.words.work import Demand


class HandOff:
    """What one waiting worker can start.

    Args:
        organization_id: Whose tasks.
        worker_id: The worker.
        demand: Says what it can start, beside what it was given here.
    """

    def __init__(self, organization_id: str, worker_id: str, demand: Callable[[], Demand]) -> None:
        self.organization_id = organization_id
        self.worker_id = worker_id
        self.begun: list[Mapping[str, Any]] = []  # rows of tasks that are the worker's, as a claim answers them
        self.is_lost = False  # a transaction was not answered: the worker may hold what it does not know of
        self.changed = asyncio.Event()
        self._demand = demand
        self._taken: Counter[str | None] = Counter()  # by agent; None means one that no handler names
        self._unsettled: dict[str, str | None] = {}  # by task

    def takes(self, item: NewRow) -> bool:
        """Take a task in, if there is a place for it."""
        if item.organization_id != self.organization_id:
            return False
        wanted = self._demand()
        agent = item.agent_id if item.agent_id in wanted.agents else None
        others = 0 if item.agent_id == KNOWLEDGE else wanted.others
        free = others if agent is None else wanted.agents[agent]
        if self._taken.total() >= wanted.total or self._taken[agent] >= free:
            return False
        self._taken[agent] += 1
        self._unsettled[item.id] = agent
        return True

    def settle(self, task_id: str, row: Mapping[str, Any] | None, *, lost: bool) -> None:
        """Say what became of a task that was taken in: it is the worker's now, or is not, or nobody knows."""
        if task_id not in self._unsettled:  # an earlier wait's
            return
        agent = self._unsettled.pop(task_id)
        self.is_lost |= lost
        if row is not None:
            self.begun.append(row)
        elif not lost:
            self._taken[agent] -= 1
        self.changed.set()

    async def settled(self) -> None:
        """Wait until it is known what became of all that were taken in."""
        while self._unsettled:
            self.changed.clear()
            await self.changed.wait()

    @property
    def may_hold(self) -> bool:
        """Whether the worker holds, or may hold, what was begun for it."""
        return bool(self.begun or self._unsettled or self.is_lost)


class HandOffs:
    """The offers of one process, by worker."""

    def __init__(self) -> None:
        self._hand_offs: dict[str, HandOff] = {}

    @property
    def workers(self) -> Collection[str]:
        """Whose offers stand."""
        return self._hand_offs.keys()

    @contextmanager
    def open(self, hand_off: HandOff) -> Generator[None]:
        """Have an offer stand."""
        self._hand_offs[hand_off.worker_id] = hand_off
        try:
            yield
        finally:
            if self._hand_offs.get(hand_off.worker_id) is hand_off:
                del self._hand_offs[hand_off.worker_id]

    def place(self, item: Item) -> Item:
        """A task as it shall be stored: a new one for which a worker has a place, begun by it."""
        if isinstance(item, NewRow) and item.status == "pending" and not item.queued:
            for hand_off in self._hand_offs.values():
                if hand_off.takes(item):
                    return replace(item, worker_id=hand_off.worker_id)
        return item

    def settle(self, items: Iterable[Item], begun: Sequence[Mapping[str, Any]] = (), *, lost: bool = False) -> None:
        """Tell the workers what became of tasks that took their places.

        Args:
            items: What was written.
            begun: The rows of those that are theirs now.
            lost: The transaction was not answered, so nobody knows.
        """
        rows = {row["id"]: row for row in begun}
        for item in items:
            if isinstance(item, NewRow) and item.worker_id in self._hand_offs:
                self._hand_offs[item.worker_id].settle(item.id, rows.get(item.id), lost=lost)
