"""Places that idle workers of this process have free: a task made here begins in the transaction that makes it.

A worker that waits has found nothing more to claim, so a new task need not be queued for it first: one commit instead
of two. An offer stands while its worker waits; what took a place is settled when its transaction has ended.
"""

import asyncio
from collections.abc import Collection, Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from worker.engine.plan import Item, NewRow
from worker.words.work import Demand


class Offer:
    """What one waiting worker can start.

    Args:
        organization_id: Whose tasks.
        worker_id: The worker.
        wanted: What it can start.
    """

    def __init__(self, organization_id: str, worker_id: str, wanted: Demand) -> None:
        self.organization_id = organization_id
        self.worker_id = worker_id
        self.begun: list[Mapping[str, Any]] = []  # rows of tasks that are the worker's, as a claim answers them
        self.is_lost = False  # a transaction was not answered: the worker may hold what it does not know of
        self.changed = asyncio.Event()
        self._total, self._others, self._agents = wanted.total, wanted.others, dict(wanted.agents)
        self._unsettled: set[str] = set()

    def takes(self, item: NewRow) -> bool:
        """Take a task in, if there is a place for it."""
        free = self._agents.get(item.agent_id, self._others)
        if item.organization_id != self.organization_id or min(free, self._total) <= 0:
            return False
        self._total -= 1
        if item.agent_id in self._agents:
            self._agents[item.agent_id] -= 1
        else:
            self._others -= 1
        self._unsettled.add(item.id)
        return True

    def settle(self, task_id: str, row: Mapping[str, Any] | None, *, lost: bool) -> None:
        """Say what became of a task that was taken in: it is the worker's now, or is not, or nobody knows."""
        if task_id not in self._unsettled:  # an earlier wait's
            return
        self._unsettled.discard(task_id)
        self.is_lost |= lost
        if row is not None:
            self.begun.append(row)
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


class Offers:
    """The offers of one process, by worker."""

    def __init__(self) -> None:
        self._offers: dict[str, Offer] = {}

    @property
    def workers(self) -> Collection[str]:
        """Whose offers stand."""
        return self._offers.keys()

    @contextmanager
    def open(self, offer: Offer) -> Generator[None]:
        """Have an offer stand."""
        self._offers[offer.worker_id] = offer
        try:
            yield
        finally:
            del self._offers[offer.worker_id]

    def place(self, item: Item) -> Item:
        """A task as it shall be stored: a new one for which a worker has a place, begun by it."""
        if isinstance(item, NewRow) and item.status == "pending":
            for offer in self._offers.values():
                if offer.takes(item):
                    return replace(item, worker_id=offer.worker_id)
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
            if isinstance(item, NewRow) and item.worker_id in self._offers:
                self._offers[item.worker_id].settle(item.id, rows.get(item.id), lost=lost)
