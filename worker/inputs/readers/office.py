"""Documents that a library for many formats reads: those of before 2007, e-books, rich text, OpenDocument."""

from worker.bounded import Refused
from worker.inputs.readers.answer import Answer, Limits

BROKEN = "it is broken, or not what it seems to be"


def read(content: bytes, limits: Limits) -> Answer:
    """Read a document as Markdown. Raises: Refused."""
    import kreuzberg

    wanted = kreuzberg.ExtractionConfig(output_format="markdown", use_cache=False, enable_quality_processing=False)
    try:
        return Answer(kreuzberg.extract_bytes_sync(content, limits.media_type, config=wanted).content)
    except Exception as error:  # noqa: BLE001 - a broken document makes it raise almost anything
        raise Refused(_cause(str(error))) from None


def _cause(message: str) -> str:
    """The library's words as words of ours, which hold nothing of the document."""
    lowered = message.lower()
    if "password" in lowered or "encrypt" in lowered:
        return "it is encrypted and needs a password"
    return "it unpacks to more than is allowed" if "limit exceeded" in lowered else BROKEN
