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
        hung_threads: Threads of it that go on though nobody waits for them.
        memory: Bytes that its process uses; None means it has not said.
        runs: How many runs of handlers have ended there; None means it has not said.
        recent: The tasks of the last few of them, the newest first.
        troubles: What hangs there, and what has held the event loop lately.
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
    hung_threads: int = 0
    memory: int | None = None
    runs: int | None = None
    recent: tuple[str, ...] = ()
    troubles: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class WorkerSession:
    """By what a worker over HTTP is known to be the one that registered.

    Args:
        key: The key it registered with: its id, ``SERVER_KEY``, or ``NO_KEY``.
        secret: SHA-256 of a secret that its process made; None means it speaks the bare protocol, or made none.
    """

    key: str
    secret: str | None = None


SERVER_KEY = "server key"
"""In the place of a key's id: the key of the environment (``WORKER_API_KEY``)."""

NO_KEY = "no key"
"""In the place of a key's id: a server that has never had one. No id of a key has a space."""


@dataclass(frozen=True, slots=True)
class Claimant:
    """A worker, as it is asked whether a request is its own.

    Args:
        session: None: it registered with a version that knew of none.
    """

    worker_id: str
    agents: tuple[str, ...]
    any_agent: bool
    session: WorkerSession | None


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

    async def claimant(self, worker_id: str) -> Claimant:
        """The server; who registered a worker, also one that was taken for dead. Raises: NotFound."""
        ...

    async def claimed_by(self, claims: Sequence[tuple[str, int | None]]) -> dict[tuple[str, int | None], Claimant]:
        """The server; which worker claimed an attempt (task id, attempt), or holds a task now (task id, none).

        That of an attempt never changes, and is known after its end. What no worker claimed is left out.
        """
        ...

    async def delivered_to(
        self, task_id: str, subscription_id: int | None = None, claim: int | None = None
    ) -> list[Claimant]:
        """The server; the workers that hold an event of a task now, or one delivery.

        A delivery that is settled is held by nobody, and whoever serves its subscription may settle it again: that
        changes nothing.
        """
        ...

    async def enter(self, card: WorkerCard, peer: str, stream: str, session: WorkerSession, seconds: float) -> str:
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

    async def held_deliveries(self, worker_id: str) -> list[HeldDelivery]:
        """The server; the deliveries that the worker holds."""
        ...

    async def give_back_deliveries(self, held: Sequence[HeldDelivery]) -> None:
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
