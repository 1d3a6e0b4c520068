"""The server of ``worker dev``: its port, and a server that leaves signals to the process."""

import asyncio
import socket
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

from fastapi import FastAPI

from worker.server.main import HttpServer, listen
from worker.words.errors import ConfigurationError

NEXT_PORTS = 20  # tried in order, unless a certain port was requested


def listen_near(host: str, port: int, *, exactly: bool) -> socket.socket:
    """Open the listening socket.

    Args:
        host: The address to listen on.
        port: The port to listen on.
        exactly: Whether this port was requested; otherwise the next free one will do.

    Raises:
        ConfigurationError: The port is taken, or the address is not one of this machine's.
    """
    try:
        return listen(host, port)
    except ConfigurationError as error:
        if exactly:
            raise ConfigurationError(
                f"{error.description}; choose another port with --port N, or any free one with --port 0"
            ) from None
        for near in range(port + 1, min(port + NEXT_PORTS, 65535) + 1):
            try:
                return listen(host, near)
            except ConfigurationError:
                continue
        raise


class InProcessServer(HttpServer):
    """A server in a process that has other work: it handles no signals, and reports when it is up."""

    def __init__(self, application: FastAPI, **options: Any) -> None:
        super().__init__(application, **options)
        self.up = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, and set ``up``."""
        await super().startup(sockets)
        self.up.set()

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        """Leave the signals to the process."""
        yield
