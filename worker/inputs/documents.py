"""Reading of documents, web pages, e-mails and archives in a child process (see ``kinds`` and ``readers``).

Documents are untrusted, and a library cannot be stopped in a thread. Each one is therefore read in a process with
bounds on time, memory and the size of its answer, without access to this process's environment.
"""

import json
from dataclasses import dataclass, field
from typing import Any

from worker import bounded
from worker.bounded import BoundedError, Bounds, NotStarted, Refused, TimeUp
from worker.inputs.causes import UnreadableError
from worker.inputs.kinds import TYPES
from worker.inputs.readers.answer import Inner
from worker.inputs.threads import examine

SECONDS = 20.0  # per document; a workbook of 200,000 cells takes 3
MEMORY_BYTES = 1024 * 1024 * 1024  # of address space, most of which is never used
CHARACTERS = 1_000_000  # per document, a book of 500 pages; the part that enters a message is limited elsewhere
BYTES_A_CHARACTER = 4  # the maximum in UTF-8
JSON_BYTES_A_CHARACTER = 6  # a control character is written as \u0001

_READERS = "worker.inputs.readers"
_READ = f"{_READERS}:read"
_FORM_BYTES = 100_000  # of an answer, for notes, names, and JSON syntax


@dataclass(frozen=True)
class Document:
    """The content of a document.

    Args:
        media_type: The type; for a container, its table of contents may refine the type of its first bytes.
        text: The text as Markdown.
        is_cut: Whether there is more text.
        notes: Remarks on the document, each fit for ``<name>: <note>.``
        files: The files in it.
        missing: Whether the library that reads it is not installed; everything else is then empty.
    """

    media_type: str
    text: str = ""
    is_cut: bool = False
    notes: tuple[str, ...] = ()
    files: tuple[Inner, ...] = field(default=(), repr=False)
    missing: bool = False

    @property
    def words(self) -> str:
        """The name of its type for people."""
        return TYPES[self.media_type].words


async def read(
    content: bytes,
    media_type: str,
    name: str,
    encoding: str | None = None,
    *,
    most: int,
    seconds: float = SECONDS,
    pictures: int = 0,
) -> Document:
    """Read a file of a type in ``TYPES``.

    Args:
        content: The file.
        media_type: The type by its first bytes.
        name: The file name.
        encoding: The encoding of its bytes, if the file is text.
        most: The maximum size of its text and the files in it, in bytes.
        seconds: The time limit.
        pictures: How many pictures of a document to return among the files in it.

    Raises:
        UnreadableError: The file cannot be read. No file can cause any other error.
    """
    characters = min(CHARACTERS, most // BYTES_A_CHARACTER)
    answered = JSON_BYTES_A_CHARACTER * characters + most + _FORM_BYTES
    bounds = Bounds(seconds, MEMORY_BYTES, answered, once=bounded.FORKS, imports=tuple(sorted(_needed)))
    asked = {
        "media_type": media_type,
        "name": name,
        "encoding": encoding,
        "characters": characters,
        "most": most,
        "pictures": pictures,
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
        document = await examine(lambda: _document(answer))
    except (TypeError, KeyError, ValueError, AttributeError):  # a document has compromised the process
        raise UnreadableError("it breaks the converter") from None
    _remember(document.media_type)
    return document


_needed: set[str] = set()  # modules that earlier files needed; child processes import them in advance


def _remember(media_type: str) -> None:
    kind = TYPES[media_type]
    if kind.reader is not None:
        _needed.add(f"{_READERS}.{kind.reader.partition(':')[0]}")
    if kind.library is not None:
        _needed.add(kind.library)


def _document(answer: bytes) -> Document:
    head, _, contents = answer.partition(b"\n")
    said: dict[str, Any] = json.loads(head)
    media_type = str(said["media_type"])
    if media_type not in TYPES:
        raise ValueError(media_type)
    if said.get("missing"):
        return Document(media_type, missing=True)
    files, at = list[Inner](), 0
    for each in said["files"]:
        content = contents[at : at + int(each["size"])]
        files.append(Inner(str(each["name"]), content, str(each["declared"])))
        at += int(each["size"])
    notes = [str(each) for each in said["notes"]]
    return Document(media_type, str(said["text"]), bool(said["is_cut"]), tuple(notes), tuple(files))
