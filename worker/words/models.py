"""The capabilities of models: which inputs they accept, and how large."""

from dataclasses import dataclass, field, replace
from math import ceil

UNKNOWN_CONTEXT = 32_000  # tokens; hosted models have long had more
COMMON_PICTURES = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp"})


@dataclass(frozen=True, slots=True)
class PictureTokens:
    """The number of tokens of a picture: a fixed number per patch, up to a maximum.

    Larger pictures are scaled down by their provider. The defaults are Anthropic's, whose patches are the largest
    known; the maximum is that of its models with the highest resolution.

    Args:
        patch: The side of a patch in pixels.
        each: Tokens per patch.
        most: The maximum number of tokens per picture.
    """

    patch: int = 28
    each: float = 1.0
    most: int = 4_784

    def of(self, pixels: tuple[int, int] | None) -> int:
        """Return the tokens of a picture of the given width and height in pixels; None means unknown."""
        if pixels is None:
            return self.most
        width, height = (-(-side // self.patch) for side in pixels)
        return min(ceil(width * height * self.each), self.most)


@dataclass(frozen=True, slots=True)
class PictureLimits:
    """The pictures that a provider accepts; others are converted. The defaults fit every known provider.

    Args:
        types: Media types; every provider accepts PNG and JPEG.
        side: The longest side in pixels. Anthropic refuses more than 8,000; OpenAI and Gemini scale down automatically.
        size: Bytes. Anthropic and Bedrock refuse more than 5 MiB of base64, which is 3.75 MiB of a picture.
        number: Pictures per request.
        few: The number of pictures up to which ``side`` applies; beyond it ``side_of_many`` applies to all.
        side_of_many: The longest side in pixels in that case: Anthropic refuses more than 2,000.
        tokens: The tokens of each picture.
    """

    types: frozenset[str] = COMMON_PICTURES
    side: int = 8_000
    size: int = 3_932_160
    number: int = 100
    few: int = 20
    side_of_many: int = 2_000
    tokens: PictureTokens = field(default_factory=PictureTokens)

    def of(self, number: int) -> "PictureLimits":
        """Return the limits for each picture of a request with this many pictures."""
        return self if number <= self.few else replace(self, side=min(self.side, self.side_of_many))


@dataclass(frozen=True, slots=True)
class ModelCapabilities:
    """The inputs that a model accepts.

    Args:
        pdfs: Whether PDF files are sent as they are; if not, their text is sent.
        images: Whether images are sent as they are; if not, a note is sent.
        prompt_tokens: Tokens that the text of files should stay within; None means half of the context.
        pictures: The images that are accepted as they are; others are converted first.
        audio: Media types of audio that may be sent; other audio becomes a note.
        video: Media types of video that may be sent; other video becomes a note.
        request: Bytes of all files of a request, before base64 makes them a third larger. Anthropic refuses requests of
            more than 32 MB; 2 MB of those are reserved for text.
        pdf_pages: Pages of all PDF files of a request; Anthropic and OpenAI refuse more than 100.
        page_tokens: Tokens of a PDF page besides its text, for the picture that most providers make of it.
        documents: PDF files per request; Bedrock refuses more than 5.
        document_size: Bytes of one PDF file; Bedrock refuses more than 4.5 MB.
        context: Tokens of the model's context; None means unknown.
        tools: Whether the model can call tools.
    """

    pdfs: bool = True
    images: bool = True
    prompt_tokens: int | None = None
    pictures: PictureLimits = field(default_factory=PictureLimits)
    audio: frozenset[str] = frozenset()
    video: frozenset[str] = frozenset()
    request: int = 22_000_000
    pdf_pages: int = 100
    page_tokens: int = 1_500
    documents: int = 100
    document_size: int = 22_000_000
    context: int | None = None
    tools: bool = True

    @property
    def text_tokens(self) -> int:
        """Tokens that the text of files may take; the rest of the context is for the conversation and the answer."""
        return (self.context or UNKNOWN_CONTEXT) // 2 if self.prompt_tokens is None else self.prompt_tokens
