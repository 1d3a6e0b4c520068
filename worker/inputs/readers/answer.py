"""The input and output of readers."""

from dataclasses import dataclass, field
from typing import NamedTuple

from worker.inputs.names import size_words

PASSWORD = "it is encrypted and needs a password"  # noqa: S105 - words of a note
MALFORMED = "it is broken, or not what it seems to be"
DEEPEST_HEADING = 6  # of Markdown
LONGEST_DESCRIPTION = 500  # characters of a picture's description


@dataclass(frozen=True)
class ReaderLimits:
    """The request to a reader.

    Args:
        media_type: The type of the file.
        name: The file name.
        encoding: The encoding, if the file is text.
        characters: The maximum number of characters wanted; a reader may stop there.
        most: The maximum total size of the files in it, in bytes.
        pictures: How many pictures of the file are wanted.
    """

    media_type: str
    name: str
    encoding: str | None
    characters: int
    most: int
    pictures: int = 0


class Inner(NamedTuple):
    """A file within a file; ``declared`` is its Content-Type there, such as in an e-mail."""

    name: str
    content: bytes
    declared: str = ""


@dataclass
class ReadText:
    """The content of a file.

    Args:
        text: The text as Markdown.
        is_cut: Whether the reader stopped before the end.
        notes: Remarks on the file, each fit for ``<name>: <note>.``
        files: The files in it.
    """

    text: str
    is_cut: bool = False
    notes: list[str] = field(default_factory=list[str])
    files: list[Inner] = field(default_factory=list[Inner])


def too_large(size: int, left: int) -> str:
    """Return the remark on an omitted file, to follow its name."""
    return f"has {size_words(size)}, which exceeds the remaining {size_words(left)}, and was omitted"
