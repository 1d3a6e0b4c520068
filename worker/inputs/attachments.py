"""The files of a task after reading: their kinds, their contents, and notes on problems."""

import codecs
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from types import TracebackType
from typing import Protocol, Self


class Kind(StrEnum):
    """How a file can be used, decided by its content; a document that was converted is a text."""

    PDF = "pdf"
    IMAGE = "image"
    AUDIO = "audio"
    VIDEO = "video"
    TEXT = "text"
    DOCUMENT = "document"
    OTHER = "other"
    UNREADABLE = "unreadable"


@dataclass(frozen=True)
class StoredFile:
    """An uploaded file, as the platform returns it."""

    content: bytes
    media_type: str
    name: str


OpenStored = Callable[[str], Awaitable[StoredFile]]
"""A function that opens a ``worker:<sha256>/<name>`` reference, and raises LookupError if it is unknown."""


@dataclass(frozen=True)
class Fetched:
    """The unexamined content of a URL."""

    content: bytes
    declared: str = ""  # the Content-Type as sent, including its charset
    name: str = ""  # the file name sent with the content


class Keeper(Protocol):
    """A store for the first-read contents of a task's URLs, so that later attempts do not depend on the URLs."""

    async def recall(self, url: str) -> Fetched | None:
        """Return the stored content of an http or https URL; None if it was not stored."""
        ...

    async def keep(self, files: Sequence[tuple[str, Fetched]]) -> None:
        """Store the contents of URLs that were fetched rather than recalled, in the task's order."""
        ...


@dataclass(frozen=True)
class Attachment:
    """One file of a task after reading.

    Args:
        url: The URL as the task names it; for a ``data:`` URL, only its short display form.
        kind: How the file can be used.
        media_type: The type of the content, else the declared type, else that of the name.
        name: The name as one line, safe to show.
        content: The bytes; for a converted document, those of its text; empty for an unreadable file.
        encoding: The encoding of a text; None for anything else.
        note: One line that names the file and says why it could not be attached, or what is unusual about it.
        pages: The number of pages of a PDF.
        pixels: Width and height of a picture, once it was examined.
        original: The bytes of a converted document, for handlers that process the document itself; else None.
        source: The original media type of a text that a document was converted to.
        is_cut: Whether the text continues beyond ``content``.
    """

    url: str
    kind: Kind
    media_type: str
    name: str
    content: bytes = field(default=b"", repr=False)
    encoding: str | None = None
    note: str | None = None
    pages: int | None = None
    pixels: tuple[int, int] | None = None
    original: bytes | None = field(default=None, repr=False)
    source: str = ""
    is_cut: bool = False

    @property
    def size(self) -> int:
        """The total number of bytes held."""
        return len(self.content) + len(self.original or b"")

    @property
    def text(self) -> str | None:
        """The decoded text, decoded on each access to avoid holding it twice; None if the file is not text."""
        return None if self.encoding is None else self.content.decode(self.encoding, "replace")

    def beginning(self, characters: int) -> tuple[str, bool]:
        """Return at most the first ``characters`` of the text, and whether there is more."""
        if self.encoding is None:
            return "", False
        # No accepted encoding uses more than eight bytes a character, shift sequences included, plus a byte-order mark.
        head = self.content[: 8 * (characters + 16)]
        text = codecs.getincrementaldecoder(self.encoding)("replace").decode(head, len(head) == len(self.content))
        return text[:characters], len(text) > characters or len(head) < len(self.content)


class Reservation(Protocol):
    """Bytes of the process's allowance, held by a task."""

    def release(self) -> None:
        """Return the bytes; a second call does nothing."""


@dataclass(frozen=True)
class Attachments:
    """All files of a task, in its order. Release them when the task is done, or use them as a context manager."""

    items: tuple[Attachment, ...] = ()
    reservation: Reservation | None = field(default=None, repr=False, compare=False)

    @property
    def pdfs(self) -> tuple[Attachment, ...]:
        """The PDF documents."""
        return self._of(Kind.PDF)

    @property
    def images(self) -> tuple[Attachment, ...]:
        """The pictures."""
        return self._of(Kind.IMAGE)

    @property
    def audio(self) -> tuple[Attachment, ...]:
        """The audio files."""
        return self._of(Kind.AUDIO)

    @property
    def videos(self) -> tuple[Attachment, ...]:
        """The videos."""
        return self._of(Kind.VIDEO)

    @property
    def texts(self) -> tuple[Attachment, ...]:
        """The files that can be read as text."""
        return self._of(Kind.TEXT)

    @property
    def unreadable(self) -> tuple[Attachment, ...]:
        """The files that could not be read at all."""
        return self._of(Kind.UNREADABLE)

    @property
    def are_cut(self) -> bool:
        """Whether any file has more content than is held here."""
        return any(item.is_cut for item in self.items)

    @property
    def notes(self) -> tuple[str, ...]:
        """Notes on missing or unusual files for the reader of the message, one line each."""
        return tuple(item.note for item in self.items if item.note is not None)

    def release(self) -> None:
        """Return the bytes to the process's allowance. Safe from any thread and more than once."""
        if self.reservation is not None:
            self.reservation.release()

    def _of(self, kind: Kind) -> tuple[Attachment, ...]:
        return tuple(item for item in self.items if item.kind is kind)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()
