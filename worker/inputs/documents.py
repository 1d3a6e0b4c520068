"""Files that are read in a child process: documents, web pages, e-mails, archives (see ``kinds`` and ``readers``).

A document is hostile until proven otherwise, and a library cannot be ended in a thread. So each is read in a process
with bounds on time, memory and what it may answer, which knows nothing of this one's environment.
"""

import base64
import binascii
from dataclasses import dataclass, field
from typing import Any, cast

from worker import bounded
from worker.bounded import BoundedError, Bounds, NotStarted, Refused, TimeUp
from worker.inputs.causes import UnreadableError
from worker.inputs.kinds import TYPES

SECONDS = 20.0  # for one document; a workbook of 200,000 cells takes 3
MEMORY_BYTES = 1024 * 1024 * 1024  # of address space, most of it never touched
CHARACTERS = 1_000_000  # of one document, a book of 500 pages; what of it goes into a message is bounded elsewhere
BYTES_A_CHARACTER = 4  # of UTF-8, at most

_READ = "worker.inputs.readers:read"
_FORM_BYTES = 100_000  # of an answer: notes, names, and the marks of JSON


@dataclass(frozen=True)
class Document:
    """What a file says.

    Arguments:
        media_type: what it is; of a container, its table of contents says more than its first bytes.
        text: as Markdown.
        is_cut: whether there is more.
        notes: what must be said of it, each fit for ``<name>: <note>.``
        files: the files in it: name and content.
        missing: whether the library that reads it is not installed; then there is nothing else.
    """

    media_type: str
    text: str = ""
    is_cut: bool = False
    notes: tuple[str, ...] = ()
    files: tuple[tuple[str, bytes], ...] = field(default=(), repr=False)
    missing: bool = False

    @property
    def words(self) -> str:
        """What people call it."""
        return TYPES[self.media_type].words


async def read(
    content: bytes, media_type: str, name: str, encoding: str | None = None, *, most: int, seconds: float = SECONDS
) -> Document:
    """Read a file of a type in ``TYPES``; its text and the files in it take at most `most` bytes.

    Raises UnreadableError with the cause, and nothing else for anything that a file can do.
    """
    characters = min(CHARACTERS, most // BYTES_A_CHARACTER)
    bounds = Bounds(seconds, MEMORY_BYTES, 12 * characters + 2 * most + _FORM_BYTES)  # JSON writes \ud83d\ude00
    asked = {
        "media_type": media_type,
        "name": name,
        "encoding": encoding,
        "characters": characters,
        "most": most,
    }
    try:
        answer = await bounded.documents.run(_READ, content, asked, bounds=bounds)
    except Refused as cause:
        raise UnreadableError(str(cause)) from None
    except TimeUp:
        raise UnreadableError(f"opening it takes longer than {seconds:g} seconds") from None
    except NotStarted as error:
        raise UnreadableError(f"no process could be started to open it ({error})") from None
    except BoundedError:
        raise UnreadableError("opening it takes too much memory or breaks the converter") from None
    try:
        return _document(cast("dict[str, Any]", answer))
    except (TypeError, KeyError, ValueError, AttributeError, binascii.Error):  # a document has taken the process over
        raise UnreadableError("it breaks the converter") from None


def _document(answer: dict[str, Any]) -> Document:
    media_type = str(answer["media_type"])
    if media_type not in TYPES:
        raise ValueError(media_type)
    if answer.get("missing"):
        return Document(media_type, missing=True)
    files = [(str(each["name"]), base64.b64decode(each["content"])) for each in answer["files"]]
    notes = [str(each) for each in answer["notes"]]
    return Document(media_type, str(answer["text"]), bool(answer["is_cut"]), tuple(notes), tuple(files))
