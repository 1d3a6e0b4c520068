"""What the server lets its pages have. They know it as a protocol of their own (``worker/dashboard/front.py``)."""

import asyncio
from collections.abc import AsyncGenerator

from starlette.responses import Response

from worker.server.service import Access, Service
from worker.server.streaming import EventStream


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

    async def sign_in(self, key: str) -> str:
        """What a session remembers of a key in its place. Raises: Unauthorized, Unavailable."""
        return await self._service.mark(key)

    async def admit(self, mark: str | None, organization_id: str | None) -> Access:
        """What a session may reach; without a mark what everybody may. Raises: Unauthorized, NotFound, Unavailable."""
        if mark is None:
            return await self._service.admit(None, organization_id)
        return await self._service.readmit(mark, organization_id)

    async def enter_queue(self, access: Access, agent_id: str) -> None:
        """Count one more task of an agent. Raises: QueueFull."""
        await self._service.queues.enter(access.room, agent_id)

    async def secret(self, name: str) -> bytes:
        """A secret of the server's own, the same in every process. Raises: Unavailable."""
        return await self._service.secret(name)

    def stream(self, pieces: AsyncGenerator[bytes]) -> Response:
        """Answer with server-sent events, until they end or the server closes."""
        return EventStream(self._service, pieces)
