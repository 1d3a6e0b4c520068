"""A real web server on loopback whose answers a test writes byte by byte, and real files to serve."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass, field
from io import BytesIO

from fpdf import FPDF
from PIL import Image

Answer = bytes | Callable[[asyncio.StreamWriter], Awaitable[None]] | None  # None: silence until the client goes


def ok(body: bytes, media_type: str = "", *headers: str) -> bytes:
    """Return a whole answer."""
    lines = ["HTTP/1.1 200 OK", f"Content-Length: {len(body)}", *headers]
    if media_type:
        lines.append(f"Content-Type: {media_type}")
    return "\r\n".join([*lines, "", ""]).encode() + body


def redirect(location: str, status: int = 302) -> bytes:
    """Return an answer that sends the client elsewhere."""
    return f"HTTP/1.1 {status} Found\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n".encode()


def status(code: int, phrase: str) -> bytes:
    """Return an empty answer with a status."""
    return f"HTTP/1.1 {code} {phrase}\r\nContent-Length: 0\r\n\r\n".encode()


@dataclass
class Site:
    """Where the server listens, what it answers, and what it was asked."""

    port: int = 0
    routes: dict[str, Answer] = field(default_factory=dict[str, Answer])
    heads: list[str] = field(default_factory=list[str])
    open_connections: int = 0

    def url(self, path: str, host: str = "127.0.0.1", scheme: str = "http") -> str:
        return f"{scheme}://{host}:{self.port}{path}"

    def paths(self) -> list[str]:
        return [head.split(" ")[1] for head in self.heads]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.open_connections += 1
        try:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                self.heads.append(head)
                answer = self.routes.get(head.split(" ")[1], status(404, "Not Found"))
                if answer is None:
                    await reader.read()
                elif isinstance(answer, bytes):
                    writer.write(answer)
                else:
                    await answer(writer)
                await writer.drain()
        finally:
            self.open_connections -= 1
            writer.close()


@contextlib.asynccontextmanager
async def serving(tls: ssl.SSLContext | None = None) -> AsyncGenerator[Site, None]:
    """Serve a site on a free port of loopback until the block ends; every connection answers one request."""
    site = Site()
    server = await asyncio.start_server(site.serve, "127.0.0.1", 0, ssl=tls)
    site.port = server.sockets[0].getsockname()[1]
    try:
        yield site
    finally:
        server.close()


def pdf(*pages: str, password: str | None = None) -> bytes:
    """Return a PDF with a line of text on each page; an empty line leaves the page blank."""
    document = FPDF()
    if password is not None:
        document.set_encryption(owner_password="owner", user_password=password)
    document.set_font("Helvetica", size=12)
    for page in pages:
        document.add_page()
        if page:
            document.multi_cell(0, text=page)
    return bytes(document.output())


def picture(form: str) -> bytes:
    """Return a small picture: PNG, JPEG, GIF, WEBP, BMP or TIFF."""
    out = BytesIO()
    Image.effect_noise((64, 48), 90).convert("RGB").save(out, form)
    return out.getvalue()
