"""Sending of one message: to exactly the address that was checked, within a time limit, without redirects."""

import asyncio
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from worker.words.errors import GiveUp

if TYPE_CHECKING:
    import httpx

SECONDS = 15.0  # timeout of one try; a receiver should respond before doing longer work
GONE = 410


class WebhookRefused(Exception):  # noqa: N818 - a public name
    """The receiver could not be reached, or did not respond with success; the delivery is retried.

    The message names only the host, since path and query of such a URL may be secret.
    """


class Post:
    """A client that posts messages.

    Args:
        trusted: Whether the operator configured the receiver, which may then be private and use http. Other URLs come
            from tasks and are treated as untrusted.
        seconds: The timeout of one try.
    """

    def __init__(self, *, trusted: bool, seconds: float = SECONDS) -> None:
        self._trusted = trusted
        self._seconds = seconds
        self._client: httpx.AsyncClient | None = None

    async def send(self, url: str, headers: dict[str, str], body: bytes) -> None:
        """Post a message.

        Raises:
            WebhookRefused: The message was not accepted; another try may succeed.
            GiveUp: No try can succeed: the receiver no longer exists, or its URL is not allowed.
        """
        from httpx import HTTPError, InvalidURL

        from worker.inputs.causes import UnreadableError
        from worker.inputs.transport import AddressRefusedError

        host = self._checked(url)
        try:
            async with asyncio.timeout(self._seconds):
                status = await self._status(url, headers, body)
        except AddressRefusedError as error:
            raise GiveUp(f"the webhook was not sent: {error}") from None
        except UnreadableError as error:
            raise WebhookRefused(f"the webhook was not accepted: {error}") from None
        except TimeoutError:
            raise WebhookRefused(f"the webhook at {host} did not respond within {self._seconds:g} seconds") from None
        except InvalidURL:
            raise GiveUp("the webhook was not sent: its URL is not valid") from None
        except (HTTPError, *_broken()) as error:
            raise WebhookRefused(f"the webhook at {host} cannot be reached: {type(error).__name__}") from None
        _judge(status, host)

    async def _status(self, url: str, headers: dict[str, str], body: bytes) -> int:
        if self._client is None:
            from worker.inputs.addresses import resolve
            from worker.inputs.transport import open_client

            self._client = open_client(resolve, allow_private=self._trusted, seconds=self._seconds)
        async with self._client.stream("POST", url, headers=headers, content=body) as response:
            return response.status_code  # the body is not read

    def _checked(self, url: str) -> str:
        """Return the host of a URL that may be used; raise GiveUp for any other."""
        try:
            scheme, host = urlsplit(url).scheme, urlsplit(url).hostname
        except ValueError:
            scheme, host = "", None
        if not host or scheme not in ("http", "https"):
            raise GiveUp("the webhook was not sent: its URL is not valid")
        if not self._trusted and scheme != "https":
            raise GiveUp(
                f"the webhook at {host} was not sent: a task's webhook_url must use https, unless"
                " WORKER_ALLOW_PRIVATE_URLS is set"
            )
        return host

    async def close(self) -> None:
        """Close all connections."""
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()


def _broken() -> tuple[type[Exception], ...]:
    """Return the exceptions that the transport raises below httpx."""
    import httpcore

    return (httpcore.NetworkError, httpcore.ProtocolError, httpcore.TimeoutException)


def _judge(status: int, host: str) -> None:
    """Return for a success; raise WebhookRefused or GiveUp for any other status."""
    if 200 <= status < 300:  # noqa: PLR2004 - HTTP: success
        return
    if status == GONE:
        raise GiveUp(f"the webhook at {host} responded with 410 Gone and receives no further events")
    said = f"the webhook at {host} responded with {status} {_phrase(status)}".rstrip()
    raise WebhookRefused(said + (" (redirects are not followed)" if 300 <= status < 400 else ""))  # noqa: PLR2004 - HTTP: redirects


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""
