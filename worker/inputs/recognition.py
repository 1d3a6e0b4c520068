"""Text recognition in pictures and scans, for models that see neither, if Tesseract is installed (the extra ``ocr``).

Tesseract is native code that reads untrusted pictures: it runs in a child process with bounds on time and memory,
which reads only that one file.
"""

import os
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from worker import bounded
from worker.bounded import BoundedError, Bounds, Refused
from worker.inputs.causes import UnreadableError
from worker.inputs.pdfs import READING_SHARE, PdfText

SECONDS = 60.0  # per file; a page takes one to three
MEMORY_BYTES = 1536 * 1024 * 1024  # of address space: for the data of a few languages, and 16 million pixels
ANSWER_BYTES = 16 * 1024 * 1024
MAX_LANGUAGES = 4  # the time is proportional to their number
NOT_INSTALLED = "to have the text in it recognized, install agno-worker[ocr] and Tesseract's data (tesseract-ocr-eng)"

_WORDS = "worker.inputs.readers.recognition"
FOLDERS = (  # the folders of Tesseract's data on Debian and Ubuntu, Fedora, Arch and Alpine, and with Homebrew
    *("/usr/share/tesseract-ocr/5/tessdata", "/usr/share/tesseract-ocr/4.00/tessdata"),
    *("/usr/share/tesseract/tessdata", "/usr/share/tessdata", "/usr/local/share/tessdata"),
    *("/opt/homebrew/share/tessdata", "/app/.apt/usr/share/tesseract-ocr/5/tessdata"),
)


def is_installed() -> bool:
    """Return whether text can be recognized: the library and Tesseract's data are installed."""
    return find_spec("tesserocr") is not None and _data(os.environ.get("TESSDATA_PREFIX"), FOLDERS) is not None


async def picture_text(content: bytes) -> str:
    """Return the text in a picture; empty if none is legible.

    Raises:
        UnreadableError: The picture cannot be read.
    """
    return str(await _ask("picture", content, *_found(), SECONDS * READING_SHARE, seconds=SECONDS))


async def scan_text(
    content: bytes, characters: int, seconds: float = SECONDS, numbers: tuple[int, ...] = ()
) -> PdfText:
    """Return the text of a scanned PDF in the form of ``pdfs.pdf_text``; of the given pages, or of all.

    Raises:
        UnreadableError: The PDF cannot be read.
    """
    asked = (_found(), characters, seconds * READING_SHARE, numbers)
    return PdfText.of(await _ask("scan", content, *asked, seconds=seconds))


def _found() -> tuple[str, str]:
    found = _data(os.environ.get("TESSDATA_PREFIX"), FOLDERS)
    if found is None:
        raise UnreadableError(NOT_INSTALLED)
    return found


@cache
def _data(prefix: str | None, folders: tuple[str, ...]) -> tuple[str, str] | None:
    """Return the folder of Tesseract's data and the languages to use: English first, then a few others."""
    for folder in [*([prefix] if prefix else []), *folders]:
        found = sorted(each.stem for each in Path(folder).glob("*.traineddata") if each.stem not in {"osd", "equ"})
        if found:
            return folder, "+".join(sorted(found, key=lambda each: each != "eng")[:MAX_LANGUAGES])
    return None


async def _ask(function: str, *arguments: Any, seconds: float) -> Any:
    bounds = Bounds(seconds, MEMORY_BYTES, answer=ANSWER_BYTES, once=True)
    try:
        return await bounded.documents.run(f"{_WORDS}:{function}", *arguments, bounds=bounds)
    except Refused as cause:
        raise UnreadableError(str(cause)) from None
    except BoundedError:
        raise UnreadableError("recognizing its text takes too long, or too much memory") from None
