"""The protocols that everything above the platforms talks to: one sentence a verb.

Two implementations obey them: the Engine (PostgreSQL) and Remote (HTTP). One behavioural suite, ``tests/contract``,
runs the same sentences against both.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple, Protocol

from worker.words.activity import AgentActivityThread
from worker.words.agents import AgentRecord
from worker.words.events import NewEvent, TaskUpdateEvent
from worker.words.outcomes import HandBack, Outcome
from worker.words.statuses import AgentExecutionStatus
from worker.words.tasks import NewTask, TaskItem, TaskQuery, TaskRecord
from worker.words.work import Assignment, Delivery, Demand, JournalEntry, StoredFile, WorkerCard


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a platform can do; what it cannot is refused by name, never faked.

    Args:
        fencing: A stale attempt's write is refused.
        resume: Journals are kept, so a retry does not repeat completed calls.
        deliveries: ``exact`` (at least once across the fleet, in order) or ``best effort``.
    """

    fencing: bool = True
    resume: bool = True
    deliveries: str = "exact"


class Tasks(Protocol):
    """What clients ask for. Every verb sees its own organization alone; another's task is not found."""

    async def create(self, new: NewTask) -> TaskRecord:
        """Anyone; stores a pending task and ``task_created``; durable on return; a known id runs a finished task again.

        Raises: NotFound (``id`` unknown where the platform makes ids), Conflict (that task is not finished),
        ValidationError.
        """
        ...

    async def get(self, task_id: str) -> TaskRecord:
        """Anyone; changes nothing. Raises: TaskNotFound."""
        ...

    async def find(self, query: TaskQuery) -> list[TaskItem]:
        """Anyone; newest first, at most ``query.limit``, after ``query.before``; changes nothing."""
        ...

    async def update(
        self, task_id: str, changes: Mapping[str, Any], *, attempt: int | None = None, origin: str | None = None
    ) -> TaskRecord:
        """Anyone without an attempt, the owner with one; stores the changed fields and ``task_updated``.

        Without an attempt: ``pending`` is ignored, ``executing`` takes a pending task out of the queue for an outside
        holder, a terminal status ends the task and fences its run; on a terminal task the first terminal status wins
        and only ``internal_status`` changes. ``origin`` is the delivery handler that saves: it gets no delivery of it.
        Raises: TaskNotFound, LeaseLost, ValidationError.
        """
        ...

    async def stop(self, task_id: str) -> TaskRecord:
        """Anyone; a task that is not terminal ends ``stopped`` and its run is fenced; a terminal one is unchanged.

        Raises: TaskNotFound.
        """
        ...

    async def retry(self, task_id: str) -> TaskRecord:
        """Anyone; a terminal or paused task is pending again, journal dropped. Raises: TaskNotFound, Conflict."""
        ...

    def events(self, task_id: str, *, after: int = 0, follow: bool = True) -> AsyncIterator[TaskUpdateEvent]:
        """Anyone; every event numbered above ``after``, in order, without a gap; changes nothing.

        With ``follow`` it waits for more and ends when the task is terminal and its last event was seen.
        Raises: TaskNotFound.
        """
        ...

    async def push(self, task_id: str, events: Sequence[NewEvent], *, attempt: int | None = None) -> None:
        """Anyone; appends events to a task that is not terminal. Raises: TaskNotFound, Conflict, LeaseLost."""
        ...

    async def activity(self, task_id: str) -> AgentActivityThread:
        """Anyone; the activity log, composed from the events. Raises: TaskNotFound."""
        ...

    async def store_file(self, name: str, media_type: str, content: bytes) -> str:
        """Anyone; stores a file under its digest, once however often it comes, and answers its reference.

        Raises: TooLarge, ValidationError (empty).
        """
        ...

    async def open_file(self, reference: str) -> StoredFile:
        """Anyone; a stored file. Raises: FileNotStored."""
        ...

    async def get_agent(self, agent_id: str) -> AgentRecord:
        """Anyone; an agent that was made or that a worker announced. Raises: AgentNotFound."""
        ...

    async def list_agents(self) -> list[AgentRecord]:
        """Anyone; all agents, by name."""
        ...

    async def save_agent(self, agent: AgentRecord) -> AgentRecord:
        """Anyone; makes an agent, or changes it under the next version."""
        ...


