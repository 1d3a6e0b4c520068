"""The verbs of workers over HTTP, native or bare; the first verb finds out which protocol the platform speaks."""

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from worker.contracts.waiting import STREAMS, until_done
from worker.remote.bare.work import BareWork
from worker.remote.clients.dialect import Dialect
from worker.remote.clients.tasks import RemoteTasks
from worker.remote.flags import DELIVERIES, NUDGE, WORK, Flags
from worker.remote.http.heartbeats import Heartbeats
from worker.remote.http.refusals import KeyRefused
from worker.remote.http.transport import Transport
from worker.remote.native.work import NativeWork
from worker.remote.timings import RemoteTimings
from worker.words.artifacts import Artifact
from worker.words.errors import ConfigurationError, ValidationError
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


class RemoteWork:
    """The verbs of workers over HTTP."""

    def __init__(self, transport: Transport, dialect: Dialect, tasks: RemoteTasks, timings: RemoteTimings) -> None:
        self._transport = transport
        self._timings = timings
        self._dialect = dialect
        self._tasks = tasks
        tasks.save_of_a_run = self._save
        self._flags = Flags()
        self._heartbeats = Heartbeats(transport.headers, timings.heartbeat)
        self._side: NativeWork | BareWork | None = None
        self._registering: asyncio.Task[None] | None = None

    async def register(self, card: WorkerCard) -> None:
        """Register the worker. If the platform is unavailable, registration continues in the background.

        Raises:
            KeyRefused: The platform rejected the key.
            ConfigurationError: The platform rejected this worker.
        """

        async def once(_: Callable[[], None]) -> None:
            await (await self._chosen()).register(card)

        final = (KeyRefused, ConfigurationError, ValidationError)
        self._registering = asyncio.create_task(
            until_done("registering", once, backoff=STREAMS, give_up=final), name="registering"
        )
        await asyncio.wait([self._registering], timeout=self._timings.register)
        if self._registering.done():
            self._registering.result()

    @property
    def session(self) -> str | None:
        """The secret that proves to our own server which tasks this process has claimed."""
        return self._transport.session

    def take_over(self, session: str | None) -> None:
        """Use the session of another worker process, so that its claims can be written to."""
        if session is not None:
            self._transport.take_over(session)

    async def _chosen(self) -> NativeWork | BareWork:
        if self._side is None:
            native = await self._dialect.native()
            if self._side is None:  # a concurrent call may have chosen
                self._side = (
                    NativeWork(self._transport, self._tasks, self._flags, self._heartbeats)
                    if native
                    else BareWork(self._transport, self._tasks, self._flags, self._heartbeats)
                )
        return self._side

    async def _is_registered(self, seconds: float) -> bool:
        """Wait at most ``seconds`` for the registration and return whether it is done; raise its error if it failed."""
        if self._registering is None:
            return True
        done, _ = await asyncio.wait([self._registering], timeout=seconds)
        if done:
            self._registering.result()
        return bool(done)

    async def assignments(self, worker_id: str, demand: Callable[[], Demand], seconds: float) -> list[Assignment]:
        """Claim tasks that the worker can start, waiting until there are some."""
        if demand().total <= 0 and not self._registered:
            return []
        if not await self._is_registered(seconds):
            return []
        return await (await self._chosen()).assignments(worker_id, demand, seconds)

    @property
    def _registered(self) -> bool:
        return self._registering is None or self._registering.done()

    def nudge(self) -> None:
        """Interrupt waiting claims, so that they evaluate the demand again."""
        self._flags.wake(WORK, DELIVERIES, NUDGE)

    async def emit(
        self, task_id: str, attempt: int, events: Sequence[NewEvent], journal: Sequence[JournalEntry] = ()
    ) -> None:
        """Append events and journal entries."""
        await (await self._chosen()).emit(task_id, attempt, events, journal)

    async def _save(
        self, task_id: str, changes: Mapping[str, Any], attempt: int, origin: str | None
    ) -> TaskRecord | None:
        """Store a run's changes of its task, in order with its other writes; None if the platform lacks such writes."""
        side = await self._chosen()
        return await side.save(task_id, changes, attempt, origin) if isinstance(side, NativeWork) else None

    async def journal(self, task_id: str) -> dict[str, str]:
        """Return the task's journal."""
        return await (await self._chosen()).journal(task_id)

    async def messages(self, task_id: str, after: int = 0) -> list[ReceivedMessage]:
        """Return the messages sent to the task."""
        return await (await self._chosen()).messages(task_id, after)

    async def earlier_events(self, task_id: str, attempt: int) -> list[str]:
        """Return the events that earlier attempts have already sent."""
        return await (await self._chosen()).earlier_events(task_id, attempt)

    async def keep_files(self, task_id: str, attempt: int, files: Sequence[KeptFile]) -> None:
        """Record with the task the files that were downloaded from its URLs."""
        await (await self._chosen()).keep_files(task_id, attempt, files)

    async def store_document(self, task_id: str, attempt: int, part: DocumentPart) -> None:
        """Store a part of a document that the task reads for a knowledge base."""
        await (await self._chosen()).store_document(task_id, attempt, part)

    async def finish(self, task_id: str, attempt: int, outcome: Outcome) -> None:
        """End or pause the attempt with its outcome."""
        await (await self._chosen()).finish(task_id, attempt, outcome)

    async def hand_back(self, task_id: str, attempt: int, back: HandBack) -> None:
        """Hand back the task, so that it is queued again."""
        await (await self._chosen()).hand_back(task_id, attempt, back)

    async def save_artifacts(self, task_id: str, attempt: int, artifacts: Sequence[Artifact]) -> None:
        """Record files that a run has produced."""
        await (await self._chosen()).save_artifacts(task_id, attempt, artifacts)

    async def make_children(self, task_id: str, attempt: int, children: Mapping[str, NewTask]) -> None:
        """Create those children of a run that do not exist yet."""
        await (await self._chosen()).make_children(task_id, attempt, children)

    async def children(self, task_id: str, children: Sequence[str]) -> list[TaskRecord]:
        """Return some of a task's children."""
        return await (await self._chosen()).children(task_id, children)

    async def providers(self) -> list[ProviderState]:
        """Return the providers whose last call failed."""
        return await (await self._chosen()).providers()

    async def provider_failed(self, failure: ProviderFailure) -> ProviderState | None:
        """Count a failed call of a provider."""
        return await (await self._chosen()).provider_failed(failure)

    async def provider_answered(self, provider_id: str) -> None:
        """Record that a provider answers again."""
        await (await self._chosen()).provider_answered(provider_id)

    async def crashed(self, task_id: str, attempt: int, reason: str, delay: float = 0.0) -> None:
        """Charge the task with a crash, and queue it again or fail it."""
        await (await self._chosen()).crashed(task_id, attempt, reason, delay)

    async def lost(self, claimed: Mapping[str, int]) -> dict[str, AgentExecutionStatus]:
        """Return the attempts that have lost their lease, with the status of each task."""
        return await (await self._chosen()).lost(claimed) if claimed else {}

    def cut_off(self, claimed: Mapping[str, int]) -> list[str]:
        """Return the attempts whose lease has expired by this process's clock; a bare platform has no such leases."""
        return self._side.cut_off(claimed) if isinstance(self._side, NativeWork) else []

    def on_change(self, wake: Callable[[Collection[str]], None]) -> Callable[[], None]:
        """Register a listener for changed tasks; return a function that removes it."""
        return self._flags.listen(wake)

    async def deliveries(self, worker_id: str, demand: Callable[[], DeliveryDemand], seconds: float) -> list[Delivery]:
        """Claim due deliveries for this worker's subscriptions, waiting until there are some."""
        if not await self._is_registered(seconds):
            return []
        return await (await self._chosen()).deliveries(worker_id, demand, seconds)

    async def settle(self, delivery: Delivery, error: str | None = None, *, final: bool = False) -> bool:
        """Settle a delivery: as handled, or if it failed, retry it later or set it aside."""
        return await (await self._chosen()).settle(delivery, error, final=final)

    async def renew(self, worker_id: str) -> None:
        """Renew a worker's leases."""
        await (await self._chosen()).renew(worker_id)

    async def report(self, worker_id: str, wear: WorkerWear) -> None:
        """Report the worker's memory use, hung threads and other signs of wear."""
        if self._registered:
            await (await self._chosen()).report(worker_id, wear)

    async def drain(self, worker_id: str) -> None:
        """Report that the worker is draining."""
        if self._registered:
            await (await self._chosen()).drain(worker_id)

    async def leave(self, worker_id: str) -> None:
        """Hand back all held tasks and remove the worker from the list."""
        if not self._registered:  # the platform does not know this worker yet
            await self.close()
            return
        await (await self._chosen()).leave(worker_id)

    async def close(self) -> None:
        """Stop all background work; idempotent."""
        if self._registering is not None:
            self._registering.cancel()
            await asyncio.gather(self._registering, return_exceptions=True)
        side, self._side = self._side, None
        if side is not None:
            await side.close()
        thread = self._heartbeats.close()
        if thread is not None:
            await asyncio.to_thread(thread.join)
