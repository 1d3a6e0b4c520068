"""HTTP to addresses that a tool, a model or a journal row may have named, restricted to public ones.

A name is resolved once, all its addresses are checked, and the connection goes to one of these addresses, so that a DNS
answer that changes in between (DNS rebinding) has no effect. Redirects are checked as well, and proxies from the
environment are ignored. ``WORKER_ALLOW_PRIVATE_URLS`` permits private addresses, as for attachments.
"""

import asyncio
import contextlib
import os
import socket
from collections.abc import Iterable
from functools import lru_cache
from typing import Any, cast

import httpcore
import httpx

from worker.settings import Settings
from worker.threads import LOOKUPS
from worker.words.addresses import connect_limit, first_refusal
from worker.words.hosts import is_metadata_host

MAX_BYTES = 128 * 1024 * 1024  # of one file; providers accept less
SECONDS = 30.0  # without receiving a byte
REDIRECTS = 5

Options = Iterable[Any] | None


class AddressRefused(httpx.RequestError):
    """A run may not read from this address."""


def client(seconds: float = SECONDS) -> httpx.Client:
    """Return a client for a single use."""
    return httpx.Client(transport=_Transport(), timeout=seconds, trust_env=False, **_redirected())


def async_client() -> httpx.AsyncClient:
    """Async version of ``client``."""
    return httpx.AsyncClient(transport=_AsyncTransport(), timeout=SECONDS, trust_env=False, **_redirected())


def _redirected() -> dict[str, Any]:
    return {"follow_redirects": True, "max_redirects": REDIRECTS}


class _Network(httpcore.NetworkBackend):
    def __init__(self) -> None:
        self._network = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Options = None,
    ) -> httpcore.NetworkStream:
        for address in _checked(host, _resolve(host, port)):
            with contextlib.suppress(httpcore.ConnectError, httpcore.ConnectTimeout):
                return self._network.connect_tcp(address, port, connect_limit(timeout), local_address, socket_options)
        raise httpcore.ConnectError(f"{host} does not accept connections")


class _AsyncNetwork(httpcore.AsyncNetworkBackend):
    def __init__(self) -> None:
        self._network = cast("httpcore.AsyncNetworkBackend", httpcore.AnyIOBackend())

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore's signature
        local_address: str | None = None,
        socket_options: Options = None,
    ) -> httpcore.AsyncNetworkStream:
        found = await asyncio.get_running_loop().run_in_executor(LOOKUPS, _resolve, host, port)
        for address in _checked(host, found):
            with contextlib.suppress(httpcore.ConnectError, httpcore.ConnectTimeout):
                return await self._network.connect_tcp(
                    address, port, connect_limit(timeout), local_address, socket_options
                )
        raise httpcore.ConnectError(f"{host} does not accept connections")


class _Transport(httpx.HTTPTransport):
    def __init__(self) -> None:
        super().__init__(trust_env=False)
        self._pool = httpcore.ConnectionPool(ssl_context=httpx.create_ssl_context(), network_backend=_Network())

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        _check_name(request)
        return super().handle_request(request)


class _AsyncTransport(httpx.AsyncHTTPTransport):
    def __init__(self) -> None:
        super().__init__(trust_env=False)
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=httpx.create_ssl_context(), network_backend=_AsyncNetwork()
        )

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        _check_name(request)
        return await super().handle_async_request(request)


def _check_name(request: httpx.Request) -> None:
    """Refuse the names of cloud metadata services, whatever they resolve to."""
    if is_metadata_host(str(request.url)):
        raise AddressRefused(f"{request.url.host} is a cloud metadata service, which must not be called")


def _resolve(host: str, port: int) -> list[str]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise httpcore.ConnectError(f"the host {host} is unknown") from error
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def _checked(host: str, addresses: list[str]) -> list[str]:
    """Return the addresses if connections to all of them are allowed."""
    allowed = _allows_private(os.environ.get("WORKER_ALLOW_PRIVATE_URLS"))
    refused = first_refusal(host, addresses, allow_private=allowed)
    if refused is not None:
        raise AddressRefused(refused)
    return addresses


@lru_cache(maxsize=2)
def _allows_private(_: str | None) -> bool:
    """Return the setting, read once for each value of the environment variable."""
    return Settings().allow_private_urls
