"""Streaming responses: server-sent events, one write for each chunk."""

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import ExitStack, aclosing
from typing import Any

from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from worker.server.identity.access import Access
from worker.server.service import Service

HEADERS = {
    "cache-control": "no-store",
    "x-accel-buffering": "no",  # otherwise nginx buffers events
}


def frame(data: Any, *, event: str | None = None, number: int | None = None) -> bytes:
    """Return a server-sent event that contains a value as JSON."""
    return framed(json.dumps(data, ensure_ascii=False, separators=(",", ":")), event=event, number=number)


def framed(data: str, *, event: str | None = None, number: int | None = None) -> bytes:
    """Return a server-sent event that contains JSON text, which must have no line breaks."""
    head = f"event: {event}\n" if event else ""
    head += f"id: {number}\n" if number is not None else ""
    return f"{head}data: {data}\n\n".encode("utf-8", "replace")


class EventStream(Response):
    """A response that streams chunks of bytes.

    It ends with the chunks, when the client leaves or reads too slowly, when its key expires, or when the server
    closes.

    Args:
        service: The state of the server, which signals when the server closes.
        pieces: The chunks; each is one write.
        access: The permissions under which the stream was opened; the stream ends when they expire. None means that
            they are not known yet and will be passed to ``opened_by``.
    """

    media_type = "text/event-stream"

    def __init__(self, service: Service, pieces: AsyncGenerator[bytes], access: Access | None) -> None:
        super().__init__(headers=HEADERS)
        del self.headers["content-length"]
        self._service = service
        self._pieces = pieces
        self._gone = asyncio.Event()
        self._watches = ExitStack()
        self._access = access

    def opened_by(self, access: Access) -> None:
        """End the stream when these permissions expire."""
        self._watches.enter_context(self._service.keyring.watch(access, self._gone))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the response."""
        del scope
        with self._watches:
            if self._access is not None:
                self.opened_by(self._access)
            await self._answer(receive, send)

    async def _answer(self, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        loop = asyncio.get_running_loop()
        writing = loop.create_task(self._write(send))
        events = (self._service.closing, self._gone)
        leaving = [loop.create_task(_left(receive)), *(loop.create_task(_wait(each)) for each in events)]
        try:
            await asyncio.wait([writing, *leaving], return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (writing, *leaving):
                task.cancel()
            results = await asyncio.gather(writing, *leaving, return_exceptions=True)
        if isinstance(results[0], TimeoutError):
            return  # too slow: closed without a final chunk, so the client knows that the stream is incomplete
        if isinstance(results[0], Exception):
            raise results[0]
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _write(self, send: Send) -> None:
        async with aclosing(self._pieces) as pieces:
            async for piece in pieces:
                message: Message = {"type": "http.response.body", "body": piece, "more_body": True}
                async with asyncio.timeout(self._service.timings.slow_reader):
                    await send(message)


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _wait(event: asyncio.Event) -> None:
    await event.wait()
