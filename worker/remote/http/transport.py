"""The HTTP client: requests with retries, event streams, and redirects within the same host."""

import asyncio
import re
import secrets
import socket
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from enum import Enum
from typing import TYPE_CHECKING, Any

from worker.contracts import bounds
from worker.contracts.bounds import left
from worker.remote.http.addresses import Addresses
from worker.remote.http.certificates import trusted
from worker.remote.http.refusals import AGAIN, NOTHING, UNKNOWN_ROUTE, Subject, body_of, refusal
from worker.remote.timings import DEFAULT, RemoteTimings
from worker.words.errors import ModuleException, Unavailable, Unsupported
from worker.words.texts import clean, encode

if TYPE_CHECKING:
    import httpx
    from httpx_sse import ServerSentEvent
    from tenacity import RetryCallState

CONNECT_SECONDS = 5.0
FILE_SECONDS = 120.0  # read timeout for files
KEPT_SECONDS = 4.0  # keep-alive of idle connections; servers close them after 5 s, perhaps during a request
TRIES = 5
FIRST_WAIT, LONGEST_WAIT = 0.2, 5.0  # seconds between tries, doubling, with jitter
RETRY_AFTER_SECONDS = 60.0  # the longest Retry-After that is respected
RETRY_SECONDS = 5.0  # the ``retry_after`` of calls that took too long
REDIRECTS = 5
SESSION_BYTES = 32
KEEPALIVES = {"TCP_KEEPIDLE": 5, "TCP_KEEPINTVL": 2, "TCP_KEEPCNT": 3, "TCP_USER_TIMEOUT": 10_000}
"""Socket options of streams, which may be silent (seconds, seconds, a count, milliseconds); as for PostgreSQL."""

NOT_ACTED = frozenset({408, 425, 429, 503})  # surely not processed; after a gateway's 502 or 504 that is unknown
_UNFIT = re.compile(r"[^\x20-\x7e]")  # characters that a header cannot contain


class Repeat(Enum):
    """When a request may be retried."""

    ALWAYS = "it may be repeated: twice is as good as once"
    UNSENT = "only where the platform surely did not act on it"
    NEVER = "one try"


class Failed(Exception):  # noqa: N818 - internal to this module
    """A try failed. Raised and caught only within this module.

    Args:
        error: The exception for callers.
        status: The status of the response; 0 if there was none.
        acted: Whether the platform may have processed the request nevertheless.
    """

    def __init__(self, error: ModuleException, status: int, *, acted: bool) -> None:
        super().__init__(str(error))
        self.error = error
        self.status = status
        self.acted = acted


class Unanswered(Unavailable):
    """A request was sent and no answer came: whether the platform acted on it is not known."""


