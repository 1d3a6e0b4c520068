"""The stream that assigns tasks to a bare worker, which speaks only the public protocol and sends no attempts."""

import asyncio
import hashlib
import time
from collections.abc import AsyncGenerator, Callable, Collection
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from secrets import token_hex
from typing import Any

from worker.contracts import ClaimedTask, WorkerSession, WorkerState
from worker.contracts.access import ROUTES
from worker.contracts.waiting import within
from worker.server import bare
from worker.server.feeds import COMMENT
from worker.server.identity.access import Access
from worker.server.service import Service
from worker.server.streams.bare_deliveries import BareDeliveries, merged
from worker.server.streams.streaming import frame
from worker.words.error_codes import ErrorCode
from worker.words.errors import ModuleException, Unavailable
from worker.words.ids import new_id
from worker.words.outcomes import Outcome
from worker.words.statuses import AgentExecutionStatus
from worker.words.work import Assignment, Demand, Subscription, WorkerCard

LEASE_SECONDS = 60.0  # promise 2: a task is reassigned only after 60 s with neither a stream nor heartbeats
TOUCH_SECONDS = 5.0
WAIT_SECONDS = 5.0  # longest single wait for work; the stream is maintained between waits
POLL_SECONDS = 1.0  # how often the worker's tasks are polled when no hints arrive
SUBJECTS = {AgentExecutionStatus.Completed, AgentExecutionStatus.Error}
"""Final statuses that the worker reports itself. Any other end is sent to it as ``task-stop``."""


@dataclass(frozen=True, slots=True)
class StreamClient:
    """The client that opens a bare worker's stream.

    Args:
        key: The key that the client sent.
        organization_id: The organization that the request's path names.
        agent_id: The agent whose tasks the client runs.
        address: The client's address.
        base: The server's base URL, as the client reaches it.
        subscriptions: Events of that agent's tasks that the client wants delivered.
    """

    key: str | None
    organization_id: str | None
    agent_id: str
    address: str
    base: str
    subscriptions: tuple[Subscription, ...] = ()

    @property
    def peer(self) -> str:
        """A stable identifier for a reconnecting client, derived from its key but not reversible."""
        subscribed = ",".join(f"{each.handler} {each.event_type}" for each in self.subscriptions)
        text = "\0".join((self.key or "", self.agent_id, self.address, *([subscribed] if subscribed else ())))
        return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()


def registration(worker: WorkerState, organization_id: str, agent_id: str | None) -> bytes:
    """Return the first event of a stream, which contains the worker's id."""
    now = datetime.now(UTC).isoformat()
    body = {
        "id": worker.id,
        "name": worker.name,
        "organization_id": organization_id,
        "type": "worker",
        "created_at": worker.started_at.isoformat(),
        "created_by": organization_id,
        "last_heartbeat": now,
        "dedicated_agent_id": agent_id,
        "parent_asset_id": agent_id,
        "is_busy": False,
        "metadata": {"name": agent_id or worker.name, "unique_name": agent_id or worker.name},
    }
    return frame(body, event="worker-registration")


async def serve(
    service: Service, stream_client: StreamClient, access: Access | None, admitted: Callable[[Access], None]
) -> AsyncGenerator[bytes]:
    """Yield the contents of a bare worker's stream, starting with its registration.

    Args:
        service: The state of the server.
        stream_client: The client that opened the stream.
        access: The permissions of the client. None means that the database was unavailable when it connected; they are
            then determined once it is back.
        admitted: Called with the permissions if they were determined late.
    """
    yield COMMENT  # start the response immediately
    pauses = service.timings.bare_streams.pauses()
    while access is None:
        try:
            access = await service.keyring.admit(stream_client.key, stream_client.organization_id)
            access.permit(ROUTES["GET /events/{agent_id}"])
            access.check(stream_client.agent_id)
            await service.links.load()
            admitted(access)
        except Unavailable:
            access = None
            yield COMMENT
            if await service.pause(pauses.next()):
                return
        except ModuleException as error:
            yield frame({"error": error.description}, event="worker-environment-conflict")
            return
    bare_session = BareSession(service, access, stream_client)
    pieces = (
        merged(bare_session.work(), bare_session.claimed_deliveries())
        if stream_client.subscriptions
        else bare_session.work()
    )
    try:
        async for piece in pieces:
            yield piece
    finally:
        try:
            await pieces.aclose()
        finally:
            bare_session.leave()


