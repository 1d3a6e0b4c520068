"""Checking of PDFs, reduction to a provider's limits, and extraction of text and pictures.

PDFs are untrusted. Several bounds apply: the file's own size limit; pypdf's limits on decompressed streams (75 MB), and
on depths, entries and operators; a child process with limits on time and memory; and reading stops once the wanted
number of characters is reached. PDFium is native code that a PDF might compromise, so its process reads only that one
PDF. Nothing in a PDF is executed, and nothing it refers to is fetched.
"""

import json
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from worker import bounded
from worker.bounded import Bounds, Crashed, Refused
from worker.inputs.causes import UnreadableError

PDF_SECONDS = 10.0  # per PDF; pypdf takes about 50 ms for a dense page
READING_SHARE = 0.6  # of the time limit, after which no further page is started
MEMORY_BYTES = 1024 * 1024 * 1024  # of address space, for the file and several copies of a page's streams
ANSWER_BYTES = 16 * 1024 * 1024  # of text
_HEAD_BYTES = 100
_END, _TAIL = b"%%EOF", 2048  # readers search the last 1024 bytes, and some writers add padding
_WORDS = "worker.inputs.readers.pdf"


async def check_pdf(content: bytes) -> int:
    """Return the number of pages of a PDF.

    Raises:
        UnreadableError: The PDF is encrypted, truncated, broken or without pages.
    """
    return await _ask(f"{_WORDS}:check", content, seconds=PDF_SECONDS)


@dataclass(frozen=True, slots=True)
class PdfText:
    """The text of a PDF's pages.

    Args:
        texts: Page numbers, from 1, with the text of each page that has any; empty for a scan.
        pages: The number of pages of the PDF.
        read: The number of pages that were read.
        scans: The numbers of pages that are pictures, with no more text than a stamp.
    """

    texts: tuple[tuple[int, str], ...]
    pages: int
    read: int
    scans: tuple[int, ...] = ()

    @property
    def text(self) -> str:
        """The text page by page, each under its number; empty if no page has text."""
        return "\n\n".join(f"[page {number} of {self.pages}]\n{text}" for number, text in self.texts)

    @classmethod
    def of(cls, answer: Any) -> "PdfText":
        """Parse the answer of a child process.

        Raises:
            UnreadableError: The answer has the wrong form.
        """
        try:
            texts = tuple((int(number), str(text)) for number, text in answer["texts"])
            scans = tuple(int(number) for number in answer.get("scans", ()))
            return cls(texts, int(answer["pages"]), int(answer["read"]), scans)
        except (TypeError, KeyError, ValueError, AttributeError):  # a PDF has compromised the process
            raise UnreadableError("it is not a valid PDF") from None


async def pdf_text(content: bytes, characters: int, seconds: float = PDF_SECONDS) -> PdfText:
    """Return the text of a PDF's first pages, up to about ``characters`` and within the time limit.

    The last page is not cut, so the text may be longer. Form values and annotations follow the text of their page.

    Raises:
        UnreadableError: The PDF cannot be read.
    """
    return PdfText.of(await _ask(f"{_WORDS}:text", content, characters, seconds * READING_SHARE, seconds=seconds))


def is_protected(content: bytes) -> bool:
    """Return whether a PDF is encrypted, if only to prevent changes; providers refuse such PDFs."""
    return b"/Encrypt" in content


def has_end(content: bytes) -> bool:
    """Return whether a PDF has its end marker; PDFium repairs PDFs without one, but providers may not."""
    return _END in content[-_TAIL:]


async def fit_pdf(content: bytes, pages: int, size: int) -> tuple[bytes, int]:
    """Return a PDF without its protection, reduced to the first pages that a provider accepts.

    Args:
        content: The PDF, which can be opened without a password.
        pages: The maximum number of pages, at least one.
        size: The maximum size in bytes.

    Returns:
        The new PDF, and its number of pages.

    Raises:
        UnreadableError: The PDF cannot be read, or not even its first page is small enough.
    """
    bounds = _bounds(PDF_SECONDS, size + _HEAD_BYTES)
    with _as_unreadable(PDF_SECONDS):
        return _fitted(await bounded.documents.run(f"{_WORDS}:fit", content, pages, size, bounds=bounds))


def fit_pdf_blocking(content: bytes, pages: int, size: int) -> tuple[bytes, int]:
    """Sync version of ``fit_pdf``."""
    bounds = _bounds(PDF_SECONDS, size + _HEAD_BYTES)
    with _as_unreadable(PDF_SECONDS):
        return _fitted(bounded.documents.run_blocking(f"{_WORDS}:fit", content, pages, size, bounds=bounds))


async def pdf_pictures(content: bytes, wanted: int, most: int) -> tuple[list[tuple[str, bytes]], list[str]]:
    """Return pictures of a PDF's pages with their names, and notes on omitted ones.

    Args:
        content: The PDF.
        wanted: The maximum number of pictures.
        most: Their maximum total size in bytes.

    Raises:
        UnreadableError: The PDF cannot be read.
    """
    bounds = _bounds(PDF_SECONDS, most + ANSWER_BYTES)
    with _as_unreadable(PDF_SECONDS):
        answer = await bounded.documents.run(f"{_WORDS}:pictures", content, wanted, most, bounds=bounds)
    head, _, contents = answer.partition(b"\n")
    found, at = list[tuple[str, bytes]](), 0
    try:
        said = json.loads(head)
        for each in said["files"]:
            found.append((str(each["name"]), contents[at : at + int(each["size"])]))
            at += int(each["size"])
        return found, [str(each) for each in said["notes"]]
    except (TypeError, KeyError, ValueError):  # a PDF has compromised the process
        raise UnreadableError("it is not a valid PDF") from None


def _fitted(answer: bytes) -> tuple[bytes, int]:
    head, _, fitted = answer.partition(b"\n")
    return fitted, int(head)


async def _ask(function: str, *arguments: Any, seconds: float) -> Any:
    with _as_unreadable(seconds):
        return await bounded.documents.run(function, *arguments, bounds=_bounds(seconds, ANSWER_BYTES))


def _bounds(seconds: float, answer: int) -> Bounds:
    return Bounds(seconds, MEMORY_BYTES, answer=answer, once=True)


@contextmanager
def _as_unreadable(seconds: float) -> Generator[None]:
    try:
        yield
    except Refused as cause:
        raise UnreadableError(str(cause)) from None
    except Crashed:  # a broken PDF makes pypdf raise almost anything
        raise UnreadableError("it is not a valid PDF") from None
    except bounded.TimeUp:
        raise UnreadableError(f"opening it takes longer than {seconds:g} seconds") from None
    except bounded.NotStarted:
        raise UnreadableError("no process could be started to open it") from None
    except bounded.BoundedError:
        raise UnreadableError("opening it takes too much memory") from None