class Transport:
    """The HTTP client of a platform. It belongs to the event loop that opened it.

    Args:
        addresses: The base URLs.
        key: Sent as ``x-api-key`` with every request; it appears in no error and no log line.
        timings: The timeouts.

    Attributes:
        session: A secret that proves to our own server which tasks this process has claimed; a child process takes over
            the session of its worker.
    """

    def __init__(self, addresses: Addresses, key: str | None, timings: RemoteTimings = DEFAULT) -> None:
        self.addresses = addresses
        self.timings = timings
        self._key = key
        self.session = secrets.token_urlsafe(SESSION_BYTES)
        self._client: httpx.AsyncClient | None = None

    def __repr__(self) -> str:
        return f"Transport({self.addresses.shown!r})"

    @property
    def headers(self) -> dict[str, str]:
        """The headers of every request; for ``x-dialect`` our own server returns references to files, not URLs."""
        own = {"x-dialect": "native", "x-worker-session": self.session}
        return {**own, "x-api-key": self._key} if self._key else own

    def take_over(self, session: str) -> None:
        """Use another session."""
        self.session = session
        if self._client is not None:
            self._client.headers["x-worker-session"] = session

    async def open(self) -> None:
        """Create the client; nothing is sent yet."""
        import httpx

        if self._client is None:
            self._client = httpx.AsyncClient(
                headers=self.headers,
                verify=trusted(),
                timeout=httpx.Timeout(self.timings.answer, connect=CONNECT_SECONDS),
                limits=httpx.Limits(max_connections=None, max_keepalive_connections=20, keepalive_expiry=KEPT_SECONDS),
            )

    async def close(self) -> None:
        """Close all connections; idempotent."""
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    async def call(
        self,
        method: str,
        url: str,
        *,
        body: Any = None,
        content: bytes | None = None,
        params: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        subject: Subject = NOTHING,
        repeat: Repeat = Repeat.ALWAYS,
        seconds: float | None = None,
        redirects: bool = False,
        needed_to: str | None = None,
    ) -> "httpx.Response":
        """Send a request, with retries.

        Args:
            method: The HTTP method.
            url: An absolute URL, or a path below the base of calls.
            body: A value to send as JSON.
            content: Bytes to send unchanged.
            params: Query parameters; those that are None are left out.
            headers: Additional headers.
            subject: The subject of the request, for errors.
            repeat: When the request may be retried.
            seconds: The read timeout; None means 15.
            redirects: Whether redirects within the same host are followed.
            needed_to: What a platform cannot do if it does not know the route.

        Raises:
            ModuleException: The error in the response.
            Unsupported: The platform does not know the route, and ``needed_to`` is given.
            Unavailable: There was no response.
            Unanswered: There was no response, or none within the limit of a client's call, and the platform may have
                processed the request.
        """
        from tenacity import AsyncRetrying, retry_if_exception, stop_after_attempt, stop_after_delay

        sent = {"content-type": "application/json"} if body is not None else {}
        request = self._build(
            method,
            url,
            params=params,
            headers={**sent, **(headers or {})},
            content=content if body is None else encode(body),
            seconds=seconds,
        )
        tries = AsyncRetrying(
            retry=retry_if_exception(lambda error: isinstance(error, Failed) and _may_repeat(error, repeat)),
            wait=_wait,
            stop=stop_after_attempt(TRIES) | stop_after_delay(self.timings.retry),
            reraise=True,
        )
        try:
            async with asyncio.timeout(left()):
                return await tries(self._try, request, subject, redirects=redirects)
        except Failed as failed:
            if needed_to is not None and failed.error.status_code in UNKNOWN_ROUTE:
                raise Unsupported(needed_to, self.addresses.shown) from None
            raise failed.error from failed.__cause__
        except TimeoutError:
            late = f"{self.addresses.shown} did not respond within {bounds.CALL_SECONDS:g} s"
            raise Unanswered(late, retry_after=RETRY_SECONDS) from None

    @asynccontextmanager
    async def stream(
        self,
        path: str,
        *,
        params: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        subject: Subject = NOTHING,
        redirects: bool = False,
    ) -> "AsyncGenerator[AsyncGenerator[ServerSentEvent, None], None]":
        """Open an event stream, which is closed at the end of the block.

        Raises:
            ModuleException: The error in the response.
            Unavailable: The stream broke, or was silent for 45 seconds.
        """
        import httpx
        from httpx_sse import EventSource, SSEError

        asked = {"accept": "text/event-stream", "cache-control": "no-store", **(headers or {})}
        request = self._build(
            "GET", self.addresses.streams + path, params=params, headers=asked, seconds=self.timings.silence
        )
        try:
            response = await self._try(request, subject, redirects=redirects, stream=True)
        except Failed as failed:
            raise failed.error from failed.__cause__
        _watch_over(response)
        try:
            events = EventSource(response).aiter_sse()
            try:
                yield events
            finally:
                await events.aclose()
        except (httpx.TransportError, SSEError) as error:
            raise Unavailable(
                f"The event stream of {self.addresses.shown} was interrupted: {self._describe(error)}"
            ) from error
        finally:
            await response.aclose()

    def _build(
        self,
        method: str,
        url: str,
        *,
        params: Mapping[str, Any] | None,
        headers: Mapping[str, str],
        seconds: float | None,
        content: bytes | None = None,
    ) -> "httpx.Request":
        import httpx

        query = {name: clean(str(value)) for name, value in (params or {}).items() if value is not None}
        return self._open_client().build_request(
            method,
            self.addresses.calls + url if url.startswith("/") else url,
            params=query or None,
            headers={name: _UNFIT.sub("?", value) for name, value in headers.items()},
            content=content,
            timeout=httpx.Timeout(seconds or self.timings.answer, connect=CONNECT_SECONDS),
        )

    async def _try(
        self, request: "httpx.Request", subject: Subject, *, redirects: bool, stream: bool = False
    ) -> "httpx.Response":
        """Send a request once.

        Raises:
            Failed: There was no response, or an error.
        """
        import httpx

        try:
            response = await self._send(request, redirects=redirects)
            if stream and response.is_success:
                return response
            try:
                await response.aread()
            finally:
                await response.aclose()
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            away = Unavailable(f"{self.addresses.shown} cannot be reached: {self._describe(error)}")
            raise Failed(away, 0, acted=False) from error
        except (httpx.TransportError, httpx.DecodingError) as error:
            unanswered = Unanswered(f"{self.addresses.shown} did not respond: {self._describe(error)}")
            raise Failed(unanswered, 0, acted=True) from error
        if not response.is_success:
            raise self._failure(response, subject)
        return response

    async def _send(self, request: "httpx.Request", *, redirects: bool) -> "httpx.Response":
        client = self._open_client()
        response = await client.send(request, stream=True)
        for _ in range(REDIRECTS):
            following = next_request(request, response) if redirects else None
            if following is None:
                break
            await response.aclose()
            response = await client.send(following, stream=True)
        return response

    def _failure(self, response: "httpx.Response", subject: Subject) -> Failed:
        status = response.status_code
        body = body_of(self._without_key(response.text))
        if "retry-after" in response.headers:
            body.setdefault("retry_after", response.headers["retry-after"])
        if response.is_redirect:
            body = {
                "description": f"{self.addresses.shown} responded with a redirect, which is not followed for this"
                " request."
            }
        error = refusal(status, body, subject, self.addresses.shown)
        return Failed(error, status, acted=status not in NOT_ACTED)

    def _describe(self, error: Exception) -> str:
        return self._without_key(str(error)) or type(error).__name__

    def _without_key(self, text: str) -> str:
        return text.replace(self._key, "***") if self._key else text

    def _open_client(self) -> "httpx.AsyncClient":
        if self._client is None:
            raise Unavailable(f"The connection to {self.addresses.shown} has been closed.")
        return self._client


