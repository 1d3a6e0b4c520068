"""A native worker's presence: heartbeats that renew its lease, and a stream that carries hints."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, cast

from worker.background import in_background
from worker.contracts.lease import REMOTE_SECONDS, OwnLease, now
from worker.contracts.waiting import STREAMS, until_done
from worker.remote.flags import DELIVERIES, WORK, Flags
from worker.remote.http.heartbeats import Beat, Heartbeats
from worker.remote.http.transport import Transport
from worker.words.errors import NotFound, Unavailable
from worker.words.texts import encode
from worker.words.work import WorkerCard

if TYPE_CHECKING:
    from httpx_sse import ServerSentEvent


class NativePresence:
    """The presence of workers on a server.

    Args:
        transport: The HTTP client of the server.
        url: The URL for verbs.
        flags: Raised by hints.
        heartbeats: Sends the heartbeats.
        introduce: Registers a worker, initially and whenever the server considered it dead.
        lease: The worker's lease by its own clock, renewed by each answered heartbeat.
    """

    def __init__(
        self,
        transport: Transport,
        url: str,
        flags: Flags,
        heartbeats: Heartbeats,
        introduce: Callable[[WorkerCard], Awaitable[None]],
        *,
        lease: OwnLease,
    ) -> None:
        self._lease = lease
        self._transport = transport
        self._url = url
        self._flags = flags
        self._heartbeats = heartbeats
        self._introduce = introduce
        self._streams: dict[str, asyncio.Task[None]] = {}
        self._again: set[asyncio.Task[None]] = set()

    def begin(self, card: WorkerCard) -> None:
        """Start the heartbeats and the stream of a registered worker."""
        self._heartbeats.keep(card.id, self._beat(card))
        if card.id not in self._streams:
            self._streams[card.id] = asyncio.create_task(self._listen(card.id), name=f"hints {card.id}")

    def end(self, worker_id: str) -> asyncio.Task[None] | None:
        """Stop the heartbeats, and return the task that listens for hints, to cancel after the worker has left."""
        self._heartbeats.drop(worker_id)
        self._lease.end()
        return self._streams.pop(worker_id, None)

    async def close(self) -> None:
        """Stop all background work."""
        tasks = [*self._streams.values(), *self._again]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _beat(self, card: WorkerCard) -> Beat:
        body = encode({"worker_id": card.id, "verbs": [{"verb": "renew"}]})
        loop = asyncio.get_running_loop()
        seconds = min(card.lease_seconds, REMOTE_SECONDS)
        sent = now()  # when the last heartbeat was sent
        self._lease.renewed(sent, seconds)  # the registration has just started the lease

        def next_body() -> bytes:
            nonlocal sent
            sent = now()
            return body

        def answered(status: int, content: bytes) -> None:
            if is_unknown(status, content) and not loop.is_closed():
                loop.call_soon_threadsafe(self._register_again, card)
            elif is_well(status, content) and card.id in self._streams:
                self._lease.renewed(sent, seconds)

        return Beat(self._url, next_body, answered)

    def _register_again(self, card: WorkerCard) -> None:
        """Register a worker again that was considered dead. Its tasks belong to others, but it can claim new ones."""
        if card.id not in self._streams or self._again:
            return
        again = until_done("registering again", lambda _: self._introduce(card), backoff=STREAMS)
        in_background(again, self._again, "registering again")

    async def _listen(self, worker_id: str) -> None:
        params = {"worker_id": worker_id, "native": 1}

        async def once(well: Callable[[], None]) -> None:
            async with self._transport.stream("/events/-/", params=params, redirects=True) as sent:
                well()
                self._flags.wake(WORK, DELIVERIES)  # hints may have been missed
                async for each in sent:
                    self._hint(each)
            raise Unavailable("The stream of wake-up hints ended.")

        await until_done("listening for wake-up hints", once, backoff=STREAMS)

    def _hint(self, sent: "ServerSentEvent") -> None:
        match sent.event:
            case "work":
                self._flags.wake(WORK)
            case "deliveries":
                self._flags.wake(DELIVERIES)
            case "task-stop" | "task-change":
                task_id = event_data(sent.data).get("task_id")
                if isinstance(task_id, str):
                    self._flags.changed(task_id)
            case _:
                return


def event_data(data: str) -> dict[str, Any]:
    """Return the data of a stream's event, or an empty dictionary if it cannot be parsed."""
    try:
        read = json.loads(data)
    except (ValueError, RecursionError):
        return {}
    return cast("dict[str, Any]", read) if isinstance(read, dict) else {}


def is_unknown(status: int, content: bytes) -> bool:
    """Return whether the response to a heartbeat reports that there is no such worker."""
    return _error_of(status, content).get("status_code") == NotFound.status


def is_well(status: int, content: bytes) -> bool:
    """Return whether the response to a heartbeat confirms it."""
    return not _error_of(status, content)


def _error_of(status: int, content: bytes) -> dict[str, Any]:
    if status != 200:  # noqa: PLR2004 - HTTP
        return {"status_code": 0}
    try:
        error = json.loads(content)["results"][0].get("error") or {}
        return cast("dict[str, Any]", error) if isinstance(error, dict) else {"status_code": 0}
    except (ValueError, KeyError, IndexError, AttributeError, TypeError, RecursionError):
        return {"status_code": 0}
