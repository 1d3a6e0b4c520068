"""Reading of a task's files, with one reader for each platform and loop."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from worker.contracts import Platform
from worker.current import repeat_in_attempt
from worker.face import bridge
from worker.settings import Settings
from worker.words.errors import FileNotStored

if TYPE_CHECKING:
    from worker.inputs import Attachments, Keeper, Limits, Reader

_readers: "dict[int, Reader]" = {}  # by the ``id()`` of the platform, which each reader keeps alive


def limits(settings: Settings | None = None) -> "Limits":
    """Return the limits on attachments from the settings."""
    from worker.inputs import Limits

    settings = settings or Settings()
    return Limits(
        file_bytes=settings.file_bytes,
        task_bytes=settings.task_bytes,
        seconds=settings.fetch_seconds,
        redirects=settings.fetch_redirects,
        file_characters=settings.file_characters,
        total_characters=settings.total_characters,
        document_pictures=settings.document_pictures,
        allow_private=settings.allow_private_urls,
    )


async def read(platform: Platform, urls: Sequence[str], keeper: "Keeper | None") -> "Attachments":
    """Read files on the platform's loop. A file that cannot be read becomes a note.

    Args:
        platform: The platform that stores uploaded files.
        urls: URLs and references, as the task names its files.
        keeper: Recalls files that earlier attempts stored, and stores those fetched now; None means no storage.
    """
    return await _reader(platform).read(urls, keeper)


def _reader(platform: Platform) -> "Reader":
    reader = _readers.get(id(platform))
    if reader is None:
        reader = _readers[id(platform)] = _create_reader(platform)
        bridge.before_closing(lambda: closed(platform))
    return reader


def _create_reader(platform: Platform) -> "Reader":
    from worker.inputs import Reader

    async def open_stored(reference: str) -> Any:
        try:
            return await repeat_in_attempt(lambda: platform.tasks.open_file(reference), "reading a task's files")
        except FileNotStored as error:
            raise LookupError(error.description) from error

    return Reader(limits(), open_stored=open_stored)


async def closed(platform: Platform) -> None:
    """Close the reader of a platform, if it has one."""
    reader = _readers.pop(id(platform), None)
    if reader is not None:
        await reader.aclose()
