"""A stand-in for a provider: a real server on 127.0.0.1 that speaks its wire, and fails where it is told to."""

import inspect
import json
import os
import socket
import struct
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from typing import Any, Self

from tests.providers.answers import Fault, Raw, Refused, Reply, Says
from tests.providers.bedrock import Bedrock
from tests.providers.wires import Anthropic, Cohere, Gemini, Groq, LiteLLM, Mistral, Ollama, OpenAIChat, Responses, Wire

WIRES: dict[str, Wire] = {
    each.name: each
    for each in (
        OpenAIChat(),
        Responses(),
        Anthropic(),
        Gemini(),
        Bedrock(),
        Mistral(),
        Groq(),
        Cohere(),
        Ollama(),
        *([LiteLLM()] if find_spec("litellm") is not None else []),
    )
}
"""By the provider's name. LiteLLM's where it is installed, by hand: it takes 230 MB, and four seconds to load."""

LIFE_SECONDS = 0.05  # between two signs of life


@dataclass(frozen=True, slots=True)
class Request:
    """What a model was asked.

    Args:
        path: Of the address.
        body: Its JSON.
        headers: By name, in lower case.
        streams: Whether the answer is wanted piece by piece.
        results: How many results of tools it holds: what a script goes by that may be asked again.
    """

    path: str
    body: Any
    headers: dict[str, str]
    streams: bool
    results: int


Script = Callable[[int, Request], Reply]


class StandIn:
    """The server, while it is entered.

    Args:
        wire: What it speaks.
        script: Its answers in turn, the last one for ever; or makes the answer to request number n, from 0.
    """

    def __init__(self, wire: Wire, script: Script | Sequence[Reply]) -> None:
        self.wire = wire
        self.requests: list[Request] = []
        self._script = script if callable(script) else _in_turn(script)
        self._models: list[Any] = []
        self._lock = threading.Lock()
        self._ends = threading.Event()
        self.hung_up = threading.Event()  # a client has gone before its answer was whole

    def __enter__(self) -> Self:
        outer = self

        class Handler(_Handler):
            standin = outer

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ends.set()
        self._server.shutdown()
        self._server.server_close()

    def model(self, **more: Any) -> Any:
        """Agno's model of the provider, which asks this server."""
        made = self.wire.model(self.url, **more)
        self._models.append(made)
        return made

    async def close_clients(self) -> None:
        """Close what its models have opened on this event loop, which is about to end."""
        for model in self._models:
            for client in (getattr(model, "async_client", None), getattr(model, "client", None)):
                await _close(client)

    def reply_to(self, request: Request) -> Reply:
        """The answer to one request."""
        with self._lock:
            number = len(self.requests)
            self.requests.append(request)
        return self._script(number, request)

    def wait(self, seconds: float | None = None) -> bool:
        """Wait, but no longer than the server lives; whether it has ended."""
        return self._ends.wait(seconds)


async def _close(client: Any) -> None:
    for close in (getattr(client, "aclose", None), getattr(client, "close", None)):
        if close is not None:
            closing = close()
            if inspect.isawaitable(closing):
                await closing
            return


def _in_turn(replies: Sequence[Reply]) -> Script:
    return lambda number, _: replies[min(number, len(replies) - 1)]


class _Handler(BaseHTTPRequestHandler):
    standin: StandIn
    protocol_version = "HTTP/1.1"

    def handle(self) -> None:
        """Serve a connection; a client that breaks it off is no error of ours."""
        with suppress(ConnectionError):
            super().handle()

    def do_POST(self) -> None:
        length = int(self.headers.get("content-length") or 0)
        body = self.rfile.read(length) if length else self._chunked()
        asked = json.loads(body or b"{}")
        wire = self.standin.wire
        headers = {name.lower(): value for name, value in self.headers.items()}
        streams = wire.is_streamed(self.path, asked)
        reply = self.standin.reply_to(Request(self.path, asked, headers, streams, wire.results(asked)))
        try:
            if isinstance(reply, Refused):
                self._refuse(reply)
            elif isinstance(reply, Raw):
                kind = reply.media_type or (wire.stream_type if streams else "application/json")
                self._stream(reply.events, kind, None, reply.status)
            elif streams:
                self._stream(wire.events(reply), wire.stream_type, reply.fault)
            else:
                self._answer(reply)
        except (BrokenPipeError, ConnectionResetError):
            self.standin.hung_up.set()
            self.close_connection = True

    def log_message(self, *_: object) -> None:  # pyright: ignore[reportIncompatibleMethodOverride] - its names
        """Say nothing."""

    def _chunked(self) -> bytes:
        parts: list[bytes] = []
        if "chunked" in self.headers.get("transfer-encoding", ""):
            while size := int(self.rfile.readline(), 16):
                parts.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
        return b"".join(parts)

    def _refuse(self, refused: Refused) -> None:
        wire = self.standin.wire
        body = json.dumps(wire.error(refused.status, refused.code, refused.message)).encode()
        self.send_response(refused.status)
        headers = {"content-type": "application/json", "content-length": str(len(body))}
        for name, value in {**headers, **wire.error_headers(refused.code), **refused.headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def _answer(self, says: Says) -> None:
        body = json.dumps(self.standin.wire.body(says)).encode()
        half = len(body) // 2
        if says.fault is not None and says.fault.at == 0 and self._goes_wrong(says.fault, 0):
            return
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self._write(body[:half])
        if says.fault is not None and says.fault.at > 0 and self._goes_wrong(says.fault, 1):
            return
        self._write(body[half:])

    def _stream(self, events: Sequence[bytes], kind: str, fault: Fault | None, status: int = 200) -> None:
        if fault is not None and fault.at == 0 and self._goes_wrong(fault, 0):
            return
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        for index, event in enumerate(events):
            if not event:
                continue  # an empty chunk would be the end
            if fault is not None and fault.at == index > 0 and self._goes_wrong(fault, index):
                return
            self._chunk(event)
        self._write(b"0\r\n\r\n")

    def _goes_wrong(self, fault: Fault, index: int) -> bool:
        """Do what was asked for; whether the answer is over with that."""
        match fault.kind:
            case "delay":
                return self.standin.wait(fault.seconds)
            case "cut":
                self._reset()
            case "close" if index == 0:  # before a word was said
                self.close_connection = True
            case "close":
                self._write(b"0\r\n\r\n")
                self.close_connection = True
            case "fail" if index == 0:
                self._refuse(Refused(fault.status, fault.message, fault.code))
            case "fail":
                self._chunk(self.standin.wire.error_event(fault.status, fault.code, fault.message))
                self._write(b"0\r\n\r\n")
            case "stall":
                self.standin.wait()
            case "comments":
                self._keep_alive(index)
        return True

    def _keep_alive(self, index: int) -> None:
        comment = self.standin.wire.comment
        if index == 0:
            self.send_response(200)
            self.send_header("content-type", self.standin.wire.stream_type)
            self.send_header("transfer-encoding", "chunked")
            self.end_headers()
        while not self.standin.wait(LIFE_SECONDS):
            if comment:
                self._chunk(comment)

    def _chunk(self, data: bytes) -> None:
        self._write(f"{len(data):x}\r\n".encode() + data + b"\r\n")

    def _write(self, data: bytes) -> None:
        self.wfile.write(data)
        self.wfile.flush()

    def _reset(self) -> None:
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True
        os.close(self.connection.detach())
