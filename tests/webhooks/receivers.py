"""A receiver of webhooks on a real socket, and a verifier that shares no line with the sender."""

import asyncio
import base64
import contextlib
import hashlib
import hmac
import json
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from typing import Any

from tests.support import wait_until

ANSWERS = {200: "OK", 204: "No Content", 302: "Found", 404: "Not Found", 410: "Gone", 503: "Service Unavailable"}


@dataclass
class Message:
    """What came."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def told(self) -> dict[str, Any]:
        return json.loads(self.body)


@dataclass
class Receiver:
    """Answers with its statuses in turn, the last of them for ever; 0 is silence."""

    statuses: list[int] = field(default_factory=lambda: [204])
    messages: list[Message] = field(default_factory=list[Message])
    port: int = 0
    open_connections: int = 0

    def url(self, path: str = "/hook", host: str = "127.0.0.1") -> str:
        return f"http://{host}:{self.port}{path}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.open_connections += 1
        try:
            await self._serve(reader, writer)
        finally:
            self.open_connections -= 1
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            head, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().strip().split("\r\n")
            headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
            body = await reader.readexactly(int(headers["content-length"]))
            self.messages.append(Message(head.split(" ")[1], headers, body))
            status = self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]
            if status == 0:
                await reader.read()
            lines = [f"HTTP/1.1 {status} {ANSWERS.get(status, '')}", f"location: {self.url('/elsewhere')}"]
            writer.write("\r\n".join([*lines, "content-length: 0", "connection: close", "", ""]).encode())
            await writer.drain()


@contextlib.asynccontextmanager
async def receiving(*statuses: int) -> AsyncGenerator[Receiver, None]:
    """A receiver on a free port of loopback, until the block ends."""
    receiver = Receiver(list(statuses) or [204])
    server = await asyncio.start_server(receiver.serve, "127.0.0.1", 0)
    receiver.port = server.sockets[0].getsockname()[1]
    try:
        yield receiver
    finally:
        server.close()
        await wait_until(lambda: not receiver.open_connections, "the sender lets go of its connections")


def is_signed_with(message: Message, secret: str) -> bool:
    """Whether a message is signed with a secret, as the specification says: https://www.standardwebhooks.com."""
    key = base64.b64decode(secret.split("_", 1)[1])
    content = b".".join(
        (message.headers["webhook-id"].encode(), message.headers["webhook-timestamp"].encode(), message.body)
    )
    expected = base64.b64encode(hmac.new(key, content, hashlib.sha256).digest()).decode()
    versions = [each.split(",", 1) for each in message.headers["webhook-signature"].split(" ")]
    return any(version == "v1" and hmac.compare_digest(given, expected) for version, given in versions)
