"""Attachments for a model that cannot take everything: a PDF as its text, a picture as a note, text within a budget."""

import asyncio
import re
from dataclasses import dataclass, replace

from worker.inputs.attachments import Attachment, Attachments, Kind
from worker.inputs.causes import UnreadableError
from worker.inputs.limits import Limits
from worker.inputs.pdfs import pdf_text

# What every provider of picture-reading models documents; TIFF, BMP and HEIC end a run with a 400 at most of them.
COMMON_IMAGES = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp"})


@dataclass(frozen=True)
class Capabilities:
    """What a model can take.

    Arguments:
        pdfs: whether it takes PDF files.
        images: whether it takes pictures.
        context_tokens: what it has room for in inlined text, in tokens; None if there is no need to count.
        image_types: the media types of pictures that it takes.
    """

    pdfs: bool
    images: bool
    context_tokens: int | None = None
    image_types: frozenset[str] = COMMON_IMAGES


async def adapt(attachments: Attachments, capabilities: Capabilities, limits: Limits | None = None) -> Attachments:
    """Return the attachments as a model can take them; the given ones stay as they are.

    A PDF for a model that takes none becomes text, page by page and marked as extracted, of at most
    `limits.file_characters`; one without text (a scan) and a picture for a model that takes none become notes.
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
    if item.kind is Kind.IMAGE and item.media_type not in capabilities.image_types:
        return _as_note(item, f"the model takes no {item.media_type}")
    return item


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
