"""Office documents, e-books and notebooks as text, by a library in a process of its own (see office_process.py).

A document is hostile until proven otherwise, and a library in native code cannot be ended in a thread. So each one gets
a process with bounds on time, memory and what it may answer, which knows nothing of this one's environment.
"""

from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, cast

from worker import bounded
from worker.bounded import BoundedError, Bounds, NotStarted, Refused, TimeUp
from worker.inputs.causes import UnreadableError

SECONDS = 20.0  # for one document; a sheet of 200,000 rows takes 3
MEMORY_BYTES = 1024 * 1024 * 1024  # of address space, most of it never touched; that sheet takes 450 MB
CHARACTERS = 1_000_000  # of one document, a book of 500 pages; what of it goes into a message is bounded elsewhere
BYTES_A_CHARACTER = 4  # of UTF-8, at most

_LIBRARY = "kreuzberg"
_CONVERTED = "worker.inputs.office_process:converted"
_ANSWER_BYTES = 12 * CHARACTERS + 1000  # a character takes up to twelve bytes as JSON

_OPEN = "application/vnd.openxmlformats-officedocument."
_ODF = "application/vnd.oasis.opendocument."
WORD = f"{_OPEN}wordprocessingml.document"
EXCEL = f"{_OPEN}spreadsheetml.sheet"
POWERPOINT = f"{_OPEN}presentationml.presentation"
NOTEBOOK = "application/x-ipynb+json"
RTF = "application/rtf"
NAMES = {
    WORD: "a Word document",
    EXCEL: "an Excel workbook",
    POWERPOINT: "a PowerPoint presentation",
    f"{_ODF}text": "an OpenDocument text",
    f"{_ODF}spreadsheet": "an OpenDocument spreadsheet",
    f"{_ODF}presentation": "an OpenDocument presentation",
    "application/epub+zip": "an e-book",
    RTF: "a rich text",
    NOTEBOOK: "a notebook",
}
"""Media types of documents that are converted, with what people call them."""

_MEMBERS = {b"word/document.xml": WORD, b"xl/workbook.xml": EXCEL, b"ppt/presentation.xml": POWERPOINT}
_COMPOUND = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"  # [MS-CFB]: Office of before 2007, and what Office has encrypted
_PACKAGE = "EncryptedPackage".encode("utf-16-le")  # [MS-OFFCRYPTO]
_HEAD = 1024  # bytes in which a notebook begins, behind whatever blanks
_END_OF_ARCHIVE = b"PK\x05\x06"
_ARCHIVE_TAIL = 22 + 65_535  # bytes: the end record with the longest comment


@dataclass(frozen=True)
class Converted:
    """The text of a document."""

    text: str
    is_cut: bool


def document_type(content: bytes) -> str | None:
    """Return the media type of a document by what it holds, None if it is none of those that are converted."""
    if content.startswith(b"PK\x03\x04"):
        return _archive_type(content)
    if content.startswith(b"{\\rtf"):
        return RTF
    if content[:_HEAD].lstrip().startswith(b"{") and b'"nbformat"' in content and b'"cells"' in content:
        return NOTEBOOK
    return None


def is_encrypted(content: bytes) -> bool:
    """Tell whether these are the bytes of a document that Office has encrypted; nothing else of it can be seen."""
    return content.startswith(_COMPOUND) and _PACKAGE in content


def can_convert(media_type: str) -> bool:
    """Tell whether documents of a type can be converted here: all but notebooks need the library."""
    return media_type == NOTEBOOK or find_spec(_LIBRARY) is not None


async def convert(content: bytes, media_type: str, most: int, seconds: float = SECONDS) -> Converted:
    """Convert a document, of a type that `document_type` answered, to text of at most `most` bytes.

    Raises UnreadableError with the cause, and nothing else for anything that a document can do.
    """
    if media_type not in {RTF, NOTEBOOK} and _END_OF_ARCHIVE not in content[-_ARCHIVE_TAIL:]:
        raise UnreadableError("it is truncated: its end is missing")
    answer = await _ask(content, media_type, min(CHARACTERS, most // BYTES_A_CHARACTER), seconds)
    if not answer["text"].strip():
        raise UnreadableError("it has no text in it")
    return Converted(answer["text"], bool(answer.get("is_cut")))


def _archive_type(content: bytes) -> str | None:
    if content[30:38] == b"mimetype":  # OpenDocument and EPUB begin with their own type, not compressed
        said = content[38:120].partition(b"PK")[0].decode("ascii", "replace").strip()
        return next((each for each in NAMES if said.startswith(each)), None)
    return next((media_type for member, media_type in _MEMBERS.items() if member in content), None)


async def _ask(content: bytes, media_type: str, characters: int, seconds: float) -> dict[str, Any]:
    bounds = Bounds(
        seconds, MEMORY_BYTES, _ANSWER_BYTES, once=True
    )  # native code: nothing of one document meets another
    try:
        answer = await bounded.documents.run(_CONVERTED, content, media_type, characters, bounds=bounds)
    except Refused as cause:
        raise UnreadableError(str(cause)) from None
    except TimeUp:
        raise UnreadableError(f"opening it takes longer than {seconds:g} seconds") from None
    except NotStarted as error:
        raise UnreadableError(f"no process could be started to open it ({error})") from None
    except BoundedError:
        raise UnreadableError("opening it takes too much memory or breaks the converter") from None
    if not isinstance(answer, dict) or not isinstance(answer.get("text"), str):  # a document has taken the process over
        raise UnreadableError("it breaks the converter")
    return cast("dict[str, Any]", answer)
