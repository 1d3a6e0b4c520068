"""The stream that assigns work to a bare worker: one that speaks the public protocol alone and sends no attempts."""

import asyncio
import hashlib
import time
from collections.abc import AsyncGenerator, Callable, Collection
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from secrets import token_hex
from typing import Any

from worker.contracts import HeldTask, WorkerSession, WorkerState
from worker.contracts.access import ROUTES
from worker.contracts.waiting import SOON, within
from worker.server import bare
from worker.server.feeds import COMMENT, COMMENT_SECONDS
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

LEASE_SECONDS = 60.0  # promise 2: such a task is given again only when stream and heartbeats are both gone for 60 s
RETURN_SECONDS = 5.0  # two heartbeats, of every 2 s, and a little: whoever comes back goes on sending its own
TOUCH_SECONDS = 5.0
WAIT_SECONDS = 5.0  # one wait for work; between two the stream is looked after
LOOK_SECONDS = 1.0  # between looks at what a worker holds where nobody hints
SUBJECTS = {AgentExecutionStatus.Completed, AgentExecutionStatus.Error}
"""Ends that a worker brings about itself; of all others it is told."""


@dataclass(frozen=True, slots=True)
class StreamClient:
    """Who opens a stream.

    Args:
        key: The key it sent.
        organization_id: The organization that the address names.
        agent_id: The agent whose tasks it serves.
        address: Where it calls from.
        base: The address by which it calls us.
        subscriptions: What else it wants to hear of that agent's tasks.
    """

    key: str | None
    organization_id: str | None
    agent_id: str
    address: str
    base: str
    subscriptions: tuple[Subscription, ...] = ()

    @property
    def peer(self) -> str:
        """What it is known by when it comes back; the key cannot be read from it."""
        wishes = ",".join(f"{each.handler} {each.event_type}" for each in self.subscriptions)
        text = "\0".join((self.key or "", self.agent_id, self.address, *([wishes] if wishes else ())))
        return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()


