"""HTTP connections within bounds: what a peer may send before it has shown a key, and how long it may take.

uvicorn's parser (httptools) bounds neither the bytes of a header nor their number, and waits for ever. Everything here
counts bytes and seconds of one connection; nothing of a request is kept beyond these bounds.
"""

import asyncio
from collections import Counter
from typing import Any, cast

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

HEADER_BYTES = 64 * 1024  # as h11 allows, uvicorn's other parser
HEADERS = 100  # as Apache's LimitRequestFields
HEADER_SECONDS = 10.0  # from the first byte, or from the connection's beginning, to the end of the headers
SILENT_SECONDS = 15.0  # within a body, between two pieces of it
BODY_SECONDS = 30.0  # for a body of any size, and on top of it:
BODY_BYTES_A_SECOND = 16 * 1024  # slower senders are ended

Peer = str


class Peers:
    """How many connections each address has.

    Args:
        most: Of one address; 0: any number.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self._count = Counter[Peer]()

    def enter(self, peer: Peer) -> bool:
        """Count one more; whether that is not too many."""
        self._count[peer] += 1
        return not self.most or self._count[peer] <= self.most

    def leave(self, peer: Peer) -> None:
        """Count one less."""
        self._count[peer] -= 1
        if self._count[peer] <= 0:
            del self._count[peer]


def bounded(most: int) -> type["BoundedConnection"]:
    """The protocol for a server that takes so many connections of one address."""
    peers = Peers(most)
    return type("BoundedConnection", (BoundedConnection,), {"peers": peers})


class BoundedConnection(HttpToolsProtocol):
    """One connection."""

    peers = Peers(0)

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._peer: Peer | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._in_headers = True
        self._header_bytes = 0
        self._body_until = 0.0

    def connection_made(self, transport: asyncio.Transport) -> None:  # pyright: ignore[reportIncompatibleMethodOverride] # uvicorn's own
        """Begin, if the address has not too many already."""
        super().connection_made(transport)
        self._peer = self.client[0] if self.client else ""
        if not self.peers.enter(self._peer):
            self._refuse(429, "Too many connections of this address.")
            return
        self._await_headers()

    def connection_lost(self, exc: Exception | None) -> None:
        """End."""
        self._stop_timer()
        if self._peer is not None:
            self.peers.leave(self._peer)
            self._peer = None
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse what came, of headers no more than is allowed."""
        if self._in_headers and self._timer is None:
            self._await_headers()
        while data and not self.transport.is_closing():
            most = max(1, HEADER_BYTES - self._header_bytes) if self._in_headers else HEADER_BYTES
            piece, data = data[:most], data[most:]
            self._header_bytes += len(piece)
            super().data_received(piece)
            if self._header_bytes >= (HEADER_BYTES if self._in_headers else 2 * HEADER_BYTES):
                self._refuse(431, f"The headers are larger than {HEADER_BYTES:,} bytes.")

    def on_message_begin(self) -> None:
        """A request begins."""
        super().on_message_begin()
        self._in_headers, self._header_bytes = True, 0
        self._await_headers()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header, if they are not too many."""
        if len(self.headers) >= HEADERS:
            self._refuse(431, f"There are more than {HEADERS} headers.")
            return
        if not self._in_headers:
            return  # after a body: nobody asks for them
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """A body may follow."""
        if self.transport.is_closing():
            return
        self._in_headers, self._header_bytes = False, 0
        lengths = (value[:20] for name, value in self.headers if name == b"content-length")
        size = next((int(each) for each in lengths if each.isdigit()), 0)
        self._body_until = self.loop.time() + BODY_SECONDS + size / BODY_BYTES_A_SECOND
        self._await_body()
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """A piece of the body came."""
        if self.transport.is_closing():
            return
        self._header_bytes = 0  # what is neither a body nor the end of one: sizes of its pieces, headers after it
        self._await_body()
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Nothing more is awaited."""
        self._stop_timer()
        self._in_headers, self._header_bytes = True, 0
        if not self.transport.is_closing():
            super().on_message_complete()

    def _await_headers(self) -> None:
        self._start_timer(HEADER_SECONDS, self._headers_late)

    def _await_body(self) -> None:
        self._start_timer(min(SILENT_SECONDS, max(0.0, self._body_until - self.loop.time())), self._body_late)

    def _headers_late(self) -> None:
        self._refuse(408, f"The headers took longer than {HEADER_SECONDS:g} s.")

    def _body_late(self) -> None:
        if self.flow.read_paused and self.loop.time() < self._body_until:  # it is we who do not read
            self._await_body()
            return
        self._refuse(408, "The body took too long.")

    def _start_timer(self, seconds: float, late: Any) -> None:
        self._stop_timer()
        self._timer = self.loop.call_later(seconds, late)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _refuse(self, status: int, why: str) -> None:
        """End the connection; where nothing has been answered yet, with a reason."""
        self._stop_timer()
        if self.transport.is_closing():
            return
        cycle = cast("RequestResponseCycle | None", self.cycle)  # none before the first request
        if cycle is None or cycle.response_complete or not cycle.response_started:
            body = b'{"status_code":%d,"description":"%s","kind":"ModuleException"}' % (status, why.encode())
            head = b"content-type: application/json\r\ncontent-length: %d\r\nconnection: close\r\n\r\n" % len(body)
            self.transport.write(STATUS_LINE[status] + head + body)
        self.transport.close()
