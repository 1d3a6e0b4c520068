"""The verbs of workers."""

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
    """The verbs of workers. Only the run that owns a task may use those about it.

    A write with a stale attempt raises LeaseLost and changes nothing.
    """

    async def register(self, card: WorkerCard) -> None:
        """Register a worker: list it, announce its agents, store its subscriptions and start its lease.

        This is a worker's first call. Registering again under the same id updates what the worker serves, and it keeps
        what it holds. The platform's heartbeat then renews the lease automatically, until ``leave``.
        """
        ...

    @property
    def session(self) -> str | None:
        """The secret by which the platform recognizes this worker's claims. None if the platform does not use one."""
        ...

    def take_over(self, session: str | None) -> None:
        """In a child process, write on behalf of the worker that has this session."""
        ...

    async def assignments(self, worker_id: str, demand: Callable[[], Demand], seconds: float) -> list[Assignment]:
        """Claim tasks, waiting up to ``seconds`` for some. They are then executing, durably, under new attempts.

        Args:
            worker_id: The registered worker.
            demand: Returns how many tasks the worker can start, at the moment of the claim.
            seconds: The longest wait.

        Returns:
            The claimed tasks; empty if none arrived, or none are wanted.
        """
        ...

    def nudge(self) -> None:
        """Make pending calls of ``assignments`` and ``deliveries`` ask for the demand again immediately."""
        ...

    async def emit(
        self, task_id: str, attempt: int, events: Sequence[NewEvent], journal: Sequence[JournalEntry] = ()
    ) -> None:
        """Append events and journal entries in one transaction.

        A large journal value is stored as a file, and read back by ``journal``.

        Raises:
            LeaseLost: The attempt no longer owns its task.
            TooLarge: An event or value is too large.
        """
        ...

    async def journal(self, task_id: str) -> dict[str, str]:
        """Return the task's journal: values as JSON text, by key."""
        ...

    async def messages(self, task_id: str, after: int = 0) -> list[ReceivedMessage]:
        """Return the messages sent to the task with numbers above ``after``, in order."""
        ...

    async def earlier_events(self, task_id: str, attempt: int) -> list[str]:
        """Return the marks of events of the types ``EMITTED_ONCE`` that earlier attempts have logged.

        A manual retry that drops the journal drops these, too.
        """
        ...

    async def keep_files(self, task_id: str, attempt: int, files: Sequence[KeptFile]) -> None:
        """Record files fetched from the task's URLs and stored with ``store_file``, for later attempts.

        If a URL has a stored file already, that one remains.

        Raises:
            LeaseLost: The attempt no longer owns its task.
            ValidationError: A file is invalid.
            Unsupported: The platform's ``capabilities.keeps_files`` is False.
        """
        ...

    async def store_document(self, task_id: str, attempt: int, part: DocumentPart) -> None:
        """Store passages of a document in one transaction, for a task that reads documents.

        With the last part, the document is found in its new state instead of the former one. A part may be repeated if
        its answer was lost: the part with the number 0 restarts the document.

        Raises:
            LeaseLost: The attempt no longer owns its task.
            KnowledgeBaseNotFound: The knowledge base no longer exists.
            DocumentGone: The document no longer exists.
            ValidationError: The part is invalid.
            Unsupported: The platform's ``capabilities.knowledge`` is False.
        """
        ...

    async def finish(self, task_id: str, attempt: int, outcome: Outcome) -> None:
        """Store result, status, ``finished_at`` and ``task_finished`` in one transaction.

        Raises:
            LeaseLost: The attempt no longer owns its task.
        """
        ...

    async def hand_back(self, task_id: str, attempt: int, back: HandBack) -> None:
        """Make the task pending again, charged with an error or uncharged.

        Raises:
            LeaseLost: The attempt no longer owns its task.
        """
        ...

    async def save_artifacts(self, task_id: str, attempt: int, artifacts: Sequence[Artifact]) -> None:
        """Add files, stored with ``store_file``, to the task's artifacts. They are deleted with the task.

        An artifact of the same name is replaced.

        Raises:
            LeaseLost: The attempt no longer owns its task.
            ValidationError: The task has too many artifacts.
            FileNotStored: A file does not exist.
            Unsupported: The platform does not store artifacts.
        """
        ...

    async def make_children(self, task_id: str, attempt: int, children: Mapping[str, NewTask]) -> None:
        """Create children of the task under the given ids. Existing ones are left unchanged.

        The run journals the ids first, so a later attempt finds the children that exist and creates the rest.

        Raises:
            LeaseLost: The attempt no longer owns its task.
            ValidationError: There are too many children.
            Conflict: An id belongs to another task.
            Unsupported: The platform does not support children.
        """
        ...

    async def children(self, task_id: str, children: Sequence[str]) -> list[TaskRecord]:
        """Return the task's children with these ids, in no particular order. Missing ones are omitted."""
        ...

    async def providers(self) -> list[ProviderState]:
        """Return the providers whose last call failed, including those that tasks wait for."""
        ...

    async def provider_failed(self, failure: ProviderFailure) -> ProviderState | None:
        """Count a failed call of a provider, fleet-wide. After the third failure in a row, tasks wait for the provider.

        Returns:
            The provider's state; None if the platform does not keep track of providers.
        """
        ...

    async def provider_answered(self, provider_id: str) -> None:
        """Report a provider's answer: tasks stop waiting for the provider."""
        ...

    async def crashed(self, task_id: str, attempt: int, reason: str, delay: float = 0.0) -> None:
        """Charge the task with a crash, after the process that ran it alone has died, and make it pending again.

        At the third crash the task ends as ``failed`` instead.

        Args:
            task_id: The task.
            attempt: The attempt that crashed.
            reason: How the process died, for the task's result.
            delay: Seconds until the task may be claimed again.

        Raises:
            LeaseLost: The attempt no longer owns its task.
            Unsupported: The platform does not count crashes.
        """
        ...

    async def lost(self, claimed: Mapping[str, int]) -> dict[str, AgentExecutionStatus]:
        """Return the attempts in ``claimed`` (task id → attempt) that have lost their task, with the task's status."""
        ...

    def cut_off(self, claimed: Mapping[str, int]) -> list[str]:
        """Return the attempts in ``claimed`` (task id → attempt) that others may own by now, by the worker's own clock.

        The worker's lease has expired since they were claimed, because no renewal was answered. Writes of such a run
        may have been stored; its next ``emit`` or save raises CutOff. ``hand_back`` shows whether the task really was
        taken over.
        """
        ...

    def on_change(self, wake: Callable[[Collection[str]], None]) -> Callable[[], None]:
        """Call ``wake`` on the platform's loop with the ids of changed tasks. Return a function that stops this.

        Calls are hints: they may be late, repeated or missing. Changes by a task's own attempt, and new tasks, may be
        left out.
        """
        ...

    async def deliveries(self, worker_id: str, demand: Callable[[], DeliveryDemand], seconds: float) -> list[Delivery]:
        """Claim the next event of as many (subscription, task) pairs as wanted, waiting up to ``seconds`` for some.

        Each pair is leased to this worker until ``settle``.

        Args:
            worker_id: The registered worker.
            demand: Returns how many deliveries the worker can take, at the moment of the claim.
            seconds: The longest wait.

        Returns:
            The claimed deliveries; empty if none are due, or none are wanted.
        """
        ...

    async def settle(self, delivery: Delivery, error: str | None = None, *, final: bool = False) -> bool:
        """Advance the cursor past a handled event. After an error, schedule another try or set the event aside.

        The subscription decides on the number of tries.

        Args:
            delivery: The delivery, which the caller holds.
            error: Why it failed; None if it was handled.
            final: Set the event aside after this error, without another try.

        Returns:
            Whether the event was set aside.

        Raises:
            LeaseLost: Another worker holds the delivery.
        """
        ...

    async def renew(self, worker_id: str) -> None:
        """Renew the worker's leases. For a remote worker, the server calls this.

        Raises:
            NotFound: The worker was declared dead.
        """
        ...

    async def report(self, worker_id: str, wear: WorkerWear) -> None:
        """Report the worker's wear, to be shown with it. Platforms that do not list workers ignore it.

        Raises:
            NotFound: There is no such worker.
        """
        ...

    async def drain(self, worker_id: str) -> None:
        """Mark the worker as draining until it leaves or registers again. Platforms that list no workers ignore it.

        Raises:
            NotFound: There is no such worker.
        """
        ...

    async def leave(self, worker_id: str) -> None:
        """Remove the worker from the list; its last call. Tasks that it still holds are pending again, uncharged."""
        ...
