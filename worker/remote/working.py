"""The verbs of workers over HTTP, native or bare; the first verb finds out which protocol the platform speaks."""

import asyncio
from collections.abc import Callable, Collection, Coroutine, Mapping
from functools import wraps
from types import CoroutineType
from typing import Any, Concatenate, ParamSpec, TypeVar

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
from worker.words.errors import ConfigurationError, ValidationError
from worker.words.statuses import AgentExecutionStatus
from worker.words.tasks import TaskRecord
from worker.words.work import (
    Assignment,
    Delivery,
    DeliveryDemand,
    Demand,
    WorkerCard,
    WorkerWear,
)

P = ParamSpec("P")
T = TypeVar("T")


def _either(
    native: Callable[Concatenate[NativeWork, P], Coroutine[Any, Any, T]],
    bare: Callable[Concatenate[BareWork, P], Coroutine[Any, Any, T]],
) -> "Callable[Concatenate[RemoteWork, P], CoroutineType[Any, Any, T]]":
    """Return the verb that does what the protocol of the platform says."""

    @wraps(native)
    async def verb(self: "RemoteWork", *arguments: P.args, **named: P.kwargs) -> T:
        side = await self.side()
        if isinstance(side, NativeWork):
            return await native(side, *arguments, **named)
        return await bare(side, *arguments, **named)

    return verb


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
            await (await self.side()).register(card)

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

    async def side(self) -> NativeWork | BareWork:
        """Return the verbs in the protocol of the platform."""
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
        return await (await self.side()).assignments(worker_id, demand, seconds)

    @property
    def _registered(self) -> bool:
        return self._registering is None or self._registering.done()

    def nudge(self) -> None:
        """Interrupt waiting claims, so that they evaluate the demand again."""
        self._flags.wake(WORK, DELIVERIES, NUDGE)

    emit = _either(NativeWork.emit, BareWork.emit)
    journal = _either(NativeWork.journal, BareWork.journal)
    messages = _either(NativeWork.messages, BareWork.messages)
    earlier_events = _either(NativeWork.earlier_events, BareWork.earlier_events)
    keep_files = _either(NativeWork.keep_files, BareWork.keep_files)
    store_document = _either(NativeWork.store_document, BareWork.store_document)
    finish = _either(NativeWork.finish, BareWork.finish)
    hand_back = _either(NativeWork.hand_back, BareWork.hand_back)
    save_artifacts = _either(NativeWork.save_artifacts, BareWork.save_artifacts)
    make_children = _either(NativeWork.make_children, BareWork.make_children)
    children = _either(NativeWork.children, BareWork.children)
    providers = _either(NativeWork.providers, BareWork.providers)
    provider_failed = _either(NativeWork.provider_failed, BareWork.provider_failed)
    provider_answered = _either(NativeWork.provider_answered, BareWork.provider_answered)
    crashed = _either(NativeWork.crashed, BareWork.crashed)
    settle = _either(NativeWork.settle, BareWork.settle)
    renew = _either(NativeWork.renew, BareWork.renew)

    async def _save(
        self, task_id: str, changes: Mapping[str, Any], attempt: int, origin: str | None
    ) -> TaskRecord | None:
        """Store a run's changes of its task, in order with its other writes; None if the platform lacks such writes."""
        side = await self.side()
        return await side.save(task_id, changes, attempt, origin) if isinstance(side, NativeWork) else None

    async def lost(self, claimed: Mapping[str, int]) -> dict[str, AgentExecutionStatus]:
        """Return the attempts that have lost their lease, with the status of each task."""
        return await (await self.side()).lost(claimed) if claimed else {}

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
        return await (await self.side()).deliveries(worker_id, demand, seconds)

    async def report(self, worker_id: str, wear: WorkerWear) -> None:
        """Report the worker's memory use, hung threads and other signs of wear."""
        if self._registered:
            await (await self.side()).report(worker_id, wear)

    async def drain(self, worker_id: str) -> None:
        """Report that the worker is draining."""
        if self._registered:
            await (await self.side()).drain(worker_id)

    async def leave(self, worker_id: str) -> None:
        """Hand back all claimed tasks and remove the worker from the list."""
        if not self._registered:  # the platform does not know this worker yet
            await self.close()
            return
        await (await self.side()).leave(worker_id)

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
