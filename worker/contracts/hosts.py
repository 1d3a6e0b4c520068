"""What the HTTP server stands on: a platform as the host of every organization."""

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

    async def surplus(self, days: int) -> Removed:
        """Operator; what ``clean`` would remove now; changes nothing."""
        ...

    def clean(self, days: int) -> AsyncGenerator[Removed]:
        """Operator; removes tasks finished longer ago, whole, and journals and files that nobody needs any more.

        Batch by batch, each durable when it is yielded; nothing that is live is locked or changed. 0 days: no tasks.
        """
        ...


class HostedWork(Work, Protocol):
    """The verbs of workers, as the server passes them on.

    Writes of a run may carry a ``sequence``, greater than that of every write of the run before. One that was carried
    out is not carried out again, whichever server process it reaches: its answer was lost, and it is answered anew.
    """

    async def register(self, card: WorkerCard, *, session: WorkerSession | None = None) -> None:
        """The server; with a session: that worker's lease is its only sign of life, and ``renew`` alone holds it.

        Raises: Conflict (a worker of another session, or of another organization, has this id).
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
        """The server; as ``Work.emit``."""
        ...

    async def entries(self, task_id: str) -> list[JournalEntry]:
        """The server; the journal as it is stored: large values are references, which the worker opens itself."""
        ...

    async def finish(self, task_id: str, attempt: int, outcome: Outcome, *, sequence: int | None = None) -> None:
        """The server; as ``Work.finish``."""
        ...

    async def hand_back(self, task_id: str, attempt: int, back: HandBack, *, sequence: int | None = None) -> None:
        """The server; as ``Work.hand_back``."""
        ...

    async def provider_failed(self, failure: ProviderFailure) -> ProviderState:
        """The server; as ``Work.provider_failed``."""
        ...

    async def crashed(
        self, task_id: str, attempt: int, reason: str, delay: float = 0.0, *, sequence: int | None = None
    ) -> None:
        """The server; as ``Work.crashed``."""
        ...


class NamedTasks(Tasks, Protocol):
    """The verbs of clients, as the server passes them on."""

    async def update(
        self,
        task_id: str,
        changes: Mapping[str, Any],
        *,
        attempt: int | None = None,
        origin: str | None = None,
        sequence: int | None = None,
    ) -> TaskRecord:
        """The server; as ``Tasks.update``. A run's carries a ``sequence``, as its other writes do."""
        ...

    async def create(self, new: NewTask, *, under: str | None = None, key: str | None = None) -> TaskRecord:
        """The server; ``under`` is the id of a task that does not exist yet. Raises: Conflict (it does)."""
        ...

    def events(self, task_id: str, *, after: int = 0, follow: bool = True) -> AsyncGenerator[TaskUpdateEvent]:
        """The server; as ``Tasks.events``, and it can be closed before its end."""
        ...


class Organization(Protocol):
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
    def work(self) -> HostedWork:
        """The verbs of workers."""
        ...

    @property
    def deliveries(self) -> Deliveries:
        """Deliveries that failed."""
        ...

    @property
    def knowledge(self) -> NamedKnowledge:
        """The verbs of knowledge bases."""
        ...

    async def stats(self) -> Stats:
        """Operator; how its unfinished work stands, counted by index; changes nothing."""
        ...

    @property
    def uploads(self) -> Uploads:
        """Which of its stored files a key of certain agents reaches."""
        ...

    @property
    def audit(self) -> Audit:
        """Its audit log, to be written to."""
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

    @property
    def sessions(self) -> Sessions:
        """Who has signed in to the server's pages."""
        ...

    def organization(self, organization_id: str) -> Organization:
        """The verbs of one organization; connections are shared by all."""
        ...

    def guard(self) -> None:
        """Look for dead workers from now on."""
        ...

    async def end_silent(self) -> int:
        """End tasks whose outside holder has said nothing for an hour; how many that were."""
        ...

    async def hung_threads(self) -> dict[str, int]:
        """How many threads hang in which workers that are here, of every organization. Raises: Unavailable."""
        ...

    async def open(self) -> None:
        """Connect. Raises: Unavailable, ConfigurationError."""
        ...

    async def close(self) -> None:
        """Let go of every connection; idempotent."""
        ...
