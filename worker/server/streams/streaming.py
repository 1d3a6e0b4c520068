"""An answer that goes on: server-sent events in as few writes as there are pieces."""

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import ExitStack, aclosing
from typing import Any

from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from worker.server.identity.access import Access
from worker.server.service import Service

SLOW_SECONDS = 20.0  # a reader that takes nothing for so long is dropped; it resumes by the last number it saw
HEADERS = {
    "cache-control": "no-store",
    "x-accel-buffering": "no",  # nginx would keep events back
}


def frame(data: Any, *, event: str | None = None, number: int | None = None) -> bytes:
    """One server-sent event with JSON in it."""
    return framed(json.dumps(data, ensure_ascii=False, separators=(",", ":")), event=event, number=number)


def framed(data: str, *, event: str | None = None, number: int | None = None) -> bytes:
    """One server-sent event around JSON text, in which no line ends."""
    head = f"event: {event}\n" if event else ""
    head += f"id: {number}\n" if number is not None else ""
    return f"{head}data: {data}\n\n".encode("utf-8", "replace")


class EventStream(Response):
    """Writes pieces until they end, the reader or its key goes, the reader is too slow, or the server closes.

    Args:
        service: Says when the server closes.
        pieces: Bytes, each one write.
        access: By what it was opened: it ends when that opens nothing any more. None: that is not decided yet, and
            ``opened_by`` says it later.
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
        """End when this opens nothing any more."""
        self._watches.enter_context(self._service.keyring.watch(access, self._gone))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer."""
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
            return  # too slow: the connection is closed without an end, so the reader knows that there is more
        if isinstance(results[0], Exception):
            raise results[0]
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _write(self, send: Send) -> None:
        async with aclosing(self._pieces) as pieces:
            async for piece in pieces:
                message: Message = {"type": "http.response.body", "body": piece, "more_body": True}
                async with asyncio.timeout(SLOW_SECONDS):
                    await send(message)


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _wait(event: asyncio.Event) -> None:
    await event.wait()
