"""PDFs: can they be opened at all, and the text of their pages for models that take no PDF.

A PDF is hostile until proven otherwise. What bounds it: the file's own size limit; pypdf's limits on what a stream may
decompress to (75 MB) and on depths, entries and operators; a thread of its own that is ended after PDF_SECONDS, at most
two of them at once (see threads.py), with a look at the clock at each operator of a page; and no page is read once the
wanted number of characters is there.
Nothing in a PDF is executed and nothing it refers to is fetched.
"""

import logging
from collections.abc import Callable
from io import BytesIO
from typing import TYPE_CHECKING

from worker.inputs.causes import UnreadableError
from worker.inputs.threads import Deadline, Result, bounded

if TYPE_CHECKING:
    from pypdf import PdfReader

PDF_SECONDS = 10.0  # for one PDF; a dense page takes pypdf some 50 ms, and 8,000 characters are about four pages
_TAIL = 2048  # bytes; readers look for the end marker in the last 1024, and some writers pad
_END = b"%%EOF"
_SAID = logging.getLogger("pypdf")  # of each flaw of a document, in words that quote it: no business of the log


async def check_pdf(content: bytes, seconds: float = PDF_SECONDS) -> None:
    """Raise UnreadableError, naming the cause, if a PDF is encrypted, truncated, broken or without pages."""
    await _in_time(lambda _: _open(content), seconds)


async def pdf_text(content: bytes, characters: int, seconds: float = PDF_SECONDS) -> str:
    """Return the text of a PDF's first pages, page by page, each under its number, up to about `characters`.

    The last page is not cut, so there may be more. Empty if no page has text, as in a scan.
    Raises UnreadableError with the cause.
    """
    return await _in_time(lambda deadline: _extract(content, characters, deadline), seconds)


async def _in_time(work: Callable[[Deadline], Result], seconds: float) -> Result:
    try:
        return await bounded(work, seconds, "pypdf")
    except TimeoutError:
        raise UnreadableError(f"opening it takes longer than {seconds:g} seconds") from None
    except UnreadableError:
        raise
    except Exception:  # noqa: BLE001 - a broken PDF makes pypdf raise almost anything
        raise UnreadableError("it is not a valid PDF") from None


def _open(content: bytes) -> "PdfReader":
    from pypdf import PasswordType, PdfReader

    _SAID.setLevel(logging.CRITICAL)
    if _END not in content.rstrip(b"\0 \t\r\n")[-_TAIL:]:
        raise UnreadableError("it is truncated: its end is missing")
    reader = PdfReader(BytesIO(content))
    if reader.is_encrypted and reader.decrypt("") == PasswordType.NOT_DECRYPTED:
        raise UnreadableError("it is encrypted and needs a password")
    if not len(reader.pages):
        raise UnreadableError("it has no pages")
    return reader


def _extract(content: bytes, characters: int, deadline: Deadline) -> str:
    reader = _open(content)
    total = len(reader.pages)
    parts: list[str] = []
    length = 0
    for number in range(total):
        deadline.check()
        text = reader.pages[number].extract_text(visitor_operand_before=deadline.check).strip()
        if text:
            parts.append(f"[page {number + 1} of {total}]\n{text}")
            length += len(text)
        if length > characters:
            break
    return "\n\n".join(parts)
