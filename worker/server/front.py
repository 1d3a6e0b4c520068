"""What the server lets its pages have. They know it as a protocol of their own (``worker/dashboard/front.py``)."""

import asyncio
from collections.abc import AsyncGenerator, Sequence

from starlette.responses import Response

from worker.server.access import Access, Unauthorized
from worker.server.doors import FILE_BYTES, FORM_BYTES
from worker.server.service import Service
from worker.server.streaming import EventStream
from worker.words.errors import Unavailable

SESSION_SECONDS = 12 * 3600  # as long as the cookie that holds its token


class Front:
    """The server as its pages see it.

    Args:
        service: The server's own state.
    """

    def __init__(self, service: Service) -> None:
        self._service = service

    @property
    def closing(self) -> asyncio.Event:
        """Set when the server closes."""
        return self._service.closing

    @property
    def file_bytes(self) -> int:
        """The largest file that is worth sending: what a worker with these settings reads."""
        return min(self._service.settings.file_bytes, FILE_BYTES)

    @property
    def task_bytes(self) -> int:
        """The same for all files of a task."""
        return min(self._service.settings.task_bytes, FORM_BYTES)

    async def sign_in(self, key: str) -> str:
        """Begin a session with a key; the token that finds it. Raises: Unauthorized, Unavailable."""
        return await self._service.host.sessions.begin(await self._service.keyring.mark(key), SESSION_SECONDS)

    async def sign_out(self, mark: str) -> None:
        """End a session. Raises: Unavailable."""
        await self._service.host.sessions.end(mark)

    async def admit(self, mark: str | None, organization_id: str | None) -> Access:
        """What a session may reach; without a mark what everybody may. Raises: Unauthorized, NotFound, Unavailable."""
        if mark is None:
            return await self._service.keyring.admit(None, organization_id)
        known = await self._service.host.sessions.find(mark) if self._service.is_open else ""
        if known is None:
            raise Unauthorized(description="This session has ended: sign in again.")
        return await self._service.keyring.readmit(known, organization_id)

    async def enter_queue(self, access: Access, agent_id: str) -> None:
        """Count one more task of an agent. Raises: QueueFull."""
        await self._service.queues.enter(access.room, agent_id)

    async def secrets(self, name: str) -> Sequence[bytes]:
        """Secrets of the server's own, the same in every process, the newest first. Raises: Unavailable."""
        if not self._service.is_open:
            raise Unavailable("the database cannot be reached", retry_after=2)
        return await self._service.secrets.of(name)

    def stream(self, pieces: AsyncGenerator[bytes], access: Access) -> Response:
        """Answer with server-sent events, until they end, the visitor's key is gone, or the server closes."""
        return EventStream(self._service, pieces, access)
