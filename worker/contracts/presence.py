"""The server's view of workers that are connected over HTTP."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple, Protocol

from worker.words.work import Delivery, WorkerCard


@dataclass(frozen=True, slots=True)
class WorkerState:
    """A worker as the platform sees it.

    Args:
        is_busy: Whether it has reported that it accepts no more tasks now.
        bare: Whether it speaks only the platform's public protocol, and sends no attempts.
        remote: Whether its lease is its only sign of life.
        running: Number of tasks that it holds.
        heard_at: When it last gave a sign of life.
        is_draining: Whether it is draining: it finishes or hands back its tasks, and claims no more.
        hung_threads: Number of its threads that still run though no caller waits for them.
        memory: Memory use of its process in bytes; None means that it has not reported any.
        runs: Number of handler runs that have ended there; None means that it has not reported any.
        recent: The tasks of its last few runs, newest first.
        troubles: Descriptions of what hangs there, and of what has recently blocked its event loop.
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
    """The identity by which a worker over HTTP is recognized as the one that registered.

    Args:
        key: The id of the key that it registered with, ``SERVER_KEY``, or ``NO_KEY``.
        secret: SHA-256 of a secret of its process; None for a worker that speaks the bare protocol or sent no secret.
    """

    key: str
    secret: str | None = None


SERVER_KEY = "server key"
"""Stands for the environment's key (``WORKER_API_KEY``) in place of a key's id."""

NO_KEY = "no key"
"""Stands for a server without keys in place of a key's id. Ids of keys contain no spaces."""


@dataclass(frozen=True, slots=True)
class Claimant:
    """A worker, for the check whether a request comes from it.

    Args:
        session: Its session; None for one that registered with a version without sessions.
    """

    worker_id: str
    agents: tuple[str, ...]
    any_agent: bool
    session: WorkerSession | None


class ClaimedTask(NamedTuple):
    """A task that a worker holds, and whether the worker has reported its start."""

    task_id: str
    attempt: int
    begun: bool


class ClaimedDelivery(NamedTuple):
    """A delivery that is leased to a worker."""

    subscription_id: int
    task_id: str
    claim: int

    @classmethod
    def of(cls, delivery: Delivery) -> "ClaimedDelivery":
        """Return the lease of a delivery."""
        return cls(delivery.subscription_id, delivery.event.task_id, delivery.claim)


class Presence(Protocol):
    """The verbs about workers that are connected over HTTP, of one organization. The server is the caller."""

    async def workers(self) -> list[WorkerState]:
        """Return all live workers."""
        ...

    async def worker(self, worker_id: str) -> WorkerState:
        """Return a worker, even if it was declared dead.

        Raises:
            NotFound: There is no such worker.
        """
        ...

    async def claimant(self, worker_id: str) -> Claimant:
        """Return the registration of a worker, even if it was declared dead.

        Raises:
            NotFound: There is no such worker.
        """
        ...

    async def claimed_by(self, claims: Sequence[tuple[str, int | None]]) -> dict[tuple[str, int | None], Claimant]:
        """Return the worker that claimed an attempt (task id, attempt), or that holds a task now (task id, None).

        An attempt's claimant never changes, and remains known after its end. Tasks without a claimant are omitted.
        """
        ...

    async def delivered_to(
        self, task_id: str, subscription_id: int | None = None, claim: int | None = None
    ) -> list[Claimant]:
        """Return the workers that hold an event of a task now, or a particular delivery.

        A settled delivery is held by no worker. Any worker that serves its subscription may settle it again, without
        effect.
        """
        ...

    async def enter(self, card: WorkerCard, peer: str, stream: str, session: WorkerSession, seconds: float) -> str:
        """Register a bare worker and return its id, which is its former one if it returns within 60 seconds.

        Heartbeats of the former id, awaited for ``seconds``, show that it is the same process. A new process at the
        same address gets a new id, and the tasks of the former process are released once its lease expires.
        """
        ...

    async def touch(self, worker_id: str, stream: str) -> bool:
        """Renew the lease of a worker whose stream is open. Return False once a newer stream has replaced this one."""
        ...

    async def drop(self, worker_id: str, stream: str) -> None:
        """Release what a worker has neither begun nor settled, uncharged, after its stream has ended."""
        ...

    async def record_heartbeat(self, worker_id: str) -> None:
        """Renew the lease of a bare worker that has sent a heartbeat.

        Raises:
            NotFound: There is no such worker.
        """
        ...

    async def busy(self, worker_id: str, *, is_busy: bool) -> None:
        """Set whether a bare worker is busy. Nothing is claimed for a busy worker.

        Raises:
            NotFound: There is no such worker.
        """
        ...

    async def claimed(self, worker_id: str) -> list[ClaimedTask]:
        """Return the tasks that a worker holds."""
        ...

    async def end_refused(self, task_id: str, reason: str) -> bool:
        """End a task as ``error`` after its final write was refused, if the worker that runs it sends no attempts.

        Such a worker drops a refused result and continues, so the task would stay ``executing``.

        Returns:
            Whether the task was ended.
        """
        ...

    async def give_back(self, claimed: Sequence[ClaimedTask]) -> None:
        """Make tasks that never reached the worker pending again, uncharged."""
        ...

    async def claimed_deliveries(self, worker_id: str) -> list[ClaimedDelivery]:
        """Return the deliveries that a worker holds."""
        ...

    async def give_back_deliveries(self, claimed: Sequence[ClaimedDelivery]) -> None:
        """Make deliveries that never reached the worker due again, without counting a try."""
        ...

    def seen(self) -> dict[str, int]:
        """Return the current marks of the hints ``work`` and ``deliveries``."""
        ...

    async def hint(self, name: str, seen: int, seconds: float) -> bool:
        """Wait for a hint newer than a mark, and return whether one arrived in time.

        Args:
            name: The hint: ``work`` or ``deliveries``.
            seen: The mark, from ``seen()``.
            seconds: The longest wait.
        """
        ...

    async def pending(self, agent_id: str, limit: int) -> int:
        """Return the number of an agent's pending tasks, counted up to a limit."""
        ...
