"""What is done with a PDF in a child process: can it be opened at all, and the text of its pages (see pdfs.py)."""

import logging
from io import BytesIO
from typing import TYPE_CHECKING

from worker.bounded import Refused

if TYPE_CHECKING:
    from pypdf import PdfReader

_TAIL = 2048  # bytes; readers look for the end marker in the last 1024, and some writers pad
_END = b"%%EOF"


def check(content: bytes) -> None:
    """Raise Refused, naming the cause, if a PDF is encrypted, truncated, broken or without pages."""
    _open(content)


def text(content: bytes, characters: int) -> str:
    """Return the text of a PDF's first pages, page by page, each under its number, up to about `characters`."""
    reader = _open(content)
    total = len(reader.pages)
    parts: list[str] = []
    length = 0
    for number in range(total):
        found = reader.pages[number].extract_text().strip()
        if found:
            parts.append(f"[page {number + 1} of {total}]\n{found}")
            length += len(found)
        if length > characters:
            break
    return "\n\n".join(parts)


def _open(content: bytes) -> "PdfReader":
    from pypdf import PasswordType, PdfReader

    logging.getLogger("pypdf").setLevel(logging.CRITICAL)  # it quotes the document
    if _END not in content.rstrip(b"\0 \t\r\n")[-_TAIL:]:
        raise Refused("it is truncated: its end is missing")
    reader = PdfReader(BytesIO(content))
    if reader.is_encrypted and reader.decrypt("") == PasswordType.NOT_DECRYPTED:
        raise Refused("it is encrypted and needs a password")
    if not len(reader.pages):
        raise Refused("it has no pages")
    return reader
