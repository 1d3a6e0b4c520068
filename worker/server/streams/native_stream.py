"""The stream of a native worker: stopped and changed tasks, and hints. Its work travels by ``POST /work``."""

import asyncio
import time
from collections.abc import AsyncGenerator, Collection
from contextlib import suppress
from dataclasses import dataclass, field

from worker.contracts import WorkerState
from worker.contracts.waiting import within
from worker.server.feeds import COMMENT
from worker.server.identity.access import Access
from worker.server.service import Service
from worker.server.streams.bare_assignments import registration
from worker.server.streams.streaming import frame
from worker.words.errors import Unavailable

RENEW_SECONDS = 2.0  # the interval of the worker's own heartbeat; its lease is three of them, 6 s
POLL_SECONDS = 1.0
HINT_SECONDS = 0.05  # least time between hints, since several would add nothing to the first


async def serve(service: Service, access: Access, worker: WorkerState) -> AsyncGenerator[bytes]:
    """Yield the contents of a native worker's stream.

    Args:
        service: The state of the server.
        access: The permissions of the worker.
        worker: The worker, already registered by ``POST /work``.
    """
    service.holdings.setdefault(worker.id, {})
    stream = NativeStream(service, access, worker.id)
    yield registration(worker, access.organization.organization_id, None)
    end_listening = access.organization.work.on_change(stream.on_change)
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
    """A native worker while its stream is open."""

    service: Service
    access: Access
    worker_id: str
    hints: set[str] = field(default_factory=set[str])
    changed: set[str] = field(default_factory=set[str])  # claimed tasks with changes that were not sent yet
    woken: asyncio.Event = field(default_factory=asyncio.Event)

    def on_change(self, task_ids: Collection[str]) -> None:
        """Record that tasks changed, if the worker holds them."""
        claimed = self.service.holdings.get(self.worker_id, {})
        changed = claimed.keys() & set(task_ids)
        if changed:
            self.changed |= changed
            self.woken.set()

    async def listen(self, name: str, seen: int) -> None:
        """Record hints that there may be tasks or deliveries to claim."""
        presence = self.access.organization.presence
        while True:
            if await presence.hint(name, seen, self.service.timings.comment):
                seen = presence.seen()[name]
                self.hints.add(name)
                self.woken.set()
                await asyncio.sleep(HINT_SECONDS)

    async def attend(self) -> AsyncGenerator[bytes]:
        """Renew the worker's lease, and yield stops, changes, hints, and comments that keep the connection open."""
        renew_at = look_at = 0.0
        said_at = time.monotonic()
        while not self.service.closing.is_set():
            pieces: list[bytes] = []
            self.woken.clear()
            with suppress(Unavailable):  # the next iteration tries again
                if time.monotonic() >= renew_at:
                    renew_at = time.monotonic() + RENEW_SECONDS
                    await self.access.organization.work.renew(self.worker_id)
                if self.changed or time.monotonic() >= look_at:
                    changed, self.changed = self.changed, set()
                    look_at = time.monotonic() + POLL_SECONDS
                    pieces += await self._events(changed)
            hints, self.hints = self.hints, set()
            pieces += [frame({}, event=name) for name in sorted(hints)]
            if not pieces and time.monotonic() - said_at >= self.service.timings.comment:
                pieces.append(COMMENT)
            if pieces:
                said_at = time.monotonic()
                yield b"".join(pieces)
            await within(self.woken, POLL_SECONDS)

    async def _events(self, changed: set[str]) -> list[bytes]:
        """Return events for the claimed tasks that were lost or have changed, for example because a message arrived."""
        claimed = self.service.holdings.get(self.worker_id, {})
        lost = await self.access.organization.work.lost(dict(claimed)) if claimed else {}
        for task_id in lost:
            claimed.pop(task_id, None)
        taken = [frame({"task_id": task_id, "status": status}, event="task-stop") for task_id, status in lost.items()]
        return taken + [frame({"task_id": each}, event="task-change") for each in sorted(changed - lost.keys())]
