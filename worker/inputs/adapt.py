"""Attachments for a model that cannot take everything: a PDF as its text, a picture as a note, text within a budget."""

import asyncio
import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial

from worker.inputs.attachments import Attachment, Attachments, Kind
from worker.inputs.causes import UnreadableError
from worker.inputs.limits import Limits
from worker.inputs.pdfs import pdf_text
from worker.inputs.pictures import fit_picture, fit_picture_blocking
from worker.words.models import PictureLimits


@dataclass(frozen=True)
class Capabilities:
    """What a model can take.

    Arguments:
        pdfs: whether it takes PDF files.
        images: whether it takes pictures.
        context_tokens: what it has room for in inlined text, in tokens; None if there is no need to count.
        pictures: which pictures it takes as they are; others are made to fit.
    """

    pdfs: bool
    images: bool
    context_tokens: int | None = None
    pictures: PictureLimits = field(default_factory=PictureLimits)


async def adapt(attachments: Attachments, capabilities: Capabilities, limits: Limits | None = None) -> Attachments:
    """Return the attachments as a model can take them; the given ones stay as they are.

    A PDF for a model that takes none becomes text, page by page and marked as extracted, of at most
    `limits.file_characters`; one without text (a scan) and a picture for a model that takes none become notes. Pictures
    are converted, turned upright and scaled down as the model's provider wants them, and a note says so.
    Both share one reservation: releasing either releases both.
    """
    limits = limits or Limits()
    items = await asyncio.gather(*(_adapt_one(item, capabilities, limits) for item in attachments.items))
    return Attachments(tuple(items), attachments.reservation)


def text_budget(attachments: Attachments, capabilities: Capabilities, limits: Limits | None = None) -> int | None:
    """Return how many characters of these files' text fit the model; None if it need not count.

    Tokens are estimated from above by the kinds of characters (see `estimated_tokens`), and the densest file counts,
    so figures get less room than prose.
    """
    if capabilities.context_tokens is None:
        return None
    limits = limits or Limits()
    beginnings = [text.beginning(limits.file_characters)[0] for text in attachments.texts]
    densest = max((estimated_tokens(beginning) / len(beginning) for beginning in beginnings if beginning), default=1.0)
    return int(capabilities.context_tokens / densest)


def estimated_tokens(text: str) -> float:
    """Estimate from above how many tokens a text takes, without the model's tokenizer.

    A digit, a mark and a line end count one each, as in tokenizers that split numbers into digits; a letter of ASCII
    and a blank 0.4 (English has about 0.25 a character); anything else two, since byte-level tokenizers fall back to
    bytes. 12,000 characters of CSV were measured to take 9,800 tokens of SmolLM2, 0.82 a character.
    """
    light = len(_LIGHT.findall(text))
    foreign = sum(not character.isascii() for character in text)
    return 0.4 * light + 2.0 * foreign + 1.0 * (len(text) - light - foreign)


_LIGHT = re.compile(r"[A-Za-z ]")


async def _adapt_one(item: Attachment, capabilities: Capabilities, limits: Limits) -> Attachment:
    if item.kind is Kind.PDF and not capabilities.pdfs:
        return await _as_text(item, limits)
    if item.kind is Kind.IMAGE and not capabilities.images:
        return _as_note(item, "the model takes no pictures")
    return await _as_picture(item, capabilities.pictures) if item.kind is Kind.IMAGE else item


def fit_pictures(attachments: Attachments) -> Attachments:
    """Return the attachments with pictures that every provider accepts, for plain code, which waits."""
    fitted = [
        _with_picture(item, partial(fit_picture_blocking, item.content, item.media_type, PictureLimits()))
        if item.kind is Kind.IMAGE
        else item
        for item in attachments.items
    ]
    return Attachments(tuple(fitted), attachments.reservation)


async def _as_picture(item: Attachment, accepted: PictureLimits) -> Attachment:
    try:
        fitted = await fit_picture(item.content, item.media_type, accepted)
    except UnreadableError as cause:
        return _as_note(item, str(cause))
    return _with_picture(item, lambda: fitted)


def _with_picture(item: Attachment, fit: Callable[[], tuple[bytes, str, list[str]]]) -> Attachment:
    try:
        content, media_type, changes = fit()
    except UnreadableError as cause:
        return _as_note(item, str(cause))
    if not changes:
        return item
    changed = f"{item.name}: the model is given a picture {', '.join(changes)}."
    note = changed if item.note is None else f"{item.note} {changed}"
    return replace(item, media_type=media_type, content=content, note=note)


async def _as_text(item: Attachment, limits: Limits) -> Attachment:
    try:
        text = await pdf_text(item.content, limits.file_characters)
    except UnreadableError as cause:
        return _as_note(item, f"the model takes no PDFs, and its text could not be extracted: {cause}")
    if not text:
        return _as_note(item, "the model takes no PDFs, and this one has no text in it (it may be a scan)")
    content = f"[text extracted from the PDF {item.name}]\n\n{text}".encode("utf-8", "replace")
    return replace(item, kind=Kind.TEXT, media_type="text/plain", content=content, encoding="utf-8")


def _as_note(item: Attachment, cause: str) -> Attachment:
    return replace(item, kind=Kind.OTHER, note=f"{item.name} could not be attached: {cause}.")
