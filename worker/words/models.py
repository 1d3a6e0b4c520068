"""What a model can take."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ModelCapabilities:
    """What may be sent to a model.

    Args:
        pdfs: PDF files as they are; else their text is sent.
        images: Images as they are; else a note is sent.
        prompt_tokens: Tokens that inlined text should stay within; none: the settings' own limits suffice.
    """

    pdfs: bool = True
    images: bool = True
    prompt_tokens: int | None = None
