"""An HTTP transport that connects to exactly the addresses it has checked."""

import contextlib
import ssl
from collections.abc import AsyncIterator, Iterable
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any, cast

import httpcore
import httpx

from worker.inputs.addresses import Resolve
from worker.inputs.causes import UnreadableError
from worker.words.addresses import connect_limit, first_refusal

CONNECTIONS = 100  # concurrent connections per process
IDLE_SECONDS = 5.0  # further files from the same host follow immediately or not at all


class AddressRefusedError(UnreadableError):
    """A host has an address that is not allowed."""


class CheckedNetwork(httpcore.AsyncNetworkBackend):
    """A network backend that resolves a name, checks every address, and connects to one of those addresses.

    There is no second lookup between check and connection, so a changed answer (DNS rebinding) has no effect. The
    layers above only know the name, so the Host header, SNI and the certificate check use the name.
    """

    def __init__(self, resolve: Resolve, *, allow_private: bool) -> None:
        """Create a backend.

        Args:
            resolve: Resolves host names.
            allow_private: Whether to allow private addresses; cloud metadata services stay refused.
        """
        self._resolve = resolve
        self._allow_private = allow_private
        self._network = cast("httpcore.AsyncNetworkBackend", httpcore.AnyIOBackend())

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - the signature is httpcore's
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Connect to the first of the host's addresses that answers, after all of them have passed the check."""
        addresses = await self._checked(host, port)
        limit = connect_limit(timeout)
        for address in addresses:
            with contextlib.suppress(httpcore.ConnectError, httpcore.ConnectTimeout):
                stream = await self._network.connect_tcp(address, port, limit, local_address, socket_options)
                return _Connection(stream)
        raise UnreadableError(f"{host} does not accept connections")

    async def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,  # noqa: ASYNC109 - the signature is httpcore's
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Refuse: files are never read from a Unix socket."""
        del path, timeout, socket_options
        raise UnreadableError("a unix socket cannot be read as a file")

    async def sleep(self, seconds: float) -> None:
        """Wait between two tries."""
        await self._network.sleep(seconds)

    async def _checked(self, host: str, port: int) -> list[str]:
        addresses = await self._addresses(host, port)
        refused = first_refusal(host, addresses, allow_private=self._allow_private)
        if refused is not None:
            raise AddressRefusedError(refused)
        return addresses

    async def _addresses(self, host: str, port: int) -> list[str]:
        try:
            addresses = await self._resolve(host, port)
        except (OSError, UnicodeError):
            addresses = []
        if not addresses:
            raise UnreadableError(f"the host {host} is not known")
        return addresses


class _Connection(httpcore.AsyncNetworkStream):
    """A connection that is closed if its TLS handshake is interrupted.

    httpcore closes a connection whose handshake fails, but not one whose handshake is canceled by the time limit of the
    download, so that a silent server would leak a socket each time.
    """

    def __init__(self, stream: httpcore.AsyncNetworkStream) -> None:
        self._stream = stream

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109 - the signature is httpcore's
    ) -> httpcore.AsyncNetworkStream:
        try:
            return await self._stream.start_tls(ssl_context, server_hostname, timeout)
        except BaseException:
            await self._stream.aclose()
            raise

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109 - as above
        return await self._stream.read(max_bytes, timeout)

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ASYNC109 - as above
        await self._stream.write(buffer, timeout)

    async def aclose(self) -> None:
        await self._stream.aclose()

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


class CheckedTransport(httpx.AsyncBaseTransport):
    """An httpx transport over ``CheckedNetwork``: HTTP/1.1, verified certificates, no proxy."""

    def __init__(self, network: CheckedNetwork, tls: ssl.SSLContext) -> None:
        """Create a transport over ``network`` that verifies certificates with ``tls``."""
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=tls,
            max_connections=CONNECTIONS,
            keepalive_expiry=IDLE_SECONDS,
            network_backend=network,
        )

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request; errors are httpcore's own or UnreadableError."""
        answer = await self._pool.handle_async_request(
            httpcore.Request(
                method=request.method,
                url=httpcore.URL(
                    scheme=request.url.raw_scheme,
                    host=request.url.raw_host,
                    port=request.url.port,
                    target=request.url.raw_path,
                ),
                headers=request.headers.raw,
                content=cast("AsyncIterator[bytes]", request.stream),
                extensions=request.extensions,
            )
        )
        return httpx.Response(answer.status, headers=answer.headers, stream=_Body(answer), extensions=answer.extensions)

    async def aclose(self) -> None:
        """Close all connections."""
        await self._pool.aclose()


class _Body(httpx.AsyncByteStream):
    def __init__(self, answer: httpcore.Response) -> None:
        self._answer = answer

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for piece in self._answer.aiter_stream():
            yield piece

    async def aclose(self) -> None:
        await self._answer.aclose()


def open_client(resolve: Resolve, *, allow_private: bool, seconds: float) -> httpx.AsyncClient:
    """Return a client that connects to checked addresses only and shares no state between requests.

    It ignores proxies and .netrc, which would bypass the check, never stores cookies, and leaves redirects to the
    caller. Certificates are verified; SSL_CERT_FILE and SSL_CERT_DIR are respected.
    """
    return httpx.AsyncClient(
        transport=CheckedTransport(
            CheckedNetwork(resolve, allow_private=allow_private), httpx.create_ssl_context(trust_env=True)
        ),
        headers={"User-Agent": "agno-worker", "Accept": "*/*", "Accept-Encoding": "identity"},
        cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
        timeout=seconds,
        follow_redirects=False,
        trust_env=False,
    )
