"""What a model can take."""

from dataclasses import dataclass, field, replace
from math import ceil

UNKNOWN_CONTEXT = 32_000  # tokens; hosted models have had more for years
COMMON_PICTURES = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp"})


@dataclass(frozen=True, slots=True)
class PictureTokens:
    """How many tokens a picture takes: one for each patch of it, or a few more or less, up to a number.

    Larger pictures are scaled down by their provider. The defaults are Anthropic's, which has the largest patches of
    those that are known, and of its models those that look the closest.

    Args:
        patch: Pixels of the side of a patch.
        each: Tokens of a patch.
        most: Tokens of a picture, however large.
    """

    patch: int = 28
    each: float = 1.0
    most: int = 4_784

    def of(self, pixels: tuple[int, int] | None) -> int:
        """Tokens of a picture of so many pixels, width and height; None: nobody knows."""
        if pixels is None:
            return self.most
        width, height = (-(-side // self.patch) for side in pixels)
        return min(ceil(width * height * self.each), self.most)


@dataclass(frozen=True, slots=True)
class PictureLimits:
    """Which pictures a provider accepts; others are converted. The defaults fit every provider that is known.

    Args:
        types: Media types; PNG and JPEG are among them everywhere.
        side: Pixels of the longest side. Anthropic refuses more than 8,000, OpenAI and Gemini scale down by themselves.
        size: Bytes. Anthropic and Bedrock refuse more than 5 MiB of base64, which is 3.75 MiB of a picture.
        number: Pictures of one request.
        few: How many may have that side; where there are more, `side_of_many` holds for all.
        side_of_many: Pixels of the longest side then: Anthropic refuses more than 2,000.
        tokens: How many each takes.
    """

    types: frozenset[str] = COMMON_PICTURES
    side: int = 8_000
    size: int = 3_932_160
    number: int = 100
    few: int = 20
    side_of_many: int = 2_000
    tokens: PictureTokens = field(default_factory=PictureTokens)

    def of(self, number: int) -> "PictureLimits":
        """What holds for each of so many pictures of one request."""
        return self if number <= self.few else replace(self, side=min(self.side, self.side_of_many))


@dataclass(frozen=True, slots=True)
class ModelCapabilities:
    """What may be sent to a model.

    Args:
        pdfs: PDF files as they are; else their text is sent.
        images: Images as they are; else a note is sent.
        prompt_tokens: Tokens that the text of files should stay within; None means half of the context.
        pictures: Which images are accepted as they are; others are converted first.
        audio: Media types of audio that may be sent; of other audio, or where there is none, a note is.
        video: The same of video.
        request: Bytes that all files of a request may have, before base64 makes them a third larger. Anthropic refuses
            requests of more than 32 MB; 2 MB of those are for the texts.
        pdf_pages: Pages that all PDF files of a request may have; Anthropic and OpenAI refuse more than 100.
        page_tokens: Tokens of a PDF's page besides its text, for the picture of it that most providers make.
        documents: PDF files of one request; Bedrock refuses more than 5.
        document_size: Bytes that one PDF file may have; Bedrock refuses more than 4.5 MB.
        context: Tokens of its context; None means nobody knows.
        tools: Whether it can call tools.
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
        """Tokens that the text of files may take: the rest of the context is for the conversation and the answer."""
        return (self.context or UNKNOWN_CONTEXT) // 2 if self.prompt_tokens is None else self.prompt_tokens
