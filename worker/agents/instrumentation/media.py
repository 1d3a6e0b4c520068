"""Media at an address that Agno reads itself: never where clouds tell a machine its credentials, whatever a name says.

The address may come from a tool, a model or a row of the journal. It is looked at before each request, redirects
among them, and so is the very address that was connected to before anything of the answer is read.
"""

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from worker.current import run_in_hand
from worker.words.hosts import tells_credentials

if TYPE_CHECKING:
    import httpx

MOST_BYTES = 128 * 1024 * 1024  # of one; providers take less
SECONDS = 30.0  # without a byte

Original = Callable[..., Any]


class AddressRefused(Exception):  # noqa: N818 - what happened
    """A medium is where clouds keep a machine's credentials."""


def read(original: Original) -> Original:
    """Agno reads what is at an address, and its type."""

    @functools.wraps(original)
    def hook(url: str) -> tuple[bytes | None, str | None]:
        if run_in_hand.get() is None:
            return original(url)
        import httpx

        hooks: Any = {"request": [check_request], "response": [check_response]}
        with (
            httpx.Client(follow_redirects=True, event_hooks=hooks, timeout=SECONDS) as client,
            client.stream("GET", url) as response,
        ):
            response.raise_for_status()
            pieces, size = list[bytes](), 0
            for piece in response.iter_bytes():
                size += _checked(len(piece), size)
                pieces.append(piece)
            return b"".join(pieces), _type_of(response)

    return hook


def read_async(original: Original) -> Original:
    """The same, awaited."""

    @functools.wraps(original)
    async def hook(url: str) -> tuple[bytes | None, str | None]:
        if run_in_hand.get() is None:
            return await original(url)
        import httpx

        hooks: Any = {"request": [_check_request], "response": [_check_response]}
        async with (
            httpx.AsyncClient(follow_redirects=True, event_hooks=hooks, timeout=SECONDS) as client,
            client.stream("GET", url) as response,
        ):
            response.raise_for_status()
            pieces, size = list[bytes](), 0
            async for piece in response.aiter_bytes():
                size += _checked(len(piece), size)
                pieces.append(piece)
            return b"".join(pieces), _type_of(response)

    return hook


def check_request(request: "httpx.Request") -> None:
    """Let pass a request by its address as it stands. Raises: AddressRefused."""
    if tells_credentials(str(request.url)):
        raise AddressRefused(f"{request.url.host} tells a machine its credentials")


def check_response(response: "httpx.Response") -> None:
    """Let pass an answer by the address that was connected to. Raises: AddressRefused."""
    stream = response.extensions.get("network_stream")
    address = None if stream is None else stream.get_extra_info("server_addr")
    host = str(address[0]) if isinstance(address, tuple) and address else ""
    if host and tells_credentials(f"http://[{host}]" if ":" in host else f"http://{host}"):
        raise AddressRefused(f"{response.url.host} is {host}, which tells a machine its credentials")


async def _check_request(request: "httpx.Request") -> None:
    check_request(request)


async def _check_response(response: "httpx.Response") -> None:
    check_response(response)


def _checked(size: int, before: int) -> int:
    if before + size > MOST_BYTES:
        raise ValueError(f"a medium has more than {MOST_BYTES:,} bytes")
    return size


def _type_of(response: "httpx.Response") -> str | None:
    return response.headers.get("content-type", "").partition(";")[0].strip() or None
