"""What a reader is asked for, and what it answers."""

from dataclasses import dataclass, field
from typing import NamedTuple

from worker.inputs.names import size_words


@dataclass(frozen=True)
class ReaderLimits:
    """What is asked of a reader.

    Arguments:
        media_type: what the file is.
        name: its file name.
        encoding: of a file that is text.
        characters: of text that are wanted at most; a reader may stop there.
        most: bytes that the files in it may hold together.
        pictures: how many pictures in it are wanted.
    """

    media_type: str
    name: str
    encoding: str | None
    characters: int
    most: int
    pictures: int = 0


class Inner(NamedTuple):
    """A file in another one; `declared` is the Content-Type that it has there, of an e-mail for instance."""

    name: str
    content: bytes
    declared: str = ""


@dataclass
class ReadText:
    """What a file says.

    Arguments:
        text: as Markdown.
        is_cut: whether the reader stopped before the end.
        notes: what must be said of it, each fit for ``<name>: <note>.``
        files: the files in it.
    """

    text: str
    is_cut: bool = False
    notes: list[str] = field(default_factory=list[str])
    files: list[Inner] = field(default_factory=list[Inner])


def too_large(size: int, left: int) -> str:
    """What must be said of a file that is left out, behind its name."""
    return f"has {size_words(size)}, more than the {size_words(left)} that there was room for, and was left out"
