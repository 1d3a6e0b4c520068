"""The remaining capacity of a model request: bytes, pages, pictures and documents of its provider, and the context."""

from math import inf

from worker.inputs.attachments import Attachment, Kind
from worker.inputs.names import size_words
from worker.words.models import ModelCapabilities

SENT = frozenset({Kind.PDF, Kind.IMAGE, Kind.AUDIO, Kind.VIDEO})  # kinds sent as they are, outside the message
MIN_PDF = 500  # bytes; no PDF of one page is smaller
CONTEXT_SHARE = 0.95  # the share of the context available to files sent as they are
DENSE_TEXT = 1_500  # tokens of text on a dense page
CHARACTERS_A_TOKEN = 3  # of a PDF's text; a cautious estimate, since English has more
MIN_TEXT = 1_000  # tokens always granted to texts


class RequestCapacity:
    """The remaining capacity of a request.

    Args:
        takes: The model's capabilities.
    """

    def __init__(self, takes: ModelCapabilities) -> None:
        self._takes = takes
        self.bytes = takes.request
        self.pages = takes.pdf_pages
        self.tokens = takes.context * CONTEXT_SHARE if takes.context is not None else inf
        self._pictures = takes.pictures.number
        self._documents = takes.documents

    @property
    def document_bytes(self) -> int:
        """The maximum size of a PDF in bytes."""
        return min(self.bytes, self._takes.document_size)

    @property
    def dense_page(self) -> float:
        """The maximum number of tokens of a PDF page."""
        return self._takes.page_tokens + DENSE_TEXT

    def tokens_of_page(self, characters: int | None, pages: int) -> float:
        """Return the tokens per page of a PDF with this many characters of text; None means unknown."""
        if characters is None:
            return self.dense_page
        return self._takes.page_tokens + characters / CHARACTERS_A_TOKEN / pages

    @property
    def text_tokens(self) -> int:
        """The tokens left for texts, next to the files sent as they are."""
        return int(max(min(self._takes.text_tokens, self.tokens), min(MIN_TEXT, self._takes.text_tokens)))

    def refusal(self, item: Attachment) -> str | None:
        """Return the reason why a file, or even one page of it, has no room in the request; None if it has."""
        taken, provider = "the model's provider accepts at most", "per request"
        if item.kind is Kind.IMAGE and not self._pictures:
            return f"{taken} {self._takes.pictures.number:,} pictures {provider}"
        if item.kind is Kind.IMAGE and self._tokens_of(item) > self.tokens:
            return "with it, the files would exceed the model's context"
        if item.kind is Kind.PDF and not self._documents:
            return f"{taken} {self._takes.documents:,} PDFs {provider}"
        if item.kind is Kind.PDF and not self.pages:
            return f"{taken} {page_words(self._takes.pdf_pages)} of PDFs {provider}"
        if (MIN_PDF if item.kind is Kind.PDF else len(item.content)) > self.bytes:
            total = size_words(self._takes.request)
            return f"with it, the files would exceed the {total} that the model's provider accepts {provider}"
        return None

    def _tokens_of(self, picture: Attachment) -> int:
        return self._takes.pictures.tokens.of(picture.pixels)

    def take(self, item: Attachment) -> None:
        """Subtract a file from the capacity, except for the tokens of a PDF, which depend on its content."""
        self.bytes -= len(item.content) if item.kind in SENT else 0
        self.tokens -= self._tokens_of(item) if item.kind is Kind.IMAGE else 0
        self._pictures -= item.kind is Kind.IMAGE
        self._documents -= item.kind is Kind.PDF
        self.pages -= item.pages or 0 if item.kind is Kind.PDF else 0


def page_words(count: int) -> str:
    """Return a number of pages in words."""
    return "page" if count == 1 else f"{count:,} pages"
