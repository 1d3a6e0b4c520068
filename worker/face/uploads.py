"""Files of a new task: URLs are used as they are, local files are uploaded to the platform."""

import asyncio
import mimetypes
import os
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

from worker.contracts import Platform
from worker.settings import Settings
from worker.words.errors import TooLarge, ValidationError

SCHEMES = frozenset({"http", "https", "data", "worker"})
"""URL schemes of a task's files; ``worker:`` refers to an uploaded file."""

FileSource = str | os.PathLike[str]


async def references(platform: Platform, files: Sequence[FileSource] | None) -> list[str]:
    """Return references to the files of a task. Local files are uploaded, once all files have been validated.

    Args:
        platform: The platform to upload to.
        files: URLs as text; local files as ``pathlib.Path``.

    Raises:
        ValidationError: A text is not a URL, or a path does not lead to a file.
        TooLarge: A file is larger than workers accept (``WORKER_FILE_BYTES``).
    """
    if isinstance(files, str | os.PathLike):
        raise ValidationError("file_urls must be a list; put a single file in brackets", field="file_urls")
    checked = [
        check_url(each) if isinstance(each, str) else await asyncio.to_thread(check_file, Path(each))
        for each in files or ()
    ]
    return [each if isinstance(each, str) else await upload(platform, each) for each in checked]


async def upload(platform: Platform, source: FileSource | bytes, name: str | None = None) -> str:
    """Store a file on the platform.

    Args:
        platform: The platform to upload to.
        source: A local file, or its content.
        name: The file's name; default: the name of the local file.

    Returns:
        A reference for the files of a task.

    Raises:
        ValidationError: The file is empty or missing.
        TooLarge: The file is larger than workers accept (``WORKER_FILE_BYTES``).
    """
    if isinstance(source, bytes):
        content, name = source, name or "file"
    else:
        path = await asyncio.to_thread(check_file, Path(source))
        content, name = await asyncio.to_thread(path.read_bytes), name or path.name
    media_type = mimetypes.guess_type(name)[0] or "application/octet-stream"
    return await platform.tasks.store_file(name, media_type, content)


def check_url(text: str) -> str:
    """Check that a text is the URL of a file, and return it. A text is never read as a local path.

    Raises:
        ValidationError: The text is not such a URL.
    """
    try:
        scheme = urlsplit(text).scheme.lower()
    except ValueError:
        scheme = ""
    if scheme in SCHEMES:
        return text
    shown = text if len(text) <= 100 else f"{text[:100]}…"  # noqa: PLR2004 - enough to recognize it
    raise ValidationError(f"{shown!r} is not a URL; pass a local file as pathlib.Path(...)", field="file_urls")


def check_file(path: Path, field: str = "file_urls") -> Path:
    """Return the path of a local file that can be stored.

    Raises:
        ValidationError: There is no such file.
        TooLarge: The file is larger than the platform stores.
    """
    if not path.is_file():
        raise ValidationError(f"there is no file {str(path)!r}", field=field)
    size, most = path.stat().st_size, Settings().file_bytes
    if size > most:
        raise TooLarge(f"{path.name} has {size:,} bytes; the maximum is {most:,} (WORKER_FILE_BYTES)")
    return path