def registration(worker: WorkerState, organization_id: str, agent_id: str | None) -> bytes:
    """What tells a worker its id."""
    now = datetime.now(UTC).isoformat()
    told = {
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
    return frame(told, event="worker-registration")


async def serve(
    service: Service, stream_client: StreamClient, access: Access | None, admitted: Callable[[Access], None]
) -> AsyncGenerator[bytes]:
    """Everything that goes over a bare worker's stream, from its registration on.

    Args:
        service: The server.
        stream_client: Who opened it.
        access: What it may reach; None means the database was away when it came, so that is decided once it is back.
        admitted: Called with what it may reach, where that is decided late.
    """
    yield COMMENT  # the answer begins at once
    pauses = SOON.pauses()
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
        merged(bare_session.work(), bare_session.held_deliveries())
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
    """One bare worker and what it has been given."""

    service: Service
    access: Access
    stream_client: StreamClient
    stream: str = field(default_factory=lambda: token_hex(8))
    worker_id: str | None = None
    held: dict[str, HeldTask] = field(default_factory=dict[str, HeldTask])
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    registered: asyncio.Event = field(default_factory=asyncio.Event)
    touch_at: float = 0.0
    said_at: float = field(default_factory=time.monotonic)
    away: bool = False

    async def work(self) -> AsyncGenerator[bytes]:
        """Register the worker, then give it one task after another."""
        end_listening = self.access.organization.work.on_change(self._hear)
        pauses = SOON.pauses()
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
                    return  # a newer stream has taken this one's place
                if time.monotonic() - self.said_at >= COMMENT_SECONDS:
                    self.said_at = time.monotonic()
                    yield COMMENT
        finally:
            end_listening()

    async def held_deliveries(self) -> AsyncGenerator[bytes]:
        """What else it wants to hear, once it is registered."""
        await self.registered.wait()
        assert self.worker_id is not None  # noqa: S101 - it is registered by now
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
        worker_id = await presence.enter(card, self.stream_client.peer, self.stream, session, RETURN_SECONDS)
        await presence.give_back_deliveries(await presence.held_deliveries(worker_id))  # sent on a stream that was cut
        held = await presence.held(worker_id)
        await presence.give_back([each for each in held if not each.begun])  # the same
        self.held = {each.task_id: each for each in held if each.begun}
        self.worker_id = worker_id
        self.registered.set()
        return registration(await presence.worker(worker_id), self.access.organization.organization_id, agent_id)

    def leave(self) -> None:
        """Say that the stream has ended; beside, since whoever ends it does not wait."""
        if self.worker_id is not None:
            self.service.beside(self._drop(self.worker_id))

    async def _drop(self, worker_id: str) -> None:
        with suppress(ModuleException):  # else its lease says so in time
            await self.access.organization.presence.drop(worker_id, self.stream)

    def _hear(self, task_ids: Collection[str]) -> None:
        if not self.held.keys().isdisjoint(task_ids):
            self.changed.set()

    async def _turn(self) -> AsyncGenerator[bytes]:
        """Look after what it holds; where all of it has begun, give it the next."""
        await self._touch()
        if self.touch_at < 0:
            return
        self.changed.clear()
        for status, task_id in await self._look():
            yield frame({"task_id": task_id, "status": status}, event="task-stop")
        if any(not each.begun for each in self.held.values()):
            await within(self.changed, LOOK_SECONDS)
            return
        for assignment in await self._next():
            piece = await self._told(assignment)
            if piece is not None:
                self.held[assignment.task.id] = HeldTask(assignment.task.id, assignment.attempt, begun=False)
                yield piece

    async def _touch(self) -> None:
        assert self.worker_id is not None  # noqa: S101 - it is registered by now
        if time.monotonic() >= self.touch_at:
            here = await self.access.organization.presence.touch(self.worker_id, self.stream)
            self.touch_at = time.monotonic() + TOUCH_SECONDS if here else -1.0

    async def _look(self) -> list[tuple[str, str]]:
        """Bring up to date what it holds; what of it was ended by somebody else, with how it stands."""
        assert self.worker_id is not None  # noqa: S101 - it is registered by now
        now = {each.task_id: each for each in await self.access.organization.presence.held(self.worker_id)}
        gone = {each.task_id: each.attempt for each in self.held.values() if each.task_id not in now}
        self.held = now
        lost = await self.access.organization.work.lost(gone) if gone else {}
        return [(str(status), task_id) for task_id, status in lost.items() if status not in SUBJECTS]

    async def _next(self) -> list[Assignment]:
        """Wait for the next task, but not so long that what it holds is forgotten."""
        assert self.worker_id is not None  # noqa: S101 - it is registered by now
        seconds = min(WAIT_SECONDS, LOOK_SECONDS) if self.held else WAIT_SECONDS
        return await self.access.organization.work.assignments(self.worker_id, self._demand, seconds)

    def _demand(self) -> Demand:
        if self.service.closing.is_set():
            return Demand(total=0)
        return Demand(total=1, agents={self.stream_client.agent_id: 1})

    async def _told(self, assignment: Assignment) -> bytes | None:
        """The task as the worker can read it; one that it cannot read ends here."""
        told, problem = bare.readable(assignment.task)
        if problem is None:
            told["assigned_attempt"] = assignment.attempt  # it executes from now on, as far as others are told
            return frame(self._signed(told), event="agent-execution")
        await self._refuse(assignment, problem)
        return None

    def _signed(self, told: dict[str, Any]) -> dict[str, Any]:
        return self.service.links.in_task(told, self.access.organization.organization_id, self.stream_client.base)

    async def _refuse(self, assignment: Assignment, problem: str) -> None:
        changes: dict[str, Any] = {
            "result": f"it could not be given to a worker: {problem}",
            "error_code": ErrorCode.InvalidRequest,
        }
        outcome = Outcome(AgentExecutionStatus.Failed, changes)
        with suppress(ModuleException):
            await self.access.organization.work.finish(assignment.task.id, assignment.attempt, outcome)
