"""What the HTTP server asks about workers that reach it over HTTP."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple, Protocol

from worker.words.work import Delivery, WorkerCard


@dataclass(frozen=True, slots=True)
class WorkerState:
    """A worker as the platform sees it.

    Args:
        is_busy: It said itself that it takes nothing more now.
        bare: It speaks the platform's public protocol alone, and sends no attempts.
        remote: Its lease is its only sign of life.
        running: How many tasks it holds.
        heard_at: When it last gave a sign of life.
        is_draining: It said that it leaves: it finishes what it runs, or hands it back, and takes nothing more.
    """

    id: str
    name: str
    agents: tuple[str, ...]
    any_agent: bool
    concurrency: int
    is_busy: bool
    bare: bool
    remote: bool
    running: int
    started_at: datetime
    lease_until: datetime
    gone_at: datetime | None = None
    heard_at: datetime | None = None
    is_draining: bool = False


class HeldTask(NamedTuple):
    """A task that a worker holds, and whether it has said that it began."""

    task_id: str
    attempt: int
    begun: bool


class HeldDelivery(NamedTuple):
    """A delivery that is leased to a worker."""

    subscription_id: int
    task_id: str
    claim: int

    @classmethod
    def of(cls, delivery: Delivery) -> "HeldDelivery":
        """The lease of a delivery."""
        return cls(delivery.subscription_id, delivery.event.task_id, delivery.claim)


class Presence(Protocol):
    """What the server asks about workers that reach it over HTTP, for one organization."""

    async def workers(self) -> list[WorkerState]:
        """Anyone; all workers that are here."""
        ...

    async def worker(self, worker_id: str) -> WorkerState:
        """Anyone; one worker, also one that was taken for dead. Raises: NotFound."""
        ...

    async def free(self, worker_id: str) -> bool:
        """The server; whether no worker of any organization has this id."""
        ...

    async def enter(self, card: WorkerCard, peer: str, stream: str, seconds: float) -> str:
        """The server; registers a bare worker and answers its id: the one it had, if it came back within 60 s.

        That it is the same process shows in heartbeats of its id, which are waited for so many seconds. A new process
        at the same address gets an id of its own: the tasks of the one before it are given away in time.
        """
        ...

    async def touch(self, worker_id: str, stream: str) -> bool:
        """The server, while the stream is open; holds the lease; false once a newer stream has replaced it."""
        ...

    async def drop(self, worker_id: str, stream: str) -> None:
        """The server, when the stream has ended; what was not begun or not settled is there again, uncharged."""
        ...

    async def heard(self, worker_id: str) -> None:
        """A bare worker's heartbeat; holds its lease. Raises: NotFound."""
        ...

    async def busy(self, worker_id: str, *, is_busy: bool) -> None:
        """A bare worker; nothing is claimed for it while it is busy. Raises: NotFound."""
        ...

    async def held(self, worker_id: str) -> list[HeldTask]:
        """The server; what the worker holds."""
        ...

    async def end_refused(self, task_id: str, reason: str) -> bool:
        """The server; ends a task as ``error`` whose last word it refused, if whoever runs it sends no attempt.

        Such a worker drops a refused answer and goes on; the task would stay executing. Whether it was one.
        """
        ...

    async def give_back(self, held: Sequence[HeldTask]) -> None:
        """The server; tasks that never reached the worker are pending again, uncharged."""
        ...

    async def mail(self, worker_id: str) -> list[HeldDelivery]:
        """The server; the deliveries that the worker holds."""
        ...

    async def give_back_mail(self, held: Sequence[HeldDelivery]) -> None:
        """The server; deliveries that never reached the worker are due again, no try charged."""
        ...

    def seen(self) -> dict[str, int]:
        """The server; marks of the hints ``work`` and ``deliveries`` so far."""
        ...

    async def hint(self, name: str, seen: int, seconds: float) -> bool:
        """The server; waits for a hint newer than a mark; whether one came in time."""
        ...

    async def pending(self, agent_id: str, limit: int) -> int:
        """The server; how many tasks of the agent wait, counted up to a limit."""
        ...
