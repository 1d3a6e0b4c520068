"""Download of one file over HTTP, with checked redirects, counted bytes, and a cause for every failure."""

import asyncio
import ssl
import zlib
from collections.abc import AsyncIterator, Iterator
from email.message import Message
from http import HTTPStatus
from io import BytesIO

import httpcore
import httpx

from worker.inputs.attachments import Fetched
from worker.inputs.causes import TooLargeError, UnreadableError
from worker.inputs.limits import Limits
from worker.inputs.names import file_name, one_line

_REDIRECTS = {301, 302, 303, 307, 308}
_WHOLE = {200, 203, 204, 205}  # 204 and 205 are empty but complete; 206 would be part of a file
_STEP = 64 * 1024  # the maximum output of one decompression step in bytes
_PLAIN = ("", "identity")
_COMPRESSED = {"gzip": 16 + zlib.MAX_WBITS, "x-gzip": 16 + zlib.MAX_WBITS, "deflate": zlib.MAX_WBITS}


async def download(client: httpx.AsyncClient, url: str, limits: Limits, most: int) -> Fetched:
    """Fetch an http or https URL within the limits on seconds and redirects.

    Each redirect target is checked like the first address. A redirect from https to http is refused, since it would
    expose signed or protected requests. The user and password of a URL are sent to that URL alone: a relative redirect
    stays on its host and keeps them, any other carries only its own.

    Args:
        client: The client, which connects to checked addresses only.
        url: The URL.
        limits: The limits.
        most: The maximum size of the file in bytes.

    Raises:
        UnreadableError: The download failed. No server can cause any other error.
    """
    try:
        async with asyncio.timeout(limits.seconds):
            return await _follow(client, _parse(url), limits.redirects, most)
    except TimeoutError:
        raise UnreadableError(f"it did not arrive within {limits.seconds:g} seconds") from None
    except httpcore.TimeoutException:
        raise UnreadableError(f"it did not arrive within {limits.seconds:g} seconds") from None
    except httpcore.RemoteProtocolError as error:
        raise UnreadableError(_broken_answer(error)) from None
    except (httpx.RemoteProtocolError, httpx.InvalidURL):  # httpx parses a Location even if it does not follow it
        raise UnreadableError("the server redirected to a URL that is not valid") from None
    except (httpcore.NetworkError, httpcore.ProtocolError, httpx.HTTPError, httpx.StreamError) as error:
        raise UnreadableError(_broken_connection(error)) from None


def _parse(url: str) -> httpx.URL:
    try:
        parsed = httpx.URL(url)
    except (httpx.InvalidURL, UnicodeError):
        raise UnreadableError("its URL is not valid") from None
    if parsed.scheme not in {"http", "https"}:
        raise UnreadableError(f"its URL has the scheme {parsed.scheme or '(none)'}; only http and https are supported")
    if not parsed.host:
        raise UnreadableError("its URL has no host")
    if parsed.port is not None and not 0 < parsed.port < 2**16:
        raise UnreadableError("its URL has an invalid port")
    return parsed


async def _follow(client: httpx.AsyncClient, url: httpx.URL, redirects: int, most: int) -> Fetched:
    for _ in range(redirects + 1):
        async with client.stream("GET", url) as response:
            if response.status_code not in _REDIRECTS:
                return await _receive(response, most)
            url = _next(url, response)
    raise UnreadableError(f"the server redirected more than {redirects} times")


def _next(url: httpx.URL, response: httpx.Response) -> httpx.URL:
    location = response.headers.get("location", "")
    if not location:
        raise UnreadableError(f"the server answered {response.status_code} without a Location header")
    try:
        target = _parse(str(url.join(location)))
    except (httpx.InvalidURL, ValueError):
        raise UnreadableError("the server redirected to a URL that is not valid") from None
    except UnreadableError as error:
        raise UnreadableError(f"the server redirected to a URL that cannot be used: {error}") from None
    if url.scheme == "https" and target.scheme == "http":
        raise UnreadableError("the server redirected from https to http")
    return target


async def _receive(response: httpx.Response, most: int) -> Fetched:
    if response.status_code not in _WHOLE:
        raise UnreadableError(f"the server answered {_status_words(response.status_code)}")
    encoding = response.headers.get("content-encoding", "").strip().lower()
    _refuse_announced(response, encoding, most)
    body = BytesIO()  # getvalue() returns its own buffer, so that the file is never held twice
    async for piece in _decoded(response.aiter_raw(), encoding):
        if body.tell() + len(piece) > most:
            raise TooLargeError(most)
        body.write(piece)
    return Fetched(body.getvalue(), response.headers.get("content-type", ""), _sent_name(response))


def _refuse_announced(response: httpx.Response, encoding: str, most: int) -> None:
    """Refuse a file early if its announced size is too large; received bytes are counted regardless."""
    announced = response.headers.get("content-length", "")
    if encoding in _PLAIN and announced.isdecimal() and int(announced[:20]) > most:
        raise TooLargeError(most)


async def _decoded(pieces: AsyncIterator[bytes], encoding: str) -> AsyncIterator[bytes]:
    if encoding in _PLAIN:
        async for piece in pieces:
            yield piece
        return
    if encoding not in _COMPRESSED:
        raise UnreadableError(f"the server sent it compressed with {one_line(encoding, 20)}, which was not requested")
    unpacker = zlib.decompressobj(_COMPRESSED[encoding])
    async for piece in pieces:
        for part in _unpacked(unpacker, piece):
            yield part
    if not unpacker.eof:
        raise UnreadableError("its compressed content is cut short")


def _unpacked(unpacker: "zlib._Decompress", piece: bytes) -> Iterator[bytes]:
    """Decompress a chunk in small steps, so that a decompression bomb is detected after one of them."""
    try:
        while piece and not unpacker.eof:
            yield unpacker.decompress(piece, _STEP)
            piece = unpacker.unconsumed_tail
    except zlib.error:
        raise UnreadableError("its compressed content is broken") from None


def _sent_name(response: httpx.Response) -> str:
    header = Message()
    header["content-disposition"] = response.headers.get("content-disposition", "")
    try:
        return file_name(header.get_filename() or "")
    except (LookupError, ValueError, TypeError):  # the header names an unknown encoding
        return ""


def _status_words(status: int) -> str:
    try:
        return f"{status} ({HTTPStatus(status).phrase})"
    except ValueError:
        return str(status)


def _broken_answer(error: httpcore.RemoteProtocolError) -> str:
    if "message body" in str(error) or "chunked" in str(error):
        return "the server closed the connection before the whole file was received"
    return "the server's response is not valid HTTP"


def _broken_connection(error: BaseException) -> str:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return "the server's certificate could not be verified"
        if isinstance(cause, ssl.SSLError):
            return "no TLS connection to the server could be made"
        cause = cause.__cause__ or cause.__context__
    return "the connection to the server broke"