class Work(Protocol):
    """What workers ask for. Writes of a run carry its attempt; a stale one raises LeaseLost and changes nothing."""

    async def register(self, card: WorkerCard) -> None:
        """A worker, once, before all else: it is listed, its agents announced, its subscriptions kept, its lease held.

        From then on the platform's pulse renews the lease by itself until ``leave``.
        """
        ...

    async def assignments(self, worker_id: str, demand: Callable[[], Demand], seconds: float) -> list[Assignment]:
        """A registered worker; waits up to ``seconds`` for tasks and claims at most what ``demand()`` says then.

        What is returned is executing, under a new attempt, durably. Nothing came, or no demand: an empty list.
        """
        ...

    def nudge(self) -> None:
        """A worker; has its ``assignments`` and ``deliveries`` ask for the demand again at once."""
        ...

    async def emit(
        self, task_id: str, attempt: int, events: Sequence[NewEvent], journal: Sequence[JournalEntry] = ()
    ) -> None:
        """The owner; appends events and journal entries in one transaction. Raises: LeaseLost."""
        ...

    async def journal(self, task_id: str) -> dict[str, str]:
        """The owner; the journal of the task: values as JSON text by key."""
        ...

    async def finish(self, task_id: str, attempt: int, outcome: Outcome) -> None:
        """The owner; result, status, ``finished_at`` and ``task_finished`` in one transaction. Raises: LeaseLost."""
        ...

    async def hand_back(self, task_id: str, attempt: int, back: HandBack) -> None:
        """The owner; the task is pending again, charged with an error or with nothing. Raises: LeaseLost."""
        ...

    async def lost(self, held: Mapping[str, int]) -> dict[str, AgentExecutionStatus]:
        """A worker; which of the attempts it holds (task id → attempt) own their task no longer, and how it stands."""
        ...

    def on_change(self, wake: Callable[[Collection[str]], None]) -> Callable[[], None]:
        """A worker; ``wake`` is called on the platform's loop with ids of changed tasks; returns the way to end it.

        A hint: it may come late, twice or never.
        """
        ...

    async def deliveries(self, worker_id: str, limit: Callable[[], int], seconds: float) -> list[Delivery]:
        """A registered worker; waits up to ``seconds``; the next event of ``limit()`` (subscription, task) pairs.

        Each pair is leased to this worker until ``settle``. Nothing is due, or the limit is 0: an empty list.
        """
        ...

    async def settle(self, delivery: Delivery, error: str | None = None) -> bool:
        """The worker that holds it; the cursor moves on, or the event is tried again later and in the end set aside.

        Returns whether the event was set aside. Raises: LeaseLost.
        """
        ...

    async def renew(self, worker_id: str) -> None:
        """A worker, or the server for a remote one: its leases hold on from now. Raises: NotFound (taken for dead)."""
        ...

    async def leave(self, worker_id: str) -> None:
        """A worker, last of all: what it still holds is pending again, uncharged, and it is listed no more."""
        ...


