"""Pictures by their first bytes, whether the rest of them is there, and in a form that a model's provider takes."""

import json
from collections.abc import Generator
from contextlib import contextmanager
from importlib.util import find_spec

from worker import bounded
from worker.bounded import BoundedError, Bounds, Refused
from worker.inputs.causes import UnreadableError
from worker.words.models import PictureLimits

PICTURE_SECONDS = 20.0  # for one picture; 100 million pixels take about four
MEMORY_BYTES = 2 * 1024 * 1024 * 1024  # of address space: a picture of that size, and a copy of it
_FIT = "worker.inputs.readers.pictures:fit"

_HEIC = {b"heic": "image/heic", b"heix": "image/heic", b"mif1": "image/heif", b"msf1": "image/heif"}
_AVIF = {b"avif": "image/avif", b"avis": "image/avif"}
_BRANDS = {**_HEIC, **_AVIF}
_BMP_HEADERS = {12, 40, 52, 56, 64, 108, 124}  # sizes of the headers that BMP ever had; "BM" alone begins words too
_PNG_START = b"\x89PNG\r\n\x1a\n"
_JPEG_ALONE = {0x01, *range(0xD0, 0xD9)}  # markers that carry no length
_START_OF_SCAN = 0xDA


def picture_type(content: bytes) -> str | None:
    """Return the media type of a picture by its first bytes, None if it is no picture."""
    if content.startswith(_PNG_START):
        return "image/png"
    if content.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if content.startswith((b"GIF87a", b"GIF89a")):
        return "image/gif"
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return "image/webp"
    if content.startswith((b"II*\0", b"MM\0*")):
        return "image/tiff"
    if content[:2] == b"BM" and int.from_bytes(content[14:18], "little") in _BMP_HEADERS:
        return "image/bmp"
    if content.startswith((b"\0\0\0\x0cjP  \r\n\x87\n", b"\xff\x4f\xff\x51")):
        return "image/jp2"
    if content[4:8] == b"ftyp":
        return _BRANDS.get(content[8:12])
    return None


async def fit_picture(content: bytes, media_type: str, accepted: PictureLimits) -> tuple[bytes, str, list[str]]:
    """Return a picture as a provider accepts it, its media type, and what was done to it, in words.

    Where the extra `files` is not installed, a picture of an accepted type is left as it is.

    Raises UnreadableError with the cause if it cannot be made to fit.
    """
    if not _can_convert(media_type, accepted):
        return content, media_type, []
    with _told():
        answer = await bounded.documents.run(_FIT, content, media_type, accepted, bounds=_bounds(accepted))
    return _fitted(answer, content, media_type)


def fit_picture_blocking(content: bytes, media_type: str, accepted: PictureLimits) -> tuple[bytes, str, list[str]]:
    """Do the same for plain code, which waits."""
    if not _can_convert(media_type, accepted):
        return content, media_type, []
    with _told():
        answer = bounded.documents.run_blocking(_FIT, content, media_type, accepted, bounds=_bounds(accepted))
    return _fitted(answer, content, media_type)


def _can_convert(media_type: str, accepted: PictureLimits) -> bool:
    if find_spec("PIL") is not None and find_spec("pillow_heif") is not None:
        return True
    if media_type in accepted.types:
        return False
    raise UnreadableError(f"the model takes no {media_type}; to convert it, install agno-worker[files]")


def _bounds(accepted: PictureLimits) -> Bounds:
    return Bounds(PICTURE_SECONDS, MEMORY_BYTES, answer=accepted.size + 4096, once=True)


@contextmanager
def _told() -> Generator[None]:
    try:
        yield
    except Refused as cause:
        raise UnreadableError(str(cause)) from None
    except bounded.NotStarted:
        raise UnreadableError("there is no process left to convert it in") from None
    except BoundedError:  # a damaged picture may take a decoder over, or want all the memory there is
        raise UnreadableError("reading it takes too long, or too much memory") from None


def _fitted(answer: bytes, content: bytes, media_type: str) -> tuple[bytes, str, list[str]]:
    head, _, fitted = answer.partition(b"\n")
    said = json.loads(head)
    return (fitted, said["type"], said["changes"]) if said["changes"] else (content, media_type, [])


def is_complete(content: bytes, media_type: str) -> bool:
    """Tell whether a picture has its end; formats without a cheap way to tell are taken as complete.

    Providers answer 400 to half a picture, which would end the whole run.
    """
    match media_type:
        case "image/png":
            return _png_ends(content)
        case "image/jpeg":
            return _jpeg_ends(content)
        case "image/gif":
            return content.rstrip(b"\0").endswith(b";")
        case "image/webp":
            return int.from_bytes(content[4:8], "little") + 8 <= len(content)
        case _:
            return True


def _png_ends(content: bytes) -> bool:
    position = len(_PNG_START)
    while position + 12 <= len(content):  # a chunk: length, name, data, checksum
        if content[position + 4 : position + 8] == b"IEND":
            return True
        position += 12 + int.from_bytes(content[position : position + 4], "big")
    return False


def _jpeg_ends(content: bytes) -> bool:
    """Look for the end marker behind the first scan: a thumbnail before it has an end of its own."""
    position = 2
    while position + 4 <= len(content) and content[position] == 0xFF:  # noqa: PLR2004 - 0xFF begins every marker
        marker = content[position + 1]
        if marker == _START_OF_SCAN:
            return content.find(b"\xff\xd9", position) != -1
        alone = marker in _JPEG_ALONE or marker == 0xFF  # noqa: PLR2004 - a fill byte before a marker
        length = 0 if alone else int.from_bytes(content[position + 2 : position + 4], "big")
        position += 1 if marker == 0xFF else 2 + length  # noqa: PLR2004 - the same fill byte
    return False