@dataclass(slots=True)
class BareSession:
    """A bare worker and the tasks that it has claimed, while its stream is open."""

    service: Service
    access: Access
    stream_client: StreamClient
    stream: str = field(default_factory=lambda: token_hex(8))
    worker_id: str | None = None
    claimed: dict[str, ClaimedTask] = field(default_factory=dict[str, ClaimedTask])
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    registered: asyncio.Event = field(default_factory=asyncio.Event)
    touch_at: float = 0.0
    said_at: float = field(default_factory=time.monotonic)
    away: bool = False

    async def work(self) -> AsyncGenerator[bytes]:
        """Register the worker, then assign tasks to it, one at a time."""
        end_listening = self.access.organization.work.on_change(self._on_change)
        pauses = self.service.timings.bare_streams.pauses()
        try:
            while not self.service.closing.is_set():
                try:
                    if self.worker_id is None:
                        yield await self._register()
                    async for piece in self._turn():
                        self.said_at = time.monotonic()
                        yield piece
                except Unavailable as error:
                    seconds = pauses.after("assigning work", error)
                    yield COMMENT
                    await self.service.pause(seconds)
                    continue
                pauses.reset()
                if self.touch_at < 0:
                    return  # a newer stream has replaced this one
                if time.monotonic() - self.said_at >= self.service.timings.comment:
                    self.said_at = time.monotonic()
                    yield COMMENT
        finally:
            end_listening()

    async def claimed_deliveries(self) -> AsyncGenerator[bytes]:
        """Yield the deliveries for the client's subscriptions, once the worker is registered."""
        await self.registered.wait()
        assert self.worker_id is not None  # noqa: S101 - the worker is registered at this point
        async for piece in BareDeliveries(self.service, self.access, self.worker_id, self.stream_client.base).pieces():
            yield piece

    async def _register(self) -> bytes:
        presence, agent_id = self.access.organization.presence, self.stream_client.agent_id
        card = WorkerCard(
            id=new_id(),
            name=f"{agent_id} at {self.stream_client.address}",
            agents=(agent_id,),
            lease_seconds=LEASE_SECONDS,
            subscriptions=self.stream_client.subscriptions,
        )
        session = WorkerSession(self.access.key)
        rejoin = self.service.timings.rejoin
        worker_id = await presence.enter(card, self.stream_client.peer, self.stream, session, rejoin)
        await presence.give_back_deliveries(await presence.claimed_deliveries(worker_id))  # from a stream that broke
        claimed = await presence.claimed(worker_id)
        await presence.give_back([each for each in claimed if not each.begun])
        self.claimed = {each.task_id: each for each in claimed if each.begun}
        self.worker_id = worker_id
        self.registered.set()
        return registration(await presence.worker(worker_id), self.access.organization.organization_id, agent_id)

    def leave(self) -> None:
        """Record in the background that the stream has ended."""
        if self.worker_id is not None:
            self.service.run_in_background(self._drop(self.worker_id))

    async def _drop(self, worker_id: str) -> None:
        with suppress(ModuleException):  # otherwise its lease expires
            await self.access.organization.presence.drop(worker_id, self.stream)

    def _on_change(self, task_ids: Collection[str]) -> None:
        if not self.claimed.keys().isdisjoint(task_ids):
            self.changed.set()

    async def _turn(self) -> AsyncGenerator[bytes]:
        """Renew the lease, report stopped tasks and, once all claimed tasks have begun, assign the next one."""
        await self._touch()
        if self.touch_at < 0:
            return
        self.changed.clear()
        for status, task_id in await self._look():
            yield frame({"task_id": task_id, "status": status}, event="task-stop")
        if any(not each.begun for each in self.claimed.values()):
            await within(self.changed, POLL_SECONDS)
            return
        for assignment in await self._next():
            piece = await self._event(assignment)
            if piece is not None:
                self.claimed[assignment.task.id] = ClaimedTask(assignment.task.id, assignment.attempt, begun=False)
                yield piece

    async def _touch(self) -> None:
        assert self.worker_id is not None  # noqa: S101 - the worker is registered at this point
        if time.monotonic() >= self.touch_at:
            here = await self.access.organization.presence.touch(self.worker_id, self.stream)
            self.touch_at = time.monotonic() + TOUCH_SECONDS if here else -1.0

    async def _look(self) -> list[tuple[str, str]]:
        """Refresh the claimed tasks and return (status, id) of those that something other than this worker ended."""
        assert self.worker_id is not None  # noqa: S101 - the worker is registered at this point
        now = {each.task_id: each for each in await self.access.organization.presence.claimed(self.worker_id)}
        gone = {each.task_id: each.attempt for each in self.claimed.values() if each.task_id not in now}
        self.claimed = now
        lost = await self.access.organization.work.lost(gone) if gone else {}
        return [(str(status), task_id) for task_id, status in lost.items() if status not in SUBJECTS]

    async def _next(self) -> list[Assignment]:
        """Wait for the next task, for a shorter time if the worker holds tasks that must be polled."""
        assert self.worker_id is not None  # noqa: S101 - the worker is registered at this point
        seconds = min(WAIT_SECONDS, POLL_SECONDS) if self.claimed else WAIT_SECONDS
        return await self.access.organization.work.assignments(self.worker_id, self._demand, seconds)

    def _demand(self) -> Demand:
        if self.service.closing.is_set():
            return Demand(total=0)
        return Demand(total=1, agents={self.stream_client.agent_id: 1})

    async def _event(self, assignment: Assignment) -> bytes | None:
        """Return the task as an event. If the public client cannot parse it, fail the task and return None."""
        body, problem = bare.readable(assignment.task)
        if problem is None:
            body["assigned_attempt"] = assignment.attempt  # to other clients the task is executing now
            return frame(self._signed(body), event="agent-execution")
        await self._refuse(assignment, problem)
        return None

    def _signed(self, body: dict[str, Any]) -> dict[str, Any]:
        return self.service.links.in_task(body, self.access.organization.organization_id, self.stream_client.base)

    async def _refuse(self, assignment: Assignment, problem: str) -> None:
        changes: dict[str, Any] = {
            "result": f"the task could not be sent to a worker: {problem}",
            "error_code": ErrorCode.InvalidRequest,
        }
        outcome = Outcome(AgentExecutionStatus.Failed, changes)
        with suppress(ModuleException):
            await self.access.organization.work.finish(assignment.task.id, assignment.attempt, outcome)
