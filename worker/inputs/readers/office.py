"""Documents that a library for many formats reads: those of before 2007, e-books, rich text, OpenDocument."""

import re

from worker.bounded import Refused
from worker.inputs.kinds import OLD_WORD
from worker.inputs.readers.answer import Answer, Limits

BROKEN = "it is broken, or not what it seems to be"
_LINK = re.compile(r'\bHYPERLINK\s+(?:\\l\s+)?"([^"\n]{1,2000})"\s*')  # ECMA-376, part 1, 17.16.5.25


def read(content: bytes, limits: Limits) -> Answer:
    """Read a document as Markdown. Raises: Refused."""
    import kreuzberg

    wanted = kreuzberg.ExtractionConfig(output_format="markdown", use_cache=False, enable_quality_processing=False)
    try:
        text = kreuzberg.extract_bytes_sync(content, limits.media_type, config=wanted).content
    except Exception as error:  # noqa: BLE001 - a broken document makes it raise almost anything
        raise Refused(_cause(str(error))) from None
    return Answer(without_codes(text) if limits.media_type == OLD_WORD else text)


def without_codes(text: str) -> str:
    """Text of an old Word document with its links as people write them: the library leaves the field codes in it."""
    return _LINK.sub(r"(\1) ", text)


def _cause(message: str) -> str:
    """The library's words as words of ours, which hold nothing of the document."""
    lowered = message.lower()
    if "password" in lowered or "encrypt" in lowered:
        return "it is encrypted and needs a password"
    return "it unpacks to more than is allowed" if "limit exceeded" in lowered else BROKEN
