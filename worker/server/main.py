"""A server as a process: settings to platform to application, the way in and the way out."""

import asyncio
import ipaddress
import os
import signal
import socket
from types import FrameType
from typing import Any

import uvicorn
from fastapi import FastAPI

from worker import wiring
from worker.contracts import Host, check_organization
from worker.server.app import Pages, create_app
from worker.server.limits.connections import bounded
from worker.server.service import Service
from worker.settings import Settings
from worker.words.errors import ConfigurationError, Unavailable, ValidationError
from worker.words.notices import PlatformTrouble, announce

LEAST_KEY = 16  # characters
LOOPBACK = "127.0.0.1"
EVERYWHERE = "0.0.0.0"  # noqa: S104 - a server beyond loopback has a key, which is checked before it listens
GRACE_SECONDS = 5  # for requests under way when it is told to stop; streams end at once
BACKLOG = 2048
ROUTERS = "10.0.0.0/8,172.16.0.0/12,192.168.0.0/16,100.64.0.0/10,127.0.0.0/8,fc00::/7"
"""Where Heroku's routers are. Whom they speak for is the last address that is not among these: what a client writes in
front of it itself is passed on, too, and counts for nothing."""
SILENT_PEER_SECONDS = 30  # a peer that acknowledges nothing for so long is gone: half-open streams hold no worker


class HttpServer(uvicorn.Server):
    """uvicorn, ending every stream before it waits for requests to end."""

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End streams and long polls, then the rest."""
        import structlog

        structlog.get_logger("worker").info("server stopping")
        service: Service = self._application.state.service
        service.close()
        await super().shutdown(sockets)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Note a signal; uvicorn's own way would also die of it in the end, where an orderly end is exit code 0."""
        del frame
        if self.should_exit and sig == signal.SIGINT:
            self.force_exit = True
        self.should_exit = True

    def __init__(self, application: FastAPI, **options: Any) -> None:
        self._application = application
        service: Service = application.state.service
        on_heroku = "DYNO" in os.environ  # its router alone reaches a dyno, and bounds its clients itself
        most_connections = 0 if on_heroku else service.settings.connections_per_address
        options = {
            "log_config": None,
            "access_log": False,
            "lifespan": "on",
            "timeout_graceful_shutdown": GRACE_SECONDS,
            "timeout_keep_alive": 75,  # longer than a router's own 60 s, so that it is the router that ends them
            "server_header": False,
            "http": bounded(most_connections),
            "ws": "none",
            "forwarded_allow_ips": ROUTERS if on_heroku else None,
            **options,
        }
        super().__init__(uvicorn.Config(application, **options))


def serve(settings: Settings, *, host: str | None = None, pages: Pages | None = None) -> int:
    """Run a server until it is told to stop. Blocks; must be called on the main thread, for its signals.

    The process is on its way out then: SIGTERM is ignored from there on.

    Args:
        settings: The port, the key, the database.
        host: Address to listen on; None: every one where the environment gives a port or there is a key, else loopback.
        pages: Makes the pages for people.

    Returns:
        The exit code.

    Raises:
        ConfigurationError: It would be open beyond loopback, or its organization has a reserved name; nothing was
            started.
    """
    check_organization_of(settings)
    platform = wiring.engine(settings)
    has_key = settings.server_key is not None or asyncio.run(_has_stored_key(platform))
    address = host or (EVERYWHERE if has_key or "PORT" in os.environ else LOOPBACK)
    check_reach(address, has_key=has_key)
    check_strength(address, settings)
    application = create_app(platform, settings, open_without_key=is_loopback(address), pages=pages)
    listening = listen(address, settings.port)
    _say(platform, listening, has_key=has_key)
    server = HttpServer(application)
    signal.signal(signal.SIGTERM, server.handle_exit)  # what uvicorn restores in the end
    server.run(sockets=[listening])
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # Python itself restores all but this: a late one spoils no exit code
    return 0 if server.started else 1


def check_reach(address: str, *, has_key: bool) -> None:
    """See whether a server may listen there. Raises: ConfigurationError."""
    if not has_key and not is_loopback(address):
        raise ConfigurationError(
            f"the server does not listen on {address} without a key: set WORKER_API_KEY, or run `worker key create"
            " --organization O`"
        )


def check_strength(address: str, settings: Settings) -> None:
    """See whether the key is one that nobody guesses. Raises: ConfigurationError."""
    key = settings.server_key.get_secret_value() if settings.server_key else None
    if key is not None and len(key) < LEAST_KEY and not is_loopback(address):
        raise ConfigurationError(
            f"WORKER_API_KEY has {len(key)} characters; beyond loopback it must have at least {LEAST_KEY}:"
            " `openssl rand -hex 32` makes one"
        )


def check_organization_of(settings: Settings) -> None:
    """See whether the organization's name can stand in an address. Raises: ConfigurationError."""
    try:
        check_organization(settings.organization_id)
    except ValidationError as error:
        raise ConfigurationError(f"XPANDER_ORGANIZATION_ID: {error.description}") from None


async def _has_stored_key(platform: Host) -> bool:
    """Whether the database has a key; where it is away, that is not known, and counts as none."""
    try:
        await platform.open()
        return await platform.keys.exist()
    except Unavailable as error:
        announce(PlatformTrouble(doing="looking for keys", error=error))
        return False
    finally:
        await platform.close()


def is_loopback(host: str) -> bool:
    """Whether an address is reached from this machine alone."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def listen(host: str, port: int) -> socket.socket:
    """Open the listening socket. Raises: ConfigurationError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # The protocol by name: asyncio turns Nagle's delay off only where it is told that this is TCP.
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in (("TCP_USER_TIMEOUT", SILENT_PEER_SECONDS * 1000), ("TCP_KEEPIDLE", SILENT_PEER_SECONDS)):
        if hasattr(socket, name):  # Linux; accepted connections inherit it
            listening.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
    try:
        listening.bind((host, port))
    except OSError as error:
        listening.close()
        raise ConfigurationError(f"cannot listen on {host}:{port}: {error.strerror or error}") from None
    listening.listen(BACKLOG)
    listening.setblocking(False)
    return listening


def _say(platform: Host, listening: socket.socket, *, has_key: bool) -> None:
    import structlog

    log = structlog.get_logger("worker")
    host, port = listening.getsockname()[:2]
    log.info("server ready", address=f"http://{host}:{port}", platform=platform.description, docs="/docs")
    if not has_key:
        log.warning(
            "NO KEY: whoever reaches this address may do everything. Set WORKER_API_KEY, or run `worker key create`."
        )
