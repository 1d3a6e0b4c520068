"""Files of a new task: URLs stay as they are, local files go to the platform first."""

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
"""What a task's file can be named by; ``worker:`` is a file uploaded before."""

FileSource = str | os.PathLike[str]


async def references(platform: Platform, files: Sequence[FileSource] | None) -> list[str]:
    """Answer what a task names its files by; paths are uploaded.

    Args:
        platform: Where the files go.
        files: URLs as text, local files as ``pathlib.Path``.

    Raises:
        ValidationError: Text that is no URL, or a path to no file; nothing was uploaded.
        TooLarge: A file is larger than a worker would read.
    """
    if isinstance(files, str | os.PathLike):
        raise ValidationError("file_urls is a list: put the one file into brackets", field="file_urls")
    checked = [
        check_url(each) if isinstance(each, str) else await asyncio.to_thread(_check_file, Path(each))
        for each in files or ()
    ]
    return [each if isinstance(each, str) else await upload(platform, each) for each in checked]


async def upload(platform: Platform, source: FileSource | bytes, name: str | None = None) -> str:
    """Store a file on the platform.

    Args:
        platform: Where it goes.
        source: A local file, or the bytes themselves.
        name: What to call it; default: the name of the local file.

    Returns:
        Its reference, to be named among the files of a task.

    Raises:
        ValidationError: It is empty, or there is no such file.
        TooLarge: It is larger than a worker would read.
    """
    if isinstance(source, bytes):
        content, name = source, name or "file"
    else:
        path = await asyncio.to_thread(_check_file, Path(source))
        content, name = await asyncio.to_thread(path.read_bytes), name or path.name
    media_type = mimetypes.guess_type(name)[0] or "application/octet-stream"
    return await platform.tasks.store_file(name, media_type, content)


def check_url(text: str) -> str:
    """Check that text names a file by a URL.

    Raises:
        ValidationError: It does not; a local path is never read from text.
    """
    try:
        scheme = urlsplit(text).scheme.lower()
    except ValueError:
        scheme = ""
    if scheme in SCHEMES:
        return text
    shown = text if len(text) <= 100 else f"{text[:100]}…"  # noqa: PLR2004 - enough to recognize it
    raise ValidationError(
        f"{shown!r} is no URL; a local file is given as pathlib.Path(...) and uploaded", field="file_urls"
    )


def _check_file(path: Path) -> Path:
    if not path.is_file():
        raise ValidationError(f"there is no file {str(path)!r}", field="file_urls")
    size, most = path.stat().st_size, Settings().file_bytes
    if size > most:
        raise TooLarge(f"{path.name} has {size:,} bytes; at most {most:,} are read (WORKER_FILE_BYTES)")
    return path
