"""PDFs: can they be opened at all, as much of them as a provider takes, and their text for models that take no PDF.

A PDF is hostile until proven otherwise. What bounds it: the file's own size limit; pypdf's limits on what a stream may
decompress to (75 MB) and on depths, entries and operators; a child process with bounds on time and memory; and no page
is read once the wanted number of characters is there. PDFium is native code that a PDF might take over, so its process
reads that one PDF alone. Nothing in a PDF is executed and nothing it refers to is fetched.
"""

import json
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from worker import bounded
from worker.bounded import Bounds, Crashed, Refused
from worker.inputs.causes import UnreadableError

PDF_SECONDS = 10.0  # for one PDF; a dense page takes pypdf some 50 ms
READING_SHARE = 0.6  # of those, after which no further page is begun
MEMORY_BYTES = 1024 * 1024 * 1024  # of address space: the file, and a page's streams several times over
ANSWER_BYTES = 16 * 1024 * 1024  # of text
_HEAD_BYTES = 100
_END, _TAIL = b"%%EOF", 2048  # readers look for it in the last 1024 bytes, and some writers pad
_WORDS = "worker.inputs.readers.pdf"


async def check_pdf(content: bytes, seconds: float = PDF_SECONDS) -> int:
    """Return how many pages a PDF has.

    Raises UnreadableError, naming the cause, if it is encrypted, truncated, broken or without pages.
    """
    return await _ask(f"{_WORDS}:check", content, seconds=seconds)


@dataclass(frozen=True, slots=True)
class PdfText:
    """The text of a PDF's pages.

    Arguments:
        texts: numbers of pages, from 1, and the text of each that has any; none in a scan.
        pages: how many the PDF has.
        read: how many of them were looked at.
        scans: numbers of pages that are pictures, with no more text than a stamp.
    """

    texts: tuple[tuple[int, str], ...]
    pages: int
    read: int
    scans: tuple[int, ...] = ()

    @property
    def text(self) -> str:
        """Page by page, each under its number; empty if no page has text."""
        return "\n\n".join(f"[page {number} of {self.pages}]\n{text}" for number, text in self.texts)

    @classmethod
    def of(cls, answer: Any) -> "PdfText":
        """Read what a child process has answered. Raises UnreadableError: it is none."""
        try:
            texts = tuple((int(number), str(text)) for number, text in answer["texts"])
            scans = tuple(int(number) for number in answer.get("scans", ()))
            return cls(texts, int(answer["pages"]), int(answer["read"]), scans)
        except (TypeError, KeyError, ValueError, AttributeError):  # a PDF has taken the process over
            raise UnreadableError("it is not a valid PDF") from None


async def pdf_text(content: bytes, characters: int, seconds: float = PDF_SECONDS) -> PdfText:
    """Return the text of a PDF's first pages, up to about `characters`, and as many as can be read in the time.

    The last page is not cut, so there may be more. Form values and annotations follow the text of their page.
    Raises UnreadableError with the cause.
    """
    return PdfText.of(await _ask(f"{_WORDS}:text", content, characters, seconds * READING_SHARE, seconds=seconds))


def is_protected(content: bytes) -> bool:
    """Tell whether a PDF is encrypted, if only so that nobody changes it; providers refuse those."""
    return b"/Encrypt" in content


def has_end(content: bytes) -> bool:
    """Tell whether a PDF has its end marker; where PDFium mends one without it, providers need not."""
    return _END in content[-_TAIL:]


async def fit_pdf(content: bytes, pages: int, size: int, seconds: float = PDF_SECONDS) -> tuple[bytes, int]:
    """Return a PDF without its protection, and with no more than its first pages that a provider takes.

    Arguments:
        content: the PDF, which can be opened without a password.
        pages: how many it may have; at least one.
        size: bytes that it may have.
        seconds: how long it may take.

    Returns: the new PDF, and how many pages it has.
    Raises UnreadableError with the cause, for instance that not even its first page is that small.
    """
    bounds = _bounds(seconds, size + _HEAD_BYTES)
    with _told(seconds):
        return _fitted(await bounded.documents.run(f"{_WORDS}:fit", content, pages, size, bounds=bounds))


def fit_pdf_blocking(content: bytes, pages: int, size: int, seconds: float = PDF_SECONDS) -> tuple[bytes, int]:
    """Do the same for plain code, which waits."""
    bounds = _bounds(seconds, size + _HEAD_BYTES)
    with _told(seconds):
        return _fitted(bounded.documents.run_blocking(f"{_WORDS}:fit", content, pages, size, bounds=bounds))


async def pdf_pictures(content: bytes, wanted: int, most: int) -> tuple[list[tuple[str, bytes]], list[str]]:
    """Return so many pictures of a PDF's pages, of so many bytes together, with their names; and notes on others.

    Raises UnreadableError with the cause.
    """
    bounds = _bounds(PDF_SECONDS, most + ANSWER_BYTES)
    with _told(PDF_SECONDS):
        answer = await bounded.documents.run(f"{_WORDS}:pictures", content, wanted, most, bounds=bounds)
    head, _, contents = answer.partition(b"\n")
    found, at = list[tuple[str, bytes]](), 0
    try:
        said = json.loads(head)
        for each in said["files"]:
            found.append((str(each["name"]), contents[at : at + int(each["size"])]))
            at += int(each["size"])
        return found, [str(each) for each in said["notes"]]
    except (TypeError, KeyError, ValueError):  # a PDF has taken the process over
        raise UnreadableError("it is not a valid PDF") from None


def _fitted(answer: bytes) -> tuple[bytes, int]:
    head, _, fitted = answer.partition(b"\n")
    return fitted, int(head)


async def _ask(function: str, *arguments: Any, seconds: float) -> Any:
    with _told(seconds):
        return await bounded.documents.run(function, *arguments, bounds=_bounds(seconds, ANSWER_BYTES))


def _bounds(seconds: float, answer: int) -> Bounds:
    return Bounds(seconds, MEMORY_BYTES, answer=answer, once=True)


@contextmanager
def _told(seconds: float) -> Generator[None]:
    try:
        yield
    except Refused as cause:
        raise UnreadableError(str(cause)) from None
    except Crashed:  # a broken PDF makes pypdf raise almost anything
        raise UnreadableError("it is not a valid PDF") from None
    except bounded.TimeUp:
        raise UnreadableError(f"opening it takes longer than {seconds:g} seconds") from None
    except bounded.NotStarted:
        raise UnreadableError("there is no process left to open it in") from None
    except bounded.BoundedError:
        raise UnreadableError("opening it takes too much memory") from None
