"""The stream of a worker of our own: what was taken from it, and hints. Its work comes by ``POST /work``."""

import asyncio
import time
from collections.abc import AsyncGenerator, Collection
from contextlib import suppress
from dataclasses import dataclass, field

from worker.contracts import WorkerState
from worker.contracts.waiting import within
from worker.server.feeds import COMMENT, COMMENT_SECONDS
from worker.server.identity.access import Access
from worker.server.service import Service
from worker.server.streams.bare_assignments import registration
from worker.server.streams.streaming import frame
from worker.words.errors import Unavailable

RENEW_SECONDS = 2.0  # as often as the worker's own heartbeat: three missed ones are 6 s, its lease
LOOK_SECONDS = 1.0
HINT_SECONDS = 0.05  # hints come no closer together; one says as much as ten


async def serve(service: Service, access: Access, worker: WorkerState) -> AsyncGenerator[bytes]:
    """Everything that goes over a native worker's stream.

    Args:
        service: The server.
        access: What it may reach.
        worker: The worker, which has registered by ``POST /work``.
    """
    service.holdings.setdefault(worker.id, {})
    stream = NativeStream(service, access, worker.id)
    yield registration(worker, access.organization.organization_id, None)
    end_listening = access.organization.work.on_change(stream.hear)
    hints = [
        asyncio.create_task(stream.listen(name, seen)) for name, seen in access.organization.presence.seen().items()
    ]
    try:
        async for piece in stream.attend():
            yield piece
    finally:
        end_listening()
        for task in hints:
            task.cancel()
        await asyncio.gather(*hints, return_exceptions=True)
        service.holdings.pop(worker.id, None)


@dataclass(slots=True)
class NativeStream:
    """One native worker while its stream is open."""

    service: Service
    access: Access
    worker_id: str
    hints: set[str] = field(default_factory=set[str])
    changed: set[str] = field(default_factory=set[str])  # tasks that it holds, of which it has not been told
    woken: asyncio.Event = field(default_factory=asyncio.Event)

    def hear(self, task_ids: Collection[str]) -> None:
        """Take in that tasks changed."""
        held = self.service.holdings.get(self.worker_id, {})
        changed = held.keys() & set(task_ids)
        if changed:
            self.changed |= changed
            self.woken.set()

    async def listen(self, name: str, seen: int) -> None:
        """Take in hints that there may be work, or deliveries."""
        presence = self.access.organization.presence
        while True:
            if await presence.hint(name, seen, COMMENT_SECONDS):
                seen = presence.seen()[name]
                self.hints.add(name)
                self.woken.set()
                await asyncio.sleep(HINT_SECONDS)

    async def attend(self) -> AsyncGenerator[bytes]:
        """Renew its lease, tell it what was taken or has changed, pass hints on, and say something now and then."""
        renew_at = look_at = 0.0
        said_at = time.monotonic()
        while not self.service.closing.is_set():
            pieces: list[bytes] = []
            self.woken.clear()
            with suppress(Unavailable):  # heartbeats and the next turn come again
                if time.monotonic() >= renew_at:
                    renew_at = time.monotonic() + RENEW_SECONDS
                    await self.access.organization.work.renew(self.worker_id)
                if self.changed or time.monotonic() >= look_at:
                    changed, self.changed = self.changed, set()
                    look_at = time.monotonic() + LOOK_SECONDS
                    pieces += await self._told(changed)
            hints, self.hints = self.hints, set()
            pieces += [frame({}, event=name) for name in sorted(hints)]
            if not pieces and time.monotonic() - said_at >= COMMENT_SECONDS:
                pieces.append(COMMENT)
            if pieces:
                said_at = time.monotonic()
                yield b"".join(pieces)
            await within(self.woken, LOOK_SECONDS)

    async def _told(self, changed: set[str]) -> list[bytes]:
        """What was taken from it, and what else has changed: somebody may have said something to a task."""
        held = self.service.holdings.get(self.worker_id, {})
        lost = await self.access.organization.work.lost(dict(held)) if held else {}
        for task_id in lost:
            held.pop(task_id, None)
        taken = [frame({"task_id": task_id, "status": status}, event="task-stop") for task_id, status in lost.items()]
        return taken + [frame({"task_id": each}, event="task-change") for each in sorted(changed - lost.keys())]
