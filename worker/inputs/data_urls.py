"""`data:` URLs (RFC 2397): a file inside its own name."""

import base64
import binascii
import re
from urllib.parse import unquote, unquote_to_bytes

from worker.inputs.attachments import Fetched
from worker.inputs.causes import TooLargeError, UnreadableError
from worker.inputs.names import file_name

_SPACE = re.compile(r"\s+")


def read_data_url(url: str, most: int) -> Fetched:
    """Decode a `data:` URL of at most `most` bytes; raises UnreadableError with the cause."""
    head, comma, body = url[5:].partition(",")
    if not comma:
        raise UnreadableError("its data: URL has no comma")
    media_type, *parameters = [part.strip() for part in head.split(";")]
    is_base64 = bool(parameters) and parameters[-1].lower() == "base64"
    _check_length(len(body) * 3 // 4 - 2 if is_base64 else len(body) // 3, most)
    content = _decode_base64(body) if is_base64 else unquote_to_bytes(body.encode("utf-8", "replace"))
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


def _decode_base64(body: str) -> bytes:
    plain = unquote(body, "latin-1") if "%" in body else body  # a large file is not copied for nothing
    digits = _SPACE.sub("", plain).rstrip("=").replace("-", "+").replace("_", "/")
    try:
        return base64.b64decode(digits + "=" * (-len(digits) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise UnreadableError("its base64 is not valid") from None
