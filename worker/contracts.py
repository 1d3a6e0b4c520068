"""The protocols that everything above the platforms talks to: one sentence a verb.

Two implementations obey them: the Engine (PostgreSQL) and Remote (HTTP). One behavioural suite, ``tests/contract``,
runs the same sentences against both.
"""

from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

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


class Admin(Protocol):
    """What only the Engine can do, for commands that look after it."""

    async def migrate(self) -> list[str]:
        """Operator; brings the schema up to date under an advisory lock; the names of what was applied."""
        ...

    async def pending_migrations(self) -> list[str]:
        """Anyone; the names of what ``migrate`` would apply; changes nothing."""
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
