"""HTTP connections with limits on the bytes, headers and time that a peer may use before it has presented a key.

uvicorn's parser (httptools) limits neither the size nor the number of headers, and has no timeouts. This module counts
the bytes and seconds of each connection, and buffers nothing beyond these limits.
"""

import asyncio
from collections import Counter
from typing import Any, cast

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from worker.server.timings import DEFAULT, ServerTimings

HEADER_BYTES = 64 * 1024  # the limit of h11, uvicorn's other parser
HEADERS = 100  # the default of Apache's LimitRequestFields
BODY_SECONDS = 30.0  # for a body of any size, plus the time that the rate below allows for its size
BODY_BYTES_A_SECOND = 16 * 1024  # connections of slower senders are closed

Peer = str


class Peers:
    """Counts the open connections of each address.

    Args:
        most: The most connections per address; 0 means no limit.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self._count = Counter[Peer]()

    def enter(self, peer: Peer) -> bool:
        """Count a new connection, and return whether its address is within the limit."""
        self._count[peer] += 1
        return not self.most or self._count[peer] <= self.most

    def leave(self, peer: Peer) -> None:
        """Count a closed connection."""
        self._count[peer] -= 1
        if self._count[peer] <= 0:
            del self._count[peer]


def bounded(most: int, timings: ServerTimings) -> type["BoundedConnection"]:
    """Return a protocol class for a server that accepts at most ``most`` connections per address."""
    return type("BoundedConnection", (BoundedConnection,), {"peers": Peers(most), "timings": timings})


class BoundedConnection(HttpToolsProtocol):
    """A connection that enforces these limits."""

    peers = Peers(0)
    timings = DEFAULT

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._peer: Peer | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._in_headers = True
        self._header_bytes = 0
        self._body_until = 0.0

    def connection_made(self, transport: asyncio.Transport) -> None:  # pyright: ignore[reportIncompatibleMethodOverride] # uvicorn's own
        """Start the connection, or refuse it if its address has too many."""
        super().connection_made(transport)
        self._peer = self.client[0] if self.client else ""
        if not self.peers.enter(self._peer):
            self._refuse(429, "Too many connections from this address.")
            return
        self._await_headers()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the timer and count the connection as closed."""
        self._stop_timer()
        if self._peer is not None:
            self.peers.leave(self._peer)
            self._peer = None
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse received bytes; refuse the request if its headers are too large."""
        if self._in_headers and self._timer is None:
            self._await_headers()
        while data and not self.transport.is_closing():
            most = max(1, HEADER_BYTES - self._header_bytes) if self._in_headers else HEADER_BYTES
            piece, data = data[:most], data[most:]
            self._header_bytes += len(piece)
            super().data_received(piece)
            if self._header_bytes >= (HEADER_BYTES if self._in_headers else 2 * HEADER_BYTES):
                self._refuse(431, f"The request headers exceed {HEADER_BYTES:,} bytes.")

    def on_message_begin(self) -> None:
        """Reset the counters for a new request and start the header timeout."""
        super().on_message_begin()
        self._in_headers, self._header_bytes = True, 0
        self._await_headers()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Accept a header, unless there are too many."""
        if len(self.headers) >= HEADERS:
            self._refuse(431, f"The request has more than {HEADERS} headers.")
            return
        if not self._in_headers:
            return  # a trailer after the body: ignored
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Start the body timeouts."""
        if self.transport.is_closing():
            return
        self._in_headers, self._header_bytes = False, 0
        lengths = (value[:20] for name, value in self.headers if name == b"content-length")
        size = next((int(each) for each in lengths if each.isdigit()), 0)
        self._body_until = self.loop.time() + BODY_SECONDS + size / BODY_BYTES_A_SECOND
        self._await_body()
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Accept a chunk of the body and restart the timeout."""
        if self.transport.is_closing():
            return
        self._header_bytes = 0  # within a body, this counts bytes other than the body's: chunk sizes and trailers
        self._await_body()
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Stop the timer at the end of a request."""
        self._stop_timer()
        self._in_headers, self._header_bytes = True, 0
        if not self.transport.is_closing():
            super().on_message_complete()

    def _await_headers(self) -> None:
        self._start_timer(self.timings.headers, self._headers_late)

    def _await_body(self) -> None:
        left = max(0.0, self._body_until - self.loop.time())
        self._start_timer(min(self.timings.body_gap, left), self._body_late)

    def _headers_late(self) -> None:
        self._refuse(408, f"The request headers were not received within {self.timings.headers:g} s.")

    def _body_late(self) -> None:
        if self.flow.read_paused and self.loop.time() < self._body_until:  # the server has paused reading, not the peer
            self._await_body()
            return
        self._refuse(408, "The request body was not received in time.")

    def _start_timer(self, seconds: float, late: Any) -> None:
        self._stop_timer()
        self._timer = self.loop.call_later(seconds, late)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _refuse(self, status: int, why: str) -> None:
        """Close the connection, with an error response if none has been started."""
        self._stop_timer()
        if self.transport.is_closing():
            return
        cycle = cast("RequestResponseCycle | None", self.cycle)  # None before the first request
        if cycle is None or cycle.response_complete or not cycle.response_started:
            body = b'{"status_code":%d,"description":"%s","kind":"ModuleException"}' % (status, why.encode())
            head = b"content-type: application/json\r\ncontent-length: %d\r\nconnection: close\r\n\r\n" % len(body)
            self.transport.write(STATUS_LINE[status] + head + body)
        self.transport.close()
