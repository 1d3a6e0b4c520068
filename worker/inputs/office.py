"""Office documents, e-books and notebooks as text, by a library in a process of its own (see office_process.py).

A document is hostile until proven otherwise, and a library in native code cannot be ended in a thread. So each one gets
a process with bounds on time, memory and what it may answer, which knows nothing of this one's environment.
"""

import asyncio
import contextlib
import json
import os
import sys
import weakref
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from worker.inputs.causes import UnreadableError

SECONDS = 20.0  # for one document; a sheet of 200,000 rows takes 3
MEMORY_BYTES = 1024 * 1024 * 1024  # of address space, most of it never touched; that sheet takes 450 MB
CHARACTERS = 1_000_000  # of one document, a book of 500 pages; what of it goes into a message is bounded elsewhere
BYTES_A_CHARACTER = 4  # of UTF-8, at most
AT_ONCE = 2  # such processes for an event loop
ENDING_SECONDS = 1.0  # for a process that was killed

_LIBRARY = "kreuzberg"
_PROGRAM = Path(__file__).with_name("office_process.py")
_ANSWER_BYTES = 12 * CHARACTERS + 1000  # a character takes up to twelve bytes as JSON
_NEEDED = ("PATH", "PYTHONPATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "LANG")  # of the environment, and no secret

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

_turns: "weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Semaphore]" = weakref.WeakKeyDictionary()


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
    async with _turns.setdefault(asyncio.get_running_loop(), asyncio.Semaphore(AT_ONCE)):
        answer = await _ask(content, media_type, min(CHARACTERS, most // BYTES_A_CHARACTER), seconds)
    if "text" not in answer:
        raise UnreadableError(str(answer.get("cause", "it breaks the converter")))
    if not str(answer["text"]).strip():
        raise UnreadableError("it has no text in it")
    return Converted(str(answer["text"]), bool(answer.get("is_cut")))


def _archive_type(content: bytes) -> str | None:
    if content[30:38] == b"mimetype":  # OpenDocument and EPUB begin with their own type, not compressed
        said = content[38:120].partition(b"PK")[0].decode("ascii", "replace").strip()
        return next((each for each in NAMES if said.startswith(each)), None)
    return next((media_type for member, media_type in _MEMBERS.items() if member in content), None)


async def _ask(content: bytes, media_type: str, characters: int, seconds: float) -> dict[str, object]:
    process = await _start(media_type, str(max(1, round(seconds))), str(MEMORY_BYTES), str(characters))
    try:
        async with asyncio.timeout(seconds):
            said = await _talk(process, content)
            code = await process.wait()
    except TimeoutError:
        raise UnreadableError(f"opening it takes longer than {seconds:g} seconds") from None
    finally:
        await _end(process)
    if code:
        raise UnreadableError("opening it takes too much memory or breaks the converter")
    return _read(said)


async def _start(*arguments: str) -> asyncio.subprocess.Process:
    try:
        return await asyncio.create_subprocess_exec(
            sys.executable,
            "-P",
            str(_PROGRAM),
            *arguments,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            env=_environment(),
            cwd=_PROGRAM.parent,
            start_new_session=True,  # a Ctrl-C at the terminal is not for it
        )
    except OSError as error:  # the machine has no process or no file handle left
        raise UnreadableError(f"no process could be started to open it ({error.strerror})") from None


async def _end(process: asyncio.subprocess.Process) -> None:
    """End a process that has not ended, and let go of its pipes, for which what it still said has to be read."""
    with contextlib.suppress(ProcessLookupError):
        process.kill()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(ENDING_SECONDS):
            while process.stdout is not None and await process.stdout.read(2**16):
                pass
            await process.wait()


async def _talk(process: asyncio.subprocess.Process, content: bytes) -> bytes:
    """Hand over the document, and take what comes, within bounds."""
    sending = asyncio.create_task(_send(process, content))
    try:
        said = bytearray()
        while process.stdout is not None and (piece := await process.stdout.read(2**16)):
            said += piece
            if len(said) > _ANSWER_BYTES:
                raise UnreadableError("it breaks the converter")
        return bytes(said)
    finally:
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)


async def _send(process: asyncio.subprocess.Process, content: bytes) -> None:
    if process.stdin is None:
        return
    with contextlib.suppress(ConnectionError):  # it ended before it had read everything
        process.stdin.write(content)
        await process.stdin.drain()
        process.stdin.close()
        await process.stdin.wait_closed()


def _read(said: bytes) -> dict[str, object]:
    try:
        answer = json.loads(said)
    except ValueError:
        answer = None
    if not isinstance(answer, dict):
        raise UnreadableError("it breaks the converter")
    return {str(name): value for name, value in answer.items()}


def _environment() -> dict[str, str]:
    """What the process may know: where its libraries are. One thread is enough for one document."""
    known = {name: os.environ[name] for name in _NEEDED if name in os.environ}
    return {**known, "RAYON_NUM_THREADS": "1", "TOKIO_WORKER_THREADS": "1", "OMP_NUM_THREADS": "1"}
