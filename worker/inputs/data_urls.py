"""``data:`` URLs (RFC 2397), which contain a file."""

import base64
import binascii
import re
from collections.abc import Iterator
from urllib.parse import unquote_to_bytes

from worker.inputs.attachments import Fetched
from worker.inputs.causes import TooLargeError, UnreadableError
from worker.inputs.names import file_name

_PIECE = 256 * 1024  # characters
_SPACE = re.compile(rb"\s+")
_FOR_URLS = bytes.maketrans(b"-_", b"+/")  # RFC 4648, 5
_INVALID = "its base64 is not valid"


def read_data_url(url: str, most: int) -> Fetched:
    """Decode a ``data:`` URL.

    Args:
        url: The URL.
        most: The maximum size of its content in bytes.

    Raises:
        UnreadableError: The URL is not valid, or its content is too large.
    """
    head, comma, body = url[5:].partition(",")
    if not comma:
        raise UnreadableError("its data: URL has no comma")
    media_type, *parameters = [part.strip() for part in head.split(";")]
    is_base64 = bool(parameters) and parameters[-1].lower() == "base64"
    _check_length(len(body) * 3 // 4 - 2 if is_base64 else len(body) // 3, most)
    content = _decode_base64(body) if is_base64 else b"".join(_unescaped(body))
    _check_length(len(content), most)
    named = dict(_pair(parameter) for parameter in parameters)
    charset = named.get("charset", "")
    declared = f"{media_type}; charset={charset}" if charset else media_type
    return Fetched(content, declared or "text/plain", file_name(named.get("name", "")))


def _check_length(size: int, most: int) -> None:
    if size > most:
        raise TooLargeError(most)


def _pair(parameter: str) -> tuple[str, str]:
    key, _, value = parameter.partition("=")
    return key.lower(), unquote_to_bytes(value.encode("utf-8", "replace")).decode("utf-8", "replace")


def _unescaped(body: str) -> Iterator[bytes]:
    """Decode percent-encoding in chunks, since a single step for a large file would block other threads too long."""
    rest = ""
    for start in range(0, len(body), _PIECE):
        piece = rest + body[start : start + _PIECE]
        cut = piece.rfind("%", -2)  # an escape that may continue in the next chunk
        piece, rest = (piece[:cut], piece[cut:]) if cut >= 0 else (piece, "")
        yield unquote_to_bytes(piece.encode("utf-8", "replace"))
    yield unquote_to_bytes(rest)


def _decode_base64(body: str) -> bytes:
    decoded, left, is_padded = list[bytes](), b"", False
    try:
        for piece in _unescaped(body):
            digits = _SPACE.sub(b"", piece)
            padded = digits.rstrip(b"=")
            if is_padded and padded:
                raise UnreadableError(_INVALID)
            is_padded = is_padded or len(padded) < len(digits)
            left += padded.translate(_FOR_URLS)
            whole = len(left) // 4 * 4
            decoded.append(base64.b64decode(left[:whole], validate=True))
            left = left[whole:]
        decoded.append(base64.b64decode(left + b"=" * (-len(left) % 4), validate=True))
    except (binascii.Error, ValueError):
        raise UnreadableError(_INVALID) from None
    return b"".join(decoded)
