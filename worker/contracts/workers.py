"""What workers ask a platform for."""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Protocol

from worker.words.artifacts import Artifact
from worker.words.events import NewEvent
from worker.words.knowledge import DocumentPart
from worker.words.messages import ReceivedMessage
from worker.words.outcomes import HandBack, Outcome
from worker.words.providers import ProviderFailure, ProviderState
from worker.words.statuses import AgentExecutionStatus
from worker.words.tasks import NewTask, TaskRecord
from worker.words.work import (
    Assignment,
    Delivery,
    DeliveryDemand,
    Demand,
    JournalEntry,
    KeptFile,
    WorkerCard,
    WorkerWear,
)


class Work(Protocol):
    """What workers ask for. Writes of a run carry its attempt; a stale one raises LeaseLost and changes nothing."""

    async def register(self, card: WorkerCard) -> None:
        """A worker, before all else: it is listed, its agents announced, its subscriptions kept, its lease held.

        Again under the same id: what it serves has changed, and what it holds stays its own.
        From then on the platform's heartbeat renews the lease by itself until ``leave``.
        """
        ...

    @property
    def session(self) -> str | None:
        """A worker; the secret by which the platform knows what it claimed as its own. None: there is no such thing."""
        ...

    def take_over(self, session: str | None) -> None:
        """A child process; it writes for what the worker of this session has claimed."""
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
        """The owner; appends events and journal entries in one transaction. Raises: LeaseLost, TooLarge.

        A large value of the journal is stored as a file, and read back by ``journal``.
        """
        ...

    async def journal(self, task_id: str) -> dict[str, str]:
        """The owner; the journal of the task: values as JSON text by key."""
        ...

    async def messages(self, task_id: str, after: int = 0) -> list[ReceivedMessage]:
        """The owner; what was said to the task, numbered above ``after``, in order."""
        ...

    async def told(self, task_id: str, attempt: int) -> list[str]:
        """The owner; the events of the types ``TOLD_ONCE`` that earlier attempts have told, each by its ``mark``.

        What was told before the task was retried by hand, which drops the journal too, is left out.
        """
        ...

    async def keep_files(self, task_id: str, attempt: int, files: Sequence[KeptFile]) -> None:
        """The owner; what it read of the task's files, and stored by ``store_file``, is the task's for later attempts.

        What was kept of a URL first stands. Raises: LeaseLost, ValidationError, Unsupported (a platform whose
        ``capabilities.keeps_files`` is false).
        """
        ...

    async def store_document(self, task_id: str, attempt: int, part: DocumentPart) -> None:
        """The owner of a task that reads documents; stores passages of one, in one transaction.

        With the last part the document is found as it is now, and no longer as it was before. Writing the same part
        again after an answer that was lost does no harm to what is found: the part with the number 0 begins anew.
        Raises: LeaseLost, KnowledgeBaseNotFound, DocumentGone, ValidationError, Unsupported (a platform whose
        ``capabilities.knowledge`` is false).
        """
        ...

    async def finish(self, task_id: str, attempt: int, outcome: Outcome) -> None:
        """The owner; result, status, ``finished_at`` and ``task_finished`` in one transaction. Raises: LeaseLost."""
        ...

    async def hand_back(self, task_id: str, attempt: int, back: HandBack) -> None:
        """The owner; the task is pending again, charged with an error or with nothing. Raises: LeaseLost."""
        ...

    async def save_artifacts(self, task_id: str, attempt: int, artifacts: Sequence[Artifact]) -> None:
        """The owner; files that its run has made, stored by ``store_file``, are its task's, and deleted with it.

        One of a known name takes its place. Raises: LeaseLost, ValidationError (too many), FileNotStored, Unsupported.
        """
        ...

    async def make_children(self, task_id: str, attempt: int, children: Mapping[str, NewTask]) -> None:
        """The owner; makes tasks that are its task's, by their ids: those that are there already are left alone.

        The run journals the ids first, so whoever comes after it finds what it made, and makes the rest.
        Raises: LeaseLost, ValidationError (too many), Conflict (an id is another task's), Unsupported.
        """
        ...

    async def children(self, task_id: str, children: Sequence[str]) -> list[TaskRecord]:
        """The owner; some of its task's children, in no order; one that is not there is left out."""
        ...

    async def providers(self) -> list[ProviderState]:
        """A worker; the providers whose last call failed, those that tasks wait for among them; changes nothing."""
        ...

    async def provider_failed(self, failure: ProviderFailure) -> ProviderState | None:
        """A worker; counts a failed call, fleet-wide: after the third in a row tasks wait for the provider.

        Answers how it stands now; none where the platform keeps no account of providers.
        """
        ...

    async def provider_answered(self, provider_id: str) -> None:
        """A worker; its call was answered: nobody waits for the provider any more."""
        ...

    async def crashed(self, task_id: str, attempt: int, reason: str, delay: float = 0.0) -> None:
        """The owner; the process that ran the task alone died, and how: a crash is charged, and it is pending again.

        It may be claimed after ``delay`` seconds. By the third crash it ends ``failed`` instead, ``reason`` in its
        result. Raises: LeaseLost, Unsupported (the platform counts no deaths).
        """
        ...

    async def lost(self, held: Mapping[str, int]) -> dict[str, AgentExecutionStatus]:
        """A worker; which of the attempts it holds (task id → attempt) own their task no longer, and how it stands."""
        ...

    def cut_off(self, held: Mapping[str, int]) -> list[str]:
        """A worker; which of the attempts it holds (task id → attempt) may be another's by now, by its own clock alone.

        Its lease has run out since they were claimed: no renewal was answered for as long. What such a run has written
        may stand; its next ``emit`` or save raises CutOff. Whether it really was taken, ``hand_back`` tells.
        """
        ...

    def on_change(self, wake: Callable[[Collection[str]], None]) -> Callable[[], None]:
        """A worker; ``wake`` is called on the platform's loop with ids of changed tasks; returns the way to end it.

        A hint: it may come late, twice or never. What a task's own attempt changed need not be told, nor a new task.
        """
        ...

    async def deliveries(self, worker_id: str, demand: Callable[[], DeliveryDemand], seconds: float) -> list[Delivery]:
        """A registered worker; waits up to ``seconds``; the next event of as many (subscription, task) pairs as wanted.

        Each pair is leased to this worker until ``settle``. Nothing is due, or nothing is wanted: an empty list.
        """
        ...

    async def settle(self, delivery: Delivery, error: str | None = None, *, final: bool = False) -> bool:
        """The worker that holds it; the cursor moves on, or the event is tried again later and in the end set aside.

        How often is its subscription's to say; with ``final`` an error sets it aside at once.
        Returns whether the event was set aside. Raises: LeaseLost.
        """
        ...

    async def renew(self, worker_id: str) -> None:
        """A worker, or the server for a remote one: its leases hold on from now. Raises: NotFound (taken for dead)."""
        ...

    async def report(self, worker_id: str, wear: WorkerWear) -> None:
        """A worker; how worn it is, shown with it.

        Raises: NotFound. A platform that lists no workers takes no notice.
        """
        ...

    async def drain(self, worker_id: str) -> None:
        """A worker that begins to leave; it is shown as draining until it is gone, or registers again.

        Raises: NotFound. A platform that lists no workers takes no notice.
        """
        ...

    async def leave(self, worker_id: str) -> None:
        """A worker, last of all: what it still holds is pending again, uncharged, and it is listed no more."""
        ...
