"""The text of a PDF for models without PDF support: text of its pages, and recognized text of scanned pages."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from worker.inputs import recognition
from worker.inputs.causes import UnreadableError
from worker.inputs.pdfs import PDF_SECONDS, PdfText, pdf_text

MAX_NAMED = 10  # page numbers listed in a note


@dataclass(frozen=True, slots=True)
class PdfWords:
    """The text read from a PDF.

    Args:
        read: The text, which may be empty.
        recognized: The numbers of pages whose text was recognized in pictures.
        notes: Remarks, each fit for ``<name>: <note>.``
        is_cut: Whether the PDF has more pages than were read.
        reason_without_text: The reason why there is no text, as the end of a sentence.
    """

    read: PdfText
    recognized: tuple[int, ...] = ()
    notes: tuple[str, ...] = ()
    is_cut: bool = False
    reason_without_text: str = ""

    @property
    def is_scan(self) -> bool:
        """Whether all of the text was recognized."""
        return bool(self.recognized) and {number for number, _ in self.read.texts} == set(self.recognized)


async def words_of_pdf(
    content: bytes, characters: int, seconds: float = PDF_SECONDS, scan_seconds: float = recognition.SECONDS
) -> PdfWords:
    """Return the text of a PDF's first pages, up to about ``characters`` and within the time limits.

    Raises:
        UnreadableError: The PDF cannot be opened.
    """
    read = await pdf_text(content, characters, seconds)
    is_cut = read.read < read.pages
    if read.texts and not read.scans:
        return PdfWords(read, is_cut=is_cut)
    lacking = f"{_pages(read.scans, read.pages)} no text (perhaps a scan)"
    if not recognition.is_installed():
        return _without(read, f"; {recognition.NOT_INSTALLED}", lacking)
    try:
        found = await recognition.scan_text(content, characters, scan_seconds, read.scans if read.texts else ())
    except UnreadableError as cause:
        return _without(read, f", and {cause}", lacking)
    better = {number: text for number, text in found.texts if len(text) > len(dict(read.texts).get(number, ""))}
    if not read.texts:
        return PdfWords(found, tuple(better), (), found.read < found.pages, "; no text could be recognized, either")
    texts = tuple(sorted((dict(read.texts) | better).items()))
    notes = [_of_recognized(tuple(better), read.pages)] if better else []
    if found.read < len(read.scans):
        notes.append(f"of its {len(read.scans):,} pages without text, only the first {found.read:,} were examined")
    return PdfWords(replace(read, texts=texts), tuple(better), tuple(notes), is_cut)


def _without(read: PdfText, why: str, lacking: str) -> PdfWords:
    if not read.texts:
        return PdfWords(read, is_cut=read.read < read.pages, reason_without_text=why)
    return PdfWords(read, notes=(f"{lacking}{why}",), is_cut=read.read < read.pages)


def _of_recognized(numbers: Sequence[int], total: int) -> str:
    be = "is" if len(numbers) == 1 else "are"
    return f"{_named(numbers, total)} {be} included as recognized text (OCR), which may contain errors"


def _pages(numbers: Sequence[int], total: int) -> str:
    return f"{_named(numbers, total)} {'has' if len(numbers) == 1 else 'have'}"


def _named(numbers: Sequence[int], total: int) -> str:
    """Return page numbers in words: ``page 3 of 7``, ``pages 2, 3 and 5 of 7``."""
    if len(numbers) == 1:
        return f"page {numbers[0]} of {total:,}"
    if len(numbers) > MAX_NAMED:
        return f"{len(numbers):,} of {total:,} pages ({', '.join(map(str, numbers[:MAX_NAMED]))}, …)"
    return f"pages {', '.join(map(str, numbers[:-1]))} and {numbers[-1]} of {total:,}" if numbers else "it"
