"""Free places of this process's idle workers: a task created here begins in the transaction that creates it.

A waiting worker has found nothing more to claim, so a new task need not be queued for it first: one commit instead
of two. An offer is open while its worker waits; a task that took a place is settled when its transaction has ended.
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
    """The offer of one waiting worker to begin new tasks.

    Args:
        organization_id: The organization whose tasks the worker runs.
        worker_id: The worker.
        demand: Returns the worker's free places, not counting tasks handed to it here.
    """

    def __init__(self, organization_id: str, worker_id: str, demand: Callable[[], Demand]) -> None:
        self.organization_id = organization_id
        self.worker_id = worker_id
        self.begun: list[Mapping[str, Any]] = []  # rows of tasks begun for the worker, as a claim returns them
        self.is_lost = False  # a commit was not answered: the worker may hold tasks that it does not know of
        self.changed = asyncio.Event()
        self._demand = demand
        self._taken: Counter[str | None] = Counter()  # by agent; None for agents that no handler names
        self._unsettled: dict[str, str | None] = {}  # by task

    def takes(self, item: NewRow) -> bool:
        """Reserve a place for a task, and return whether there was one."""
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
        """Record the outcome for a task that took a place: begun (with its row), not begun, or unknown (``lost``)."""
        if task_id not in self._unsettled:  # it took a place during an earlier wait
            return
        agent = self._unsettled.pop(task_id)
        self.is_lost |= lost
        if row is not None:
            self.begun.append(row)
        elif not lost:
            self._taken[agent] -= 1
        self.changed.set()

    async def settled(self) -> None:
        """Wait until the outcome of every task that took a place is known."""
        while self._unsettled:
            self.changed.clear()
            await self.changed.wait()

    @property
    def may_hold(self) -> bool:
        """Whether the worker holds, or may hold, tasks begun for it."""
        return bool(self.begun or self._unsettled or self.is_lost)


class HandOffs:
    """The open offers of one process, by worker."""

    def __init__(self) -> None:
        self._hand_offs: dict[str, HandOff] = {}

    @property
    def workers(self) -> Collection[str]:
        """The ids of workers with an open offer."""
        return self._hand_offs.keys()

    @contextmanager
    def open(self, hand_off: HandOff) -> Generator[None]:
        """Keep an offer open while the block runs."""
        self._hand_offs[hand_off.worker_id] = hand_off
        try:
            yield
        finally:
            if self._hand_offs.get(hand_off.worker_id) is hand_off:
                del self._hand_offs[hand_off.worker_id]

    def place(self, item: Item) -> Item:
        """Return the item to store: a new task is assigned to a worker that has a place for it."""
        if isinstance(item, NewRow) and item.status == "pending" and not item.queued:
            for hand_off in self._hand_offs.values():
                if hand_off.takes(item):
                    return replace(item, worker_id=hand_off.worker_id)
        return item

    def settle(self, items: Iterable[Item], begun: Sequence[Mapping[str, Any]] = (), *, lost: bool = False) -> None:
        """Notify the workers of the outcome of tasks that took their places.

        Args:
            items: The items of the transaction.
            begun: The rows of tasks that their workers have begun.
            lost: Whether the transaction was not answered, so that its outcome is unknown.
        """
        rows = {row["id"]: row for row in begun}
        for item in items:
            if isinstance(item, NewRow) and item.worker_id in self._hand_offs:
                self._hand_offs[item.worker_id].settle(item.id, rows.get(item.id), lost=lost)