def _watch_over(response: "httpx.Response") -> None:
    """Set keep-alive options, so that a broken connection is detected within about ten seconds."""
    stream = response.extensions.get("network_stream")
    connection = stream.get_extra_info("socket") if stream is not None else None
    if connection is None:
        return
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in KEEPALIVES.items():
        if hasattr(socket, name):  # Linux has all of them
            connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


def next_request(request: "httpx.Request", response: "httpx.Response") -> "httpx.Request | None":
    """Return the request that follows a redirect, or None if it leads to another host, which must not get the key."""
    following = response.next_request
    return following if following is not None and following.url.host == request.url.host else None


def _may_repeat(failed: Failed, repeat: Repeat) -> bool:
    if failed.status and failed.status not in AGAIN:
        return False
    return repeat is Repeat.ALWAYS or (repeat is Repeat.UNSENT and not failed.acted)


def _wait(state: "RetryCallState") -> float:
    from tenacity import wait_random_exponential

    error = state.outcome.exception() if state.outcome is not None else None
    asked = getattr(error.error, "retry_after", None) if isinstance(error, Failed) else None
    if asked is not None:
        return min(asked, RETRY_AFTER_SECONDS)
    return wait_random_exponential(multiplier=FIRST_WAIT, max=LONGEST_WAIT)(state)
