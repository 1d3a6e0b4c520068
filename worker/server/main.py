"""The server process: it creates platform and application from the settings, and handles startup and shutdown."""

import asyncio
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
from worker.words.addresses import is_loopback
from worker.words.errors import ConfigurationError, Unavailable, ValidationError
from worker.words.notices import PlatformTrouble, announce

MIN_KEY_CHARACTERS = 16  # characters of a server key
LOOPBACK = "127.0.0.1"
ALL_INTERFACES = "0.0.0.0"  # noqa: S104 - a server beyond loopback has a key, which is checked before it listens
GRACE_SECONDS = 5  # for running requests at shutdown; streams end immediately
BACKLOG = 2048
ROUTERS = "10.0.0.0/8,172.16.0.0/12,192.168.0.0/16,100.64.0.0/10,127.0.0.0/8,fc00::/7"
"""The networks of Heroku's routers. The client's address is the last forwarded one outside these networks; any that
the client itself put before it are ignored."""
SILENT_PEER_SECONDS = 30  # a peer that acknowledges nothing for this long is gone; its half-open streams are closed


class HttpServer(uvicorn.Server):
    """A uvicorn server that ends all streams before it waits for running requests."""

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End streams and long polls, then shut down."""
        import structlog

        structlog.get_logger("worker").info("server stopping")
        service: Service = self._application.state.service
        service.close()
        await super().shutdown(sockets)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Request a shutdown, without re-raising the signal at the end as uvicorn does: a clean exit has code 0."""
        del frame
        if self.should_exit and sig == signal.SIGINT:
            self.force_exit = True
        self.should_exit = True

    def __init__(self, application: FastAPI, **options: Any) -> None:
        self._application = application
        service: Service = application.state.service
        on_heroku = "DYNO" in os.environ  # only Heroku's router can reach a dyno, and it limits clients itself
        most_connections = 0 if on_heroku else service.settings.connections_per_address
        options = {
            "log_config": None,
            "access_log": False,
            "lifespan": "on",
            "timeout_graceful_shutdown": GRACE_SECONDS,
            "timeout_keep_alive": 75,  # longer than a router's own 60 s, so that the router closes idle connections
            "server_header": False,
            "http": bounded(most_connections, service.timings),
            "ws": "none",
            "forwarded_allow_ips": ROUTERS if on_heroku else None,
            **options,
        }
        super().__init__(uvicorn.Config(application, **options))


def serve(settings: Settings, *, host: str | None = None, pages: Pages | None = None) -> int:
    """Run a server until it receives SIGTERM or SIGINT. Blocks, and must be called on the main thread for the signals.

    SIGTERM is ignored after this function returns, since the process is about to exit.

    Args:
        settings: The port, the key, the database.
        host: The address to listen on. None means all addresses if a key exists or ``PORT`` is set, otherwise loopback.
        pages: Creates the dashboard.

    Returns:
        The exit code.

    Raises:
        ConfigurationError: The server would be open beyond loopback, the key is too short, the port is taken, or the
            organization has a reserved name. Nothing was started.
    """
    check_organization_of(settings)
    platform = wiring.engine(settings)
    has_key = settings.server_key is not None or asyncio.run(_has_stored_key(platform))
    address = host or (ALL_INTERFACES if has_key or "PORT" in os.environ else LOOPBACK)
    check_reach(address, has_key=has_key)
    check_key_length(address, settings)
    application = create_app(platform, settings, open_without_key=is_loopback(address), pages=pages)
    listening = listen(address, settings.port)
    _say(platform, listening, has_key=has_key)
    server = HttpServer(application)
    signal.signal(signal.SIGTERM, server.handle_exit)  # the handler that uvicorn restores at the end
    server.run(sockets=[listening])
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # a late signal must not change the exit code; Python keeps SIG_IGN
    return 0 if server.started else 1


def check_reach(address: str, *, has_key: bool) -> None:
    """Check that a server may listen on an address.

    Raises:
        ConfigurationError: The address is not loopback, and there is no key.
    """
    if not has_key and not is_loopback(address):
        raise ConfigurationError(
            f"the server cannot listen on {address} without an API key: set WORKER_API_KEY, or run `worker key"
            " create --organization O`"
        )


def check_key_length(address: str, settings: Settings) -> None:
    """Check that the server's key is long enough.

    Raises:
        ConfigurationError: The key is too short for a server beyond loopback.
    """
    key = settings.server_key.get_secret_value() if settings.server_key else None
    if key is not None and len(key) < MIN_KEY_CHARACTERS and not is_loopback(address):
        raise ConfigurationError(
            f"WORKER_API_KEY has {len(key)} characters; on addresses other than loopback it needs at least"
            f" {MIN_KEY_CHARACTERS}: generate one with `openssl rand -hex 32`"
        )


def check_organization_of(settings: Settings) -> None:
    """Check that the organization's name can be part of a path.

    Raises:
        ConfigurationError: The name is reserved or invalid.
    """
    try:
        check_organization(settings.organization_id)
    except ValidationError as error:
        raise ConfigurationError(f"XPANDER_ORGANIZATION_ID: {error.description}") from None


async def _has_stored_key(platform: Host) -> bool:
    """Return whether the database has a key; False if the database is unavailable."""
    try:
        await platform.open()
        return await platform.keys.exist()
    except Unavailable as error:
        announce(PlatformTrouble(doing="looking for keys", error=error))
        return False
    finally:
        await platform.close()


def listen(host: str, port: int) -> socket.socket:
    """Open the listening socket.

    Raises:
        ConfigurationError: The address cannot be bound.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # The protocol is explicit because asyncio disables Nagle's algorithm only for sockets declared as TCP.
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in (("TCP_USER_TIMEOUT", SILENT_PEER_SECONDS * 1000), ("TCP_KEEPIDLE", SILENT_PEER_SECONDS)):
        if hasattr(socket, name):  # Linux; accepted connections inherit these options
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
            "No API key: anyone who can reach this address has full access. Set WORKER_API_KEY, or run `worker"
            " key create`."
        )