@dataclass(frozen=True, slots=True)
class Key:
    """A key of the HTTP server, without the key itself.

    Args:
        agents: The agents it reaches; none: every one of its organization.
    """

    id: str
    organization_id: str
    name: str
    agents: tuple[str, ...] | None
    created_at: datetime
    expires_at: datetime | None = None
    revoked_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class WorkerState:
    """A worker as the platform sees it.

    Args:
        is_busy: It said itself that it takes nothing more now.
        bare: It speaks the platform's public protocol alone, and sends no attempts.
        remote: Its lease is its only sign of life.
        running: How many tasks it holds.
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


class HeldTask(NamedTuple):
    """A task that a worker holds, and whether it has said that it began."""

    task_id: str
    attempt: int
    begun: bool


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

    async def enter(self, card: WorkerCard, peer: str, stream: str) -> str:
        """The server; registers a bare worker and answers its id: the one it had, if it came back within 60 s."""
        ...

    async def touch(self, worker_id: str, stream: str) -> bool:
        """The server, while the stream is open; holds the lease; false once a newer stream has replaced it."""
        ...

    async def drop(self, worker_id: str, stream: str) -> None:
        """The server, when the stream has ended; what was not begun is pending again, uncharged."""
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

    async def give_back(self, held: Sequence[HeldTask]) -> None:
        """The server; tasks that never reached the worker are pending again, uncharged."""
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


class Keys(Protocol):
    """What the server keeps beside the tasks, for all organizations."""

    async def create(
        self, organization_id: str, *, name: str = "", agents: Sequence[str] = (), seconds: float | None = None
    ) -> tuple[str, Key]:
        """Operator; makes a key and answers it, this once. ``seconds``: its life. Raises: ValidationError."""
        ...

    async def list(self, organization_id: str | None = None) -> list[Key]:
        """Operator; all keys, the expired and revoked too."""
        ...

    async def revoke(self, key_id: str) -> Key:
        """Operator; the key opens nothing any more. Raises: NotFound."""
        ...

    async def find(self, text: str) -> Key | None:
        """The server; the key that this text is, if it opens anything now."""
        ...

    async def exist(self) -> bool:
        """The server; whether any key opens anything now."""
        ...

    async def secret(self, name: str) -> bytes:
        """The server; a secret of its own, the same in every process."""
        ...

    async def reserve(self, organization_id: str, key: str, digest: str, task_id: str) -> tuple[str, bool]:
        """The server; the task of an Idempotency-Key, and whether it was unknown before. Raises: Conflict."""
        ...

    async def release(self, organization_id: str, key: str, task_id: str) -> None:
        """The server; gives up the key of a create that failed."""
        ...


class Admin(Protocol):
    """What only the Engine can do, for commands that look after it."""

    @property
    def keys(self) -> Keys:
        """Keys of the HTTP server."""
        ...

    async def migrate(self) -> list[str]:
        """Operator; brings the schema up to date under an advisory lock; the names of what was applied."""
        ...

    async def pending_migrations(self) -> list[str]:
        """Anyone; the names of what ``migrate`` would apply; changes nothing."""
        ...


class RemoteWork(Work, Protocol):
    """The verbs of workers, as the server passes them on."""

    async def register(self, card: WorkerCard, *, remote: bool = False) -> None:
        """The server; a ``remote`` worker's lease is its only sign of life, and ``renew`` alone holds it."""
        ...


class NamedTasks(Tasks, Protocol):
    """The verbs of clients, as the server passes them on."""

    async def create(self, new: NewTask, *, under: str | None = None) -> TaskRecord:
        """The server; ``under`` is the id of a task that does not exist yet. Raises: Conflict (it does)."""
        ...

    def events(self, task_id: str, *, after: int = 0, follow: bool = True) -> AsyncGenerator[TaskUpdateEvent]:
        """The server; as ``Tasks.events``, and it can be closed before its end."""
        ...


class Room(Protocol):
    """A platform as one organization sees it."""

    @property
    def organization_id(self) -> str:
        """Whose."""
        ...

    @property
    def tasks(self) -> NamedTasks:
        """The verbs of clients."""
        ...

    @property
    def work(self) -> RemoteWork:
        """The verbs of workers."""
        ...

    @property
    def presence(self) -> Presence:
        """Workers that reach it over HTTP."""
        ...


class Host(Admin, Protocol):
    """What the HTTP server stands on: every organization of a platform. The Engine alone is one."""

    @property
    def organization_id(self) -> str:
        """The organization where nobody names another."""
        ...

    @property
    def description(self) -> str:
        """Where it is, for people; no secret in it."""
        ...

    @property
    def capabilities(self) -> Capabilities:
        """What it can do."""
        ...

    def room(self, organization_id: str) -> Room:
        """The verbs of one organization; connections are shared by all."""
        ...

    def guard(self) -> None:
        """Look for dead workers from now on."""
        ...

    async def end_silent(self) -> int:
        """End tasks whose outside holder has said nothing for an hour; how many that were."""
        ...

    async def open(self) -> None:
        """Connect. Raises: Unavailable, ConfigurationError."""
        ...

    async def close(self) -> None:
        """Let go of every connection; idempotent."""
        ...


class Platform(Protocol):
    """A place where tasks live."""

    @property
    def tasks(self) -> Tasks:
        """The verbs of clients."""
        ...

    @property
    def work(self) -> Work:
        """The verbs of workers."""
        ...

    @property
    def capabilities(self) -> Capabilities:
        """What it can do."""
        ...

    @property
    def description(self) -> str:
        """Where it is, for people; no secret in it."""
        ...

    async def open(self) -> None:
        """Connect. Raises: Unavailable, ConfigurationError."""
        ...

    async def close(self) -> None:
        """Let go of every connection; idempotent."""
        ...
