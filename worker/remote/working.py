"""The verbs of workers, over HTTP: native where the platform can, bare elsewhere; found out at the first of them."""

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

REGISTER_SECONDS = 10.0  # that a start waits for the platform; then the worker is up and registers when it can


class RemoteWork:
    """What workers ask for, over HTTP."""

    def __init__(self, transport: Transport, dialect: Dialect, tasks: RemoteTasks) -> None:
        self._transport = transport
        self._dialect = dialect
        self._tasks = tasks
        tasks.save_of_a_run = self._save
        self._flags = Flags()
        self._heartbeats = Heartbeats(transport.headers)
        self._side: NativeWork | BareWork | None = None
        self._registering: asyncio.Task[None] | None = None

    async def register(self, card: WorkerCard) -> None:
        """Introduce the worker; a platform that is away is waited for in the background.

        Raises:
            KeyRefused: The platform does not take the key. ConfigurationError: it refuses this worker.
        """

        async def once(_: Callable[[], None]) -> None:
            await (await self._chosen()).register(card)

        final = (KeyRefused, ConfigurationError, ValidationError)
        self._registering = asyncio.create_task(
            until_done("registering", once, backoff=STREAMS, give_up=final), name="registering"
        )
        await asyncio.wait([self._registering], timeout=REGISTER_SECONDS)
        if self._registering.done():
            self._registering.result()

    @property
    def session(self) -> str | None:
        """The secret by which a server of ours knows what this process claimed."""
        return self._transport.session

    def take_over(self, session: str | None) -> None:
        """Write for what the worker of this session has claimed."""
        if session is not None:
            self._transport.take_over(session)

    async def _chosen(self) -> NativeWork | BareWork:
        if self._side is None:
            native = await self._dialect.native()
            if self._side is None:  # two may have asked
                self._side = (
                    NativeWork(self._transport, self._tasks, self._flags, self._heartbeats)
                    if native
                    else BareWork(self._transport, self._tasks, self._flags, self._heartbeats)
                )
        return self._side

    async def _is_registered(self, seconds: float) -> bool:
        """Wait for the registration, at most so long. Raises: what it ended with."""
        if self._registering is None:
            return True
        done, _ = await asyncio.wait([self._registering], timeout=seconds)
        if done:
            self._registering.result()
        return bool(done)

    async def assignments(self, worker_id: str, demand: Callable[[], Demand], seconds: float) -> list[Assignment]:
        """Claim what the worker can start; wait for it where there is none."""
        if demand().total <= 0 and not self._registered:
            return []
        if not await self._is_registered(seconds):
            return []
        return await (await self._chosen()).assignments(worker_id, demand, seconds)

    @property
    def _registered(self) -> bool:
        return self._registering is None or self._registering.done()

    def nudge(self) -> None:
        """Ask for the demand again at once."""
        self._flags.wake(WORK, DELIVERIES, NUDGE)

    async def emit(
        self, task_id: str, attempt: int, events: Sequence[NewEvent], journal: Sequence[JournalEntry] = ()
    ) -> None:
        """Append events and journal entries."""
        await (await self._chosen()).emit(task_id, attempt, events, journal)

    async def _save(
        self, task_id: str, changes: Mapping[str, Any], attempt: int, origin: str | None
    ) -> TaskRecord | None:
        """Store what a run changed of its task, among its other writes; None: the platform knows no such writes."""
        side = await self._chosen()
        return await side.save(task_id, changes, attempt, origin) if isinstance(side, NativeWork) else None

    async def journal(self, task_id: str) -> dict[str, str]:
        """Read the journal."""
        return await (await self._chosen()).journal(task_id)

    async def messages(self, task_id: str, after: int = 0) -> list[ReceivedMessage]:
        """Read what was said to the task."""
        return await (await self._chosen()).messages(task_id, after)

    async def told(self, task_id: str, attempt: int) -> list[str]:
        """Read what earlier attempts have told."""
        return await (await self._chosen()).told(task_id, attempt)

    async def keep_files(self, task_id: str, attempt: int, files: Sequence[KeptFile]) -> None:
        """Keep with the task what was read of its files."""
        await (await self._chosen()).keep_files(task_id, attempt, files)

    async def store_document(self, task_id: str, attempt: int, part: DocumentPart) -> None:
        """Store passages of a document that the task reads."""
        await (await self._chosen()).store_document(task_id, attempt, part)

    async def finish(self, task_id: str, attempt: int, outcome: Outcome) -> None:
        """Write the attempt's last word."""
        await (await self._chosen()).finish(task_id, attempt, outcome)

    async def hand_back(self, task_id: str, attempt: int, back: HandBack) -> None:
        """Queue the task again."""
        await (await self._chosen()).hand_back(task_id, attempt, back)

    async def save_artifacts(self, task_id: str, attempt: int, artifacts: Sequence[Artifact]) -> None:
        """Note files that a run has made."""
        await (await self._chosen()).save_artifacts(task_id, attempt, artifacts)

    async def make_children(self, task_id: str, attempt: int, children: Mapping[str, NewTask]) -> None:
        """Make what is not there yet of a run's children."""
        await (await self._chosen()).make_children(task_id, attempt, children)

    async def children(self, task_id: str, children: Sequence[str]) -> list[TaskRecord]:
        """Read some of a task's children."""
        return await (await self._chosen()).children(task_id, children)

    async def providers(self) -> list[ProviderState]:
        """List the providers whose last call failed."""
        return await (await self._chosen()).providers()

    async def provider_failed(self, failure: ProviderFailure) -> ProviderState | None:
        """Count a failed call."""
        return await (await self._chosen()).provider_failed(failure)

    async def provider_answered(self, provider_id: str) -> None:
        """Nobody waits for it any more."""
        await (await self._chosen()).provider_answered(provider_id)

    async def crashed(self, task_id: str, attempt: int, reason: str, delay: float = 0.0) -> None:
        """Charge a crash and queue the task again, or end it."""
        await (await self._chosen()).crashed(task_id, attempt, reason, delay)

    async def lost(self, held: Mapping[str, int]) -> dict[str, AgentExecutionStatus]:
        """Which attempts own their task no longer."""
        return await (await self._chosen()).lost(held) if held else {}

    def cut_off(self, held: Mapping[str, int]) -> list[str]:
        """Which attempts may be another's by now; a platform that takes no attempts lends no such lease."""
        return self._side.cut_off(held) if isinstance(self._side, NativeWork) else []

    def on_change(self, wake: Callable[[Collection[str]], None]) -> Callable[[], None]:
        """Hear of changed tasks."""
        return self._flags.listen(wake)

    async def deliveries(self, worker_id: str, demand: Callable[[], DeliveryDemand], seconds: float) -> list[Delivery]:
        """Claim due events of this worker's subscriptions; wait where there is none."""
        if not await self._is_registered(seconds):
            return []
        return await (await self._chosen()).deliveries(worker_id, demand, seconds)

    async def settle(self, delivery: Delivery, error: str | None = None, *, final: bool = False) -> bool:
        """Move the cursor on, try again later, or set the event aside."""
        return await (await self._chosen()).settle(delivery, error, final=final)

    async def renew(self, worker_id: str) -> None:
        """Hold on to a worker's leases."""
        await (await self._chosen()).renew(worker_id)

    async def report(self, worker_id: str, wear: WorkerWear) -> None:
        """Say how worn the worker is."""
        if self._registered:
            await (await self._chosen()).report(worker_id, wear)

    async def drain(self, worker_id: str) -> None:
        """Say that the worker begins to leave."""
        if self._registered:
            await (await self._chosen()).drain(worker_id)

    async def leave(self, worker_id: str) -> None:
        """Hand back what is held, take the worker off the list."""
        if not self._registered:  # there is nothing to leave
            await self.close()
            return
        await (await self._chosen()).leave(worker_id)

    async def close(self) -> None:
        """End what runs in the background; idempotent."""
        if self._registering is not None:
            self._registering.cancel()
            await asyncio.gather(self._registering, return_exceptions=True)
        side, self._side = self._side, None
        if side is not None:
            await side.close()
        thread = self._heartbeats.close()
        if thread is not None:
            await asyncio.to_thread(thread.join)
