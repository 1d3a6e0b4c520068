"""The event streams of a bare worker, one per agent, on which its tasks are assigned."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import quote

from worker.contracts.waiting import STREAMS, until_done
from worker.remote.http.heartbeats import Beat, Heartbeats
from worker.remote.http.refusals import KeyRefused
from worker.remote.http.transport import Repeat, Transport
from worker.wire.records import UnreadableRecord, decode
from worker.words.errors import ConfigurationError, ModuleException, Unavailable
from worker.words.notices import PlatformTrouble, announce
from worker.words.texts import encode

if TYPE_CHECKING:
    from httpx_sse import ServerSentEvent

REPORT_SECONDS = 5.0  # timeout of one report; a lost one is sent again later


class AgentStream:
    """The event stream of one agent.

    Args:
        transport: The HTTP client of the platform.
        heartbeats: Sends the heartbeats.
        agent_id: The agent whose tasks are assigned.
        assigned: Called with each task as it was received.
        registered: Called when the platform has registered the worker, or when the stream has failed permanently.
        changed: Called with the id of a task that was ended by another client, if the platform reports that.
    """

    def __init__(
        self,
        transport: Transport,
        heartbeats: Heartbeats,
        agent_id: str,
        assigned: Callable[[dict[str, Any]], None],
        registered: Callable[[], Awaitable[None]],
        *,
        changed: Callable[[str], None],
    ) -> None:
        self._transport = transport
        self._heartbeats = heartbeats
        self.agent_id = agent_id
        self._assigned = assigned
        self._registered = registered
        self._changed = changed
        self.worker_id: str | None = None
        self.failure: ModuleException | None = None
        self._busy = False
        self._reported_busy: bool | None = (
            False  # the platform assumes this of a newly registered worker; None: the last report may not have arrived
        )
        self._following = asyncio.create_task(self._follow(), name=f"assignments of {agent_id}")

    async def report_capacity(self, *, busy: bool) -> None:
        """Report whether the worker is busy, if the platform does not know that already."""
        self._busy = busy
        if busy == self._reported_busy or self.worker_id is None:
            return
        self._reported_busy = busy if await self._report("worker-capacity-update", {"is_busy": busy}) else None

    async def leave(self) -> None:
        """Report that the worker leaves, then close the stream."""
        self._heartbeats.drop(self.agent_id)
        if self.worker_id is not None:
            await self._report("worker-finished", {})
        await self.close()

    async def close(self) -> None:
        """Close the stream."""
        self._following.cancel()
        await asyncio.gather(self._following, return_exceptions=True)

    async def _follow(self) -> None:
        """Keep the stream open, reconnecting until an error is final."""
        try:
            final = (ConfigurationError, KeyRefused)
            await until_done(f"following agent {self.agent_id}", self._once, backoff=STREAMS, give_up=final)
        except ModuleException as error:
            self.failure = error
            await self._registered()

    async def _once(self, well: Callable[[], None]) -> None:
        path = f"/events/{quote(self.agent_id, safe='')}/"
        params = {"environment": "local", "supports_llm_gateway": "true"}
        try:
            async with self._transport.stream(path, params=params, redirects=True) as sent:
                async for each in sent:
                    if await self._take(each):
                        well()
        except KeyRefused as error:
            if self.worker_id is None:
                raise
            raise Unavailable(error.description) from error  # the key was valid before, so this may be temporary
        raise Unavailable("The assignment stream ended.")

    async def _take(self, sent: "ServerSentEvent") -> bool:
        """Handle an event, and return whether it registered the worker."""
        try:
            data = decode(sent.data, f"a {sent.event}")
        except UnreadableRecord:
            return False
        if not isinstance(data, dict):
            return False
        body = cast("dict[str, Any]", data)
        match sent.event:
            case "worker-registration":
                await self._register(str(body.get("id")))
                return True
            case "agent-execution":
                self._assigned(body)
            case "task-stop":
                self._changed(str(body.get("task_id")))
            case "worker-environment-conflict":
                why = body.get("error") or "another worker serves this agent in another environment"
                raise ConfigurationError(f"{self._transport.addresses.shown} rejected this worker: {why}")
            case _:
                pass
        return False

    async def _register(self, worker_id: str) -> None:
        self.worker_id = worker_id
        url = f"{self._url}?{self._query}"

        def body() -> bytes:
            time = datetime.now(UTC).isoformat()
            return encode({"id": worker_id, "event": "worker-heartbeat", "data": time})

        self._heartbeats.keep(self.agent_id, Beat(url, body))
        self._reported_busy = False
        await self.report_capacity(busy=self._busy)
        await self._registered()

    @property
    def _url(self) -> str:
        return f"{self._transport.addresses.streams}/events/{quote(str(self.worker_id), safe='')}"

    @property
    def _query(self) -> str:
        return f"type=worker&agent_id={quote(self.agent_id, safe='')}"

    async def _report(self, event: str, data: dict[str, Any]) -> bool:
        """Send a report once, and return whether it arrived; the worker continues either way."""
        body = {"id": self.worker_id, "event": event, "data": data}
        try:
            await self._transport.call(
                "POST",
                f"{self._url}?{self._query}",
                body=body,
                repeat=Repeat.NEVER,
                seconds=REPORT_SECONDS,
                redirects=True,
            )
        except ModuleException as error:
            announce(PlatformTrouble(doing=f"reporting {event}", error=error))
            return False
        return True
