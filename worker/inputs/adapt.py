"""Adaptation of attachments to a model's capabilities: PDFs as text, videos as notes, text within a budget."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace

from worker.inputs import recognition
from worker.inputs.attachments import Attachment, Attachments, Kind
from worker.inputs.budget import MAX_CHARACTERS, most_characters
from worker.inputs.causes import UnreadableError
from worker.inputs.cutting import fit_texts
from worker.inputs.limits import Limits
from worker.inputs.pdf_words import words_of_pdf
from worker.inputs.pdfs import fit_pdf, fit_pdf_blocking, has_end, is_protected, pdf_pictures, pdf_text
from worker.inputs.pictures import Fitted, Picture, fit_pictures, fit_pictures_blocking
from worker.inputs.request_capacity import SENT, RequestCapacity, page_words
from worker.inputs.threads import examine
from worker.words.models import ModelCapabilities


async def adapt(attachments: Attachments, capabilities: ModelCapabilities, limits: Limits | None = None) -> Attachments:
    """Return the attachments in the form that a model accepts; the given ones stay unchanged.

    For a model without PDFs, a PDF becomes text, page by page and marked as extracted. For a model without images, the
    text in pictures is recognized if Tesseract is installed; otherwise a picture or scan becomes a note. Pictures are
    converted, rotated upright and scaled down to the provider's limits, and a note says so. Audio and video that the
    model does not accept become notes, and so do files beyond the size of a request. A PDF with too many pages keeps
    its first pages, or becomes text if there is room for none. Texts are cut to the model's context and the limits, and
    a note says what was kept (``fit_texts``). Both results share one reservation: releasing either releases both.
    """
    limits = limits or Limits()
    if capabilities.images and not capabilities.pdfs and limits.document_pictures:
        attachments = await _with_pictures_of_pdfs(attachments, limits.document_pictures)
    accepted = capabilities.pictures.of(len(attachments.images))
    pictures = await fit_pictures(_pictures(attachments), accepted) if capabilities.images else []
    fitted = _with_pictures(attachments, pictures) if capabilities.images else attachments.items
    items = await asyncio.gather(*(_adapt_one(item, capabilities, limits) for item in fitted))
    capacity = RequestCapacity(capabilities)
    fitting = Attachments(await _within_request(items, capabilities, limits, capacity), attachments.reservation)
    left = replace(capabilities, prompt_tokens=capacity.text_tokens)
    return await examine(lambda: fit_texts(fitting, left, limits)) if fitting.texts else fitting


async def _with_pictures_of_pdfs(attachments: Attachments, wanted: int) -> Attachments:
    """Insert the pictures of each PDF after it, for a model that accepts images but no PDFs."""
    items: list[Attachment] = []
    for item in attachments.items:
        items.append(item)
        if item.kind is Kind.PDF:
            with suppress(UnreadableError):  # reading its text reports the error
                found, notes = await pdf_pictures(item.content, wanted, PDF_PICTURES_BYTES)
                noted = [f"{item.name}: {each}." for each in notes]
                items[-1] = replace(item, note=" ".join([*([item.note] if item.note else []), *noted]) or None)
                for name, content in found:
                    inner = f"{item.name}/{name}"
                    items.append(Attachment(inner, Kind.IMAGE, "image/jpeg", inner, content))
    return Attachments(tuple(items), attachments.reservation)


PDF_PICTURES_BYTES = 16 * 1024 * 1024  # per PDF
_NO_PDFS = "the model does not accept PDFs"


async def _adapt_one(item: Attachment, capabilities: ModelCapabilities, limits: Limits) -> Attachment:
    if item.kind is Kind.PDF and not capabilities.pdfs:
        return await _as_text(item, most_characters(capabilities, limits))
    if item.kind is Kind.IMAGE and not capabilities.images:
        return await _as_words(item)
    if item.kind in {Kind.AUDIO, Kind.VIDEO}:
        return _as_recording(item, capabilities.audio if item.kind is Kind.AUDIO else capabilities.video)
    return item


async def _within_request(
    items: Sequence[Attachment], capabilities: ModelCapabilities, limits: Limits, capacity: RequestCapacity
) -> tuple[Attachment, ...]:
    """Return the files, in order, that fit into one request; of the others, PDFs become text and the rest notes."""
    fitting = list[Attachment]()
    for item in items:
        fitted = item
        if item.kind is Kind.PDF:
            try:
                fitted = await _as_pdf(item, capacity)
            except UnreadableError as cause:
                fitted = await _as_text(item, most_characters(capabilities, limits), str(cause))
        elif item.kind in SENT and (why := capacity.refusal(item)):
            fitted = _as_note(item, why)
        capacity.take(fitted)
        fitting.append(fitted)
    return tuple(fitting)


async def _as_pdf(item: Attachment, capacity: RequestCapacity) -> Attachment:
    """Return a PDF that its provider can open, with as many pages and bytes as there is room for.

    Raises:
        UnreadableError: There is no room for any page, or the PDF cannot be rewritten.
    """
    if (why := capacity.refusal(item)) is not None:
        raise UnreadableError(why)
    tokens = capacity.dense_page
    if (item.pages or 1) * tokens > capacity.tokens:
        tokens = capacity.tokens_of_page(await _characters_of(item), item.pages or 1)
    pages = int(min(capacity.pages, max(capacity.tokens, 0) / tokens))
    if not pages:
        raise UnreadableError("there is no room for it in the model's context")
    fits = _is_fine(item, pages, capacity.document_bytes)
    fitted = item if fits else _with_pages(item, *await fit_pdf(item.content, pages, capacity.document_bytes))
    capacity.tokens -= (fitted.pages or 1) * tokens
    return fitted


async def _characters_of(item: Attachment) -> int | None:
    """Estimate how many characters of text a PDF has; None if it cannot be read."""
    try:
        read = await pdf_text(item.content, MAX_CHARACTERS)
    except UnreadableError:
        return None
    return len(read.text) * read.pages // max(read.read, 1)


def _is_fine(item: Attachment, pages: int, size: int) -> bool:
    is_sound = has_end(item.content) and not is_protected(item.content)
    return is_sound and (item.pages or 1) <= pages and len(item.content) <= size


def _with_pages(item: Attachment, content: bytes, count: int) -> Attachment:
    total = item.pages or 1
    note = item.note
    if count < total:
        note = _and(note, f"{item.name}: the model receives only the first {page_words(count)} of {total:,}.")
    return replace(item, content=content, pages=count, note=note, is_cut=count < total)


def _as_recording(item: Attachment, taken: frozenset[str]) -> Attachment:
    if item.media_type in taken:
        return item
    if not taken:
        return _as_note(item, f"the model does not accept {item.kind}")
    return _as_note(item, f"the model does not accept {item.media_type}, only {', '.join(sorted(taken))}")


def fit_blocking(attachments: Attachments) -> Attachments:
    """Return the attachments with pictures and PDFs in a form that every provider accepts. Blocks the thread."""
    anyone = ModelCapabilities()
    accepted = anyone.pictures.of(len(attachments.images))
    items = _with_pictures(attachments, fit_pictures_blocking(_pictures(attachments), accepted))
    return Attachments(
        tuple(_as_pdf_blocking(item, anyone) if item.kind is Kind.PDF else item for item in items),
        attachments.reservation,
    )


def _as_pdf_blocking(item: Attachment, takes: ModelCapabilities) -> Attachment:
    if _is_fine(item, takes.pdf_pages, takes.document_size):
        return item
    try:
        return _with_pages(item, *fit_pdf_blocking(item.content, takes.pdf_pages, takes.document_size))
    except UnreadableError as cause:
        return _as_note(item, str(cause))


def _pictures(attachments: Attachments) -> list[Picture]:
    return [Picture(each.content, each.media_type) for each in attachments.images]


def _with_pictures(attachments: Attachments, fitted: Sequence[Fitted]) -> tuple[Attachment, ...]:
    """Return the files with their pictures replaced by the fitted ones; notes describe the changes."""
    left = iter(fitted)
    return tuple(_with_picture(item, next(left)) if item.kind is Kind.IMAGE else item for item in attachments.items)


def _with_picture(item: Attachment, fitted: Fitted) -> Attachment:
    if isinstance(fitted, UnreadableError):
        return _as_note(item, str(fitted))
    if not fitted.changes:
        return replace(item, pixels=fitted.pixels)
    note = _and(item.note, f"{item.name}: the picture was {', '.join(fitted.changes)}.")
    return replace(item, media_type=fitted.media_type, content=fitted.content, pixels=fitted.pixels, note=note)


async def _as_text(item: Attachment, most: int, why: str = _NO_PDFS) -> Attachment:
    """Convert a PDF to its text. A note gives the reason, unless the model accepts no PDFs at all."""
    try:
        found = await words_of_pdf(item.content, most)
    except UnreadableError as cause:
        return _as_note(item, f"{why}, and its text could not be extracted: {cause}")
    if not found.read.texts:
        return _as_note(item, f"{why}, and this one contains no text (it may be a scan){found.reason_without_text}")
    begun = f"[text {'recognized in' if found.is_scan else 'extracted from'} the PDF {item.name}]"
    how = None if why == _NO_PDFS else f"{item.name} is included as text: {why}."
    said = [_recognized(item.name)] if found.is_scan else [f"{item.name}: {each}." for each in found.notes]
    return replace(_text(item, f"{begun}\n\n{found.read.text}", [item.note, how, *said]), is_cut=found.is_cut)


async def _as_words(item: Attachment) -> Attachment:
    """Convert a picture to the text recognized in it, or to a note."""
    why = "the model does not accept pictures"
    if not recognition.is_installed():
        return _as_note(item, f"{why}; {recognition.NOT_INSTALLED}")
    try:
        words = await recognition.picture_text(item.content)
    except UnreadableError as cause:
        return _as_note(item, f"{why}, and {cause}")
    if not words:
        return _as_note(item, f"{why}, and no text was recognized in it")
    return _text(item, f"[text recognized in the picture {item.name}]\n\n{words}", [item.note, _recognized(item.name)])


def _recognized(name: str) -> str:
    return f"{name} is included as recognized text (OCR), which may contain errors."


def _text(item: Attachment, text: str, notes: Sequence[str | None]) -> Attachment:
    return replace(
        item,
        kind=Kind.TEXT,
        media_type="text/plain",
        content=text.encode("utf-8", "replace"),
        encoding="utf-8",
        note=" ".join(each for each in notes if each) or None,
        source=item.media_type,
    )


def _and(note: str | None, more: str) -> str:
    return more if note is None else f"{note} {more}"


def _as_note(item: Attachment, cause: str) -> Attachment:
    return replace(item, kind=Kind.OTHER, note=f"{item.name} could not be attached: {cause}.")
