"""The files of a task once they are read: what each one is, what it holds, and why not."""

import codecs
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from types import TracebackType
from typing import Protocol, Self


class Kind(StrEnum):
    """What a file is good for, decided by its content; a document that could be converted is a text."""

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
    """An uploaded file as the platform hands it out."""

    content: bytes
    media_type: str
    name: str


OpenStored = Callable[[str], Awaitable[StoredFile]]
"""Opens a `worker:<sha256>/<name>` reference; raises LookupError for one it does not know."""


@dataclass(frozen=True)
class Fetched:
    """What came back for a URL, before anybody looked into it."""

    content: bytes
    declared: str = ""  # a Content-Type as it was sent, charset and all
    name: str = ""  # a file name that came with the content


class Keeper(Protocol):
    """Keeps what a task's URLs held when they were first read, so that no later reader depends on them."""

    async def recall(self, url: str) -> Fetched | None:
        """What an http or https URL held, if it was kept."""
        ...

    async def keep(self, files: Sequence[tuple[str, Fetched]]) -> None:
        """Keep what URLs hold, in the task's order; each could be read, and was not recalled."""
        ...


@dataclass(frozen=True)
class Attachment:
    """One file of a task, read.

    Arguments:
        url: as the task names it; a `data:` URL only in its short display form.
        kind: what the file is good for.
        media_type: by content first, then as declared, then by name.
        name: one line, safe to show.
        content: the bytes; empty for an unreadable file; of a converted document the bytes of its text.
        encoding: how the bytes of a text are decoded; None for anything else.
        note: one line on why it could not be attached, or what is odd about it; names file and cause.
        pages: how many a PDF has.
        pixels: width and height of a picture, once it was looked at.
        original: the bytes of a document that was converted, for who computes on a workbook himself; else None.
        source: of a text that a document was converted to, the document's own media type.
        is_cut: whether there is more of a text than `content` holds.
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
        """What it holds, in bytes."""
        return len(self.content) + len(self.original or b"")

    @property
    def text(self) -> str | None:
        """The whole decoded text, decoded anew at each access so that it is not held twice; None if it is no text."""
        return None if self.encoding is None else self.content.decode(self.encoding, "replace")

    def beginning(self, characters: int) -> tuple[str, bool]:
        """Return at most the first `characters` of the text, and whether there is more."""
        if self.encoding is None:
            return "", False
        # No accepted encoding takes over eight bytes a character, shift sequences included; a mark comes on top.
        head = self.content[: 8 * (characters + 16)]
        text = codecs.getincrementaldecoder(self.encoding)("replace").decode(head, len(head) == len(self.content))
        return text[:characters], len(text) > characters or len(head) < len(self.content)


class Reservation(Protocol):
    """Bytes of the process's allowance that a task holds."""

    def release(self) -> None:
        """Give the bytes back; a second call does nothing."""


@dataclass(frozen=True)
class Attachments:
    """All files of a task, in its order; release it when the task is done, or use it as a context manager."""

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
        """The sound recordings."""
        return self._of(Kind.AUDIO)

    @property
    def videos(self) -> tuple[Attachment, ...]:
        """The films."""
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
        """Whether there is more of any of the files than is held here."""
        return any(item.is_cut for item in self.items)

    @property
    def notes(self) -> tuple[str, ...]:
        """What the reader of the message must know about files that are missing or odd, one line each."""
        return tuple(item.note for item in self.items if item.note is not None)

    def release(self) -> None:
        """Give the bytes back to the process's allowance; from any thread, more than once is fine."""
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
