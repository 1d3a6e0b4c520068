"""The server's way in: its port, and a server whose signals are the whole process's."""

import asyncio
import socket
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

from fastapi import FastAPI

from worker.server.main import HttpServer, listen
from worker.words.errors import ConfigurationError

NEXT_PORTS = 20  # tried one after another where nobody asked for a certain one


def listen_near(host: str, port: int, *, exactly: bool) -> socket.socket:
    """Open the listening socket.

    Args:
        host: Address to listen on.
        port: Port to listen on.
        exactly: Somebody asked for this very port; else the next free one will do.

    Raises:
        ConfigurationError: It is taken, or the address is none of this machine's.
    """
    try:
        return listen(host, port)
    except ConfigurationError as error:
        if exactly:
            raise ConfigurationError(f"{error.description}; choose another: --port N, or --port 0 for any") from None
        for near in range(port + 1, min(port + NEXT_PORTS, 65535) + 1):
            try:
                return listen(host, near)
            except ConfigurationError:
                continue
        raise


class GuestServer(HttpServer):
    """A server in a process that has other things to do: it takes no signals, and says when it is up."""

    def __init__(self, application: FastAPI, **options: Any) -> None:
        super().__init__(application, **options)
        self.up = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, and say so."""
        await super().startup(sockets)
        self.up.set()

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        """Leave signals to the process."""
        yield
