"""The searchable text of a document, and notes if it has none or was cut."""

from typing import TYPE_CHECKING

from worker.knowledge import Text

if TYPE_CHECKING:
    from worker.inputs import Attachment

PDF_CHARACTERS = 4_000_000  # limit on the text of one PDF: some 2,000 pages
PDF_SECONDS = 120.0
MARKDOWN = frozenset({"text/markdown", "text/x-markdown", "text/html"})
MARKDOWN_NAMES = (".md", ".markdown")


async def text_of(item: "Attachment") -> tuple[Text | None, list[str]]:
    """Return the text of a file, if it has any, and notes. Pictures and scans need text recognition to be installed."""
    from worker.inputs import Kind
    from worker.inputs.causes import UnreadableError

    if item.text is not None:
        is_markdown = item.media_type in MARKDOWN or item.name.lower().endswith(MARKDOWN_NAMES)
        cut = [f"{item.name} is too long: only its beginning is searchable."] if item.is_cut else []
        return Text(item.text, is_markdown=is_markdown), cut
    try:
        if item.kind is Kind.PDF:
            return await _of_pdf(item)
        if item.kind is Kind.IMAGE:
            return await _of_picture(item)
    except UnreadableError as cause:
        return None, [f"{item.name} could not be read: {cause}."]
    if item.kind in (Kind.AUDIO, Kind.VIDEO):
        return None, [f"{item.name} could not be read: it is {item.media_type}, which contains no text."]
    return None, []  # the attachment's own note gives the reason


async def _of_pdf(item: "Attachment") -> tuple[Text | None, list[str]]:
    from worker.inputs.causes import UnreadableError
    from worker.inputs.pdf_words import words_of_pdf

    found = await words_of_pdf(item.content, PDF_CHARACTERS, PDF_SECONDS, PDF_SECONDS)
    read = found.read
    if not read.texts:
        raise UnreadableError(f"it contains no text (it may be a scan){found.reason_without_text}")
    notes = [_recognized(item.name)] if found.is_scan else [f"{item.name}: {each}." for each in found.notes]
    if read.read < read.pages:
        notes.append(f"{item.name}: only the first {read.read:,} of {read.pages:,} pages are searchable.")
    return Text(read.text, has_pages=True, is_markdown=False), notes


async def _of_picture(item: "Attachment") -> tuple[Text | None, list[str]]:
    from worker.inputs import recognition
    from worker.inputs.causes import UnreadableError

    if not recognition.is_installed():
        raise UnreadableError(f"it is an image; {recognition.NOT_INSTALLED}")
    words = await recognition.picture_text(item.content)
    if not words:
        raise UnreadableError("it is an image, and no text was recognized in it")
    return Text(words, is_markdown=False), [_recognized(item.name)]


def _recognized(name: str) -> str:
    return f"The text of {name} was recognized automatically and may contain errors."
