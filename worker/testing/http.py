"""A minimal HTTP server for a stand-in platform: it can answer, stream, hang, and break a connection in the middle."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

PHRASES = {200: "OK", 404: "Not Found", 409: "Conflict", 503: "Service Unavailable"}


@dataclass(frozen=True, slots=True)
class Request:
    """A request that was received."""

    method: str
    segments: tuple[str, ...]
    query: dict[str, str]
    headers: dict[str, str]
    body: Any


@dataclass(frozen=True, slots=True)
class Answer:
    """A response with a JSON body."""

    body: Any = None
    status: int = 200


class Stream:
    """An event stream of a client.

    Args:
        reader: The connection's reader, which shows whether the client is still there.
        writer: The connection's writer.
    """

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self.silent = False

    def open(self) -> None:
        """Send the response's head."""
        self._write("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")

    def send(self, data: Any, event: str | None = None) -> None:
        """Send an event."""
        self._chunk((f"event: {event}\n" if event else "") + f"data: {json.dumps(data)}\n\n")

    def comment(self) -> None:
        """Send a comment as a sign of life."""
        self._chunk(": alive\n\n")

    def cut(self) -> None:
        """Break the connection off."""
        self._writer.transport.abort()

    @property
    def is_open(self) -> bool:
        """Whether the client is still connected, as far as is known."""
        return not self._writer.is_closing() and not self._reader.at_eof()

    def _chunk(self, text: str) -> None:
        self._write(f"{len(text.encode()):x}\r\n{text}\r\n")

    def _write(self, text: str) -> None:
        if not self.silent and self.is_open:
            self._writer.write(text.encode())


Handle = Callable[[Request], Awaitable[Answer]]
Serve = Callable[[Request, Stream], Awaitable[None] | None]
"""Returns None if the request is not for a stream; otherwise it streams until the stream ends."""


class Server:
    """A server on a free port of the loopback interface.

    Args:
        handle: Answers ordinary requests.
        serve: Serves requests for streams.
    """

    def __init__(self, handle: Handle, serve: Serve) -> None:
        self._handle = handle
        self._serve = serve
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()
        self.hangs = False
        self.unanswered: list[Request] = []  # received while the server hung
        self.port = 0

    async def start(self) -> None:
        """Start to listen."""
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Stop listening, and end every connection."""
        if self._server is not None:
            self._server.close()
        for each in self._connections:
            each.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._converse(reader, writer))
        self._connections.add(task)
        task.add_done_callback(self._connections.discard)

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with suppress(OSError, asyncio.IncompleteReadError):
                while (request := await _read(reader)) is not None:
                    if self.hangs:
                        self.unanswered.append(request)
                        await reader.read()  # the request is accepted, and never answered
                        return
                    streaming = self._serve(request, Stream(reader, writer))
                    if streaming is not None:
                        await streaming
                        return
                    _answer(writer, await self._handle(request))
                    await writer.drain()
        finally:
            writer.transport.abort()


async def _read(reader: asyncio.StreamReader) -> Request | None:
    first = (await reader.readline()).decode()
    if not first.strip():
        return None
    method, target, _ = first.split()
    headers: dict[str, str] = {}
    while line := (await reader.readline()).decode().strip():
        name, _, value = line.partition(":")
        headers[name.lower()] = value.strip()
    content = await reader.readexactly(int(headers.get("content-length", 0)))
    parts = urlsplit(target)
    return Request(
        method=method,
        segments=tuple(unquote(each) for each in parts.path.split("/") if each),
        query=dict(parse_qsl(parts.query)),
        headers=headers,
        body=json.loads(content) if content and "json" in headers.get("content-type", "") else content or None,
    )


def _answer(writer: asyncio.StreamWriter, answer: Answer) -> None:
    content = json.dumps(answer.body).encode()
    phrase = PHRASES.get(answer.status, "Other")
    head = (
        f"HTTP/1.1 {answer.status} {phrase}\r\ncontent-type: application/json\r\ncontent-length: {len(content)}\r\n\r\n"
    )
    writer.write(head.encode() + content)
