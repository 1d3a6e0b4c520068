"""The platform below the HTTP server: a host of every organization."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any, Protocol

from worker.contracts.audit import Audit
from worker.contracts.clients import Tasks
from worker.contracts.deliveries import Deliveries
from worker.contracts.keys import Keys
from worker.contracts.knowledge import NamedKnowledge
from worker.contracts.platforms import Capabilities
from worker.contracts.presence import Presence, WorkerSession
from worker.contracts.sessions import Sessions
from worker.contracts.stats import Stats
from worker.contracts.uploads import Uploads
from worker.contracts.workers import Work
from worker.words.events import NewEvent, TaskUpdateEvent
from worker.words.outcomes import HandBack, Outcome
from worker.words.providers import ProviderFailure, ProviderState
from worker.words.tasks import NewTask, TaskRecord
from worker.words.upkeep import Removed
from worker.words.work import JournalEntry, WorkerCard


class Admin(Protocol):
    """The verbs of operators that only the Engine has, for commands that maintain it."""

    @property
    def keys(self) -> Keys:
        """The keys of the HTTP server."""
        ...

    async def migrate(self) -> list[str]:
        """Apply pending migrations under an advisory lock, and return their names."""
        ...

    async def pending_migrations(self) -> list[str]:
        """Return the names of the migrations that ``migrate`` would apply."""
        ...

    async def count_removable(self, days: int) -> Removed:
        """Return what ``clean`` would remove now."""
        ...

    def clean(self, days: int) -> AsyncGenerator[Removed]:
        """Remove tasks that finished more than ``days`` days ago, and journals and files that are no longer needed.

        Yields each batch after it is committed. Live tasks are neither locked nor changed. With 0 days, no tasks are
        removed.
        """
        ...


class HostedWork(Work, Protocol):
    """The verbs of workers, as the server calls them.

    A run's writes may carry a ``sequence``, which grows with every write of the run. A write that was already carried
    out is not repeated, whichever server process it reaches: its answer was lost, and is sent again.
    """

    async def register(self, card: WorkerCard, *, session: WorkerSession | None = None) -> None:
        """Register a worker, as ``Work.register`` does.

        Args:
            card: The worker.
            session: Its session. With one, the lease is the worker's only sign of life, and only ``renew`` extends it.

        Raises:
            Conflict: A worker of another session or organization has this id.
        """
        ...

    async def emit(
        self,
        task_id: str,
        attempt: int,
        events: Sequence[NewEvent],
        journal: Sequence[JournalEntry] = (),
        *,
        sequence: int | None = None,
    ) -> None:
        """See ``Work.emit``."""
        ...

    async def entries(self, task_id: str) -> list[JournalEntry]:
        """Return the journal as stored. Large values are references, which the worker opens itself."""
        ...

    async def finish(self, task_id: str, attempt: int, outcome: Outcome, *, sequence: int | None = None) -> None:
        """See ``Work.finish``."""
        ...

    async def hand_back(self, task_id: str, attempt: int, back: HandBack, *, sequence: int | None = None) -> None:
        """See ``Work.hand_back``."""
        ...

    async def provider_failed(self, failure: ProviderFailure) -> ProviderState:
        """See ``Work.provider_failed``."""
        ...

    async def crashed(
        self, task_id: str, attempt: int, reason: str, delay: float = 0.0, *, sequence: int | None = None
    ) -> None:
        """See ``Work.crashed``."""
        ...


class NamedTasks(Tasks, Protocol):
    """The verbs of clients, as the server calls them."""

    async def update(
        self,
        task_id: str,
        changes: Mapping[str, Any],
        *,
        attempt: int | None = None,
        origin: str | None = None,
        sequence: int | None = None,
    ) -> TaskRecord:
        """See ``Tasks.update``. A run's update carries a ``sequence``, like its other writes."""
        ...

    async def create(self, new: NewTask, *, under: str | None = None, key: str | None = None) -> TaskRecord:
        """Create a task, as ``Tasks.create`` does, optionally under a given id.

        Args:
            new: The task.
            under: The id of a task that does not exist yet.
            key: The Idempotency-Key.

        Raises:
            Conflict: The task exists.
        """
        ...

    def events(self, task_id: str, *, after: int = 0, follow: bool = True) -> AsyncGenerator[TaskUpdateEvent]:
        """See ``Tasks.events``. The generator can be closed before its end."""
        ...


class Organization(Protocol):
    """A platform as one organization sees it."""

    @property
    def organization_id(self) -> str:
        """The organization's id."""
        ...

    @property
    def tasks(self) -> NamedTasks:
        """The verbs of clients."""
        ...

    @property
    def work(self) -> HostedWork:
        """The verbs of workers."""
        ...

    @property
    def deliveries(self) -> Deliveries:
        """The verbs of failed deliveries."""
        ...

    @property
    def knowledge(self) -> NamedKnowledge:
        """The verbs of knowledge bases."""
        ...

    async def stats(self) -> Stats:
        """Return statistics of unfinished work. The cost does not depend on the number of finished tasks."""
        ...

    @property
    def uploads(self) -> Uploads:
        """Which of the stored files a key of certain agents reaches."""
        ...

    @property
    def audit(self) -> Audit:
        """The audit log, for the server's own entries."""
        ...

    @property
    def presence(self) -> Presence:
        """The workers that are connected over HTTP."""
        ...


class Host(Admin, Protocol):
    """The platform below the HTTP server, with every organization. Only the Engine implements it."""

    @property
    def organization_id(self) -> str:
        """The default organization."""
        ...

    @property
    def description(self) -> str:
        """Where the platform is, for people; contains no secrets."""
        ...

    @property
    def capabilities(self) -> Capabilities:
        """What the platform can do."""
        ...

    @property
    def sessions(self) -> Sessions:
        """Sign-in sessions of the server's pages."""
        ...

    def organization(self, organization_id: str) -> Organization:
        """Return the verbs of one organization. All organizations share connections."""
        ...

    def guard(self) -> None:
        """Start to watch for dead workers."""
        ...

    async def end_silent(self) -> int:
        """End tasks whose outside holder has not been heard from for an hour, and return their number."""
        ...

    async def hung_threads(self) -> dict[str, int]:
        """Return the number of hung threads in each live worker, of every organization.

        Raises:
            Unavailable: The database is unavailable.
        """
        ...

    async def open(self) -> None:
        """Connect.

        Raises:
            Unavailable: The database cannot be reached.
            ConfigurationError: The configuration is invalid.
        """
        ...

    async def close(self) -> None:
        """Close all connections. Idempotent."""
        ...
