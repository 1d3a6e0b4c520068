"""Detection and checks of pictures, and their conversion to forms that a model's provider accepts."""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec

from worker import bounded
from worker.bounded import BoundedError, Bounds
from worker.inputs.causes import UnreadableError
from worker.words.models import PictureLimits

PICTURE_SECONDS = 20.0  # per batch; a picture of 100 million pixels takes about four
BATCH = 25  # the maximum number of pictures per child process
BATCH_BYTES = 16 * 1024 * 1024  # and their maximum size
BATCH_ANSWER_BYTES = 64 * 1024 * 1024
MEMORY_BYTES = 2 * 1024 * 1024 * 1024  # of address space: for such a picture and a copy of it
_FIT = "worker.inputs.readers.pictures:fit"

_HEIC = {b"heic": "image/heic", b"heix": "image/heic", b"mif1": "image/heif", b"msf1": "image/heif"}
_AVIF = {b"avif": "image/avif", b"avis": "image/avif"}
_BRANDS = {**_HEIC, **_AVIF}
_RARE = (  # formats that no provider accepts, but Pillow reads
    (re.compile(rb"\0\0\0\x0cjP  \r\n\x87\n|\xff\x4f\xff\x51"), "image/jp2"),
    (re.compile(rb"8BPS\0\x01"), "image/vnd.adobe.photoshop"),
    (re.compile(rb"\0\0[\1\2]\0[\1-\x40]\0.{3}\0", re.DOTALL), "image/vnd.microsoft.icon"),
    (re.compile(rb"\x0a[\0-\5]\x01[\1\2\4\x08].{60}\0[\1\3\4]", re.DOTALL), "image/x-pcx"),
)
_BMP_HEADERS = {12, 40, 52, 56, 64, 108, 124}  # all header sizes of BMP, since "BM" alone may begin a text
_PNG_START = b"\x89PNG\r\n\x1a\n"
_JPEG_ALONE = {0x01, *range(0xD0, 0xD9)}  # markers that carry no length
_START_OF_SCAN = 0xDA
MAX_PARTS = 100_000  # of a picture that are examined; one with more is crafted to take long


def picture_type(content: bytes) -> str | None:
    """Return the media type of a picture by its first bytes; None for other content."""
    if content.startswith(_PNG_START):
        return "image/png"
    if content.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if content.startswith((b"GIF87a", b"GIF89a")):
        return "image/gif"
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return "image/webp"
    if content.startswith((b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")):
        return "image/tiff"
    if content[:2] == b"BM" and int.from_bytes(content[14:18], "little") in _BMP_HEADERS:
        return "image/bmp"
    if content[4:8] == b"ftyp":
        return _BRANDS.get(content[8:12])
    return next((media_type for start, media_type in _RARE if start.match(content)), None)


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture in its original or fitted form.

    Args:
        content: The bytes.
        media_type: The media type.
        changes: Descriptions of the conversions; empty if none were needed.
        pixels: Width and height, once examined.
    """

    content: bytes
    media_type: str
    changes: tuple[str, ...] = ()
    pixels: tuple[int, int] | None = None


Fitted = Picture | UnreadableError
"""A picture that fits, or the reason why there is none."""


async def fit_pictures(pictures: Sequence[Picture], accepted: PictureLimits) -> list[Fitted]:
    """Convert pictures to forms that a provider accepts; a picture that cannot be converted is returned as its error.

    The pictures of a task are sent to child processes in batches; if a batch fails, each of its pictures gets a process
    of its own. Without the extra ``files``, pictures of accepted types are left as they are.
    """
    if not _can_convert():
        return [_as_it_is(each, accepted) for each in pictures]
    return [fitted for batch in _batches(pictures) for fitted in await _fit(batch, accepted)]


def fit_pictures_blocking(pictures: Sequence[Picture], accepted: PictureLimits) -> list[Fitted]:
    """Sync version of ``fit_pictures``."""
    if not _can_convert():
        return [_as_it_is(each, accepted) for each in pictures]
    return [fitted for batch in _batches(pictures) for fitted in _fit_blocking(batch, accepted)]


async def _fit(batch: Sequence[Picture], accepted: PictureLimits) -> list[Fitted]:
    asked = [(each.content, each.media_type) for each in batch]
    try:
        return _fitted(await bounded.documents.run(_FIT, asked, accepted, bounds=_bounds(batch, accepted)), batch)
    except BoundedError as error:
        if len(batch) == 1:
            return [_failed(error)]
    return [fitted for each in batch for fitted in await _fit([each], accepted)]


def _fit_blocking(batch: Sequence[Picture], accepted: PictureLimits) -> list[Fitted]:
    asked = [(each.content, each.media_type) for each in batch]
    try:
        return _fitted(bounded.documents.run_blocking(_FIT, asked, accepted, bounds=_bounds(batch, accepted)), batch)
    except BoundedError as error:
        if len(batch) == 1:
            return [_failed(error)]
    return [fitted for each in batch for fitted in _fit_blocking([each], accepted)]


def _can_convert() -> bool:
    return find_spec("PIL") is not None and find_spec("pillow_heif") is not None


def _as_it_is(picture: Picture, accepted: PictureLimits) -> Fitted:
    if picture.media_type in accepted.types:
        return picture
    return UnreadableError(f"the model does not accept {picture.media_type}; to convert it, install agno-worker[files]")


def _batches(pictures: Sequence[Picture]) -> Iterator[list[Picture]]:
    batch, size = list[Picture](), 0
    for each in pictures:
        if batch and (size + len(each.content) > BATCH_BYTES or len(batch) >= BATCH):
            yield batch
            batch, size = [], 0
        batch.append(each)
        size += len(each.content)
    if batch:
        yield batch


def _bounds(batch: Sequence[Picture], accepted: PictureLimits) -> Bounds:
    alone = accepted.size + 4096
    answer = alone if len(batch) == 1 else min(alone * len(batch), BATCH_ANSWER_BYTES)
    return Bounds(PICTURE_SECONDS, MEMORY_BYTES, answer=answer, once=True)


def _failed(error: BoundedError) -> UnreadableError:
    if isinstance(error, bounded.NotStarted):
        return UnreadableError("no process could be started to convert it")
    return UnreadableError("reading it takes too long, or too much memory")  # or a decoder was compromised


def _fitted(answer: bytes, batch: Sequence[Picture]) -> list[Fitted]:
    """Parse the answer of a child process.

    Raises:
        Crashed: The answer has the wrong form, since a picture has compromised the process.
    """
    head, _, contents = answer.partition(b"\n")
    fitted, at = list[Fitted](), 0
    try:
        for picture, said in zip(batch, json.loads(head), strict=True):
            if "refused" in said:
                fitted.append(UnreadableError(str(said["refused"])))
                continue
            width, height = said["pixels"]
            pixels = (int(width), int(height))
            if said["changes"]:
                content = contents[at : at + int(said["size"])]
                fitted.append(Picture(content, str(said["type"]), tuple(map(str, said["changes"])), pixels))
                at += len(content)
            else:
                fitted.append(replace(picture, pixels=pixels))
    except (ValueError, KeyError, TypeError):
        raise bounded.Crashed("it is no answer") from None
    return fitted


def is_complete(content: bytes, media_type: str) -> bool:
    """Return whether a picture is complete; formats without a cheap check count as complete.

    Providers answer 400 to a truncated picture, which would fail the whole run.
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
    for _ in range(MAX_PARTS):
        if position + 12 > len(content):  # the overhead of a chunk: length, name, checksum
            return False
        if content[position + 4 : position + 8] == b"IEND":
            return True
        position += 12 + int.from_bytes(content[position : position + 4], "big")
    return True


def _jpeg_ends(content: bytes) -> bool:
    """Find the end marker after the first scan: a thumbnail before it has an end marker of its own."""
    position = 2
    for _ in range(MAX_PARTS):
        if position + 4 > len(content) or content[position] != 0xFF:  # noqa: PLR2004 - 0xFF starts every marker
            return False
        marker = content[position + 1]
        if marker == _START_OF_SCAN:
            return content.find(b"\xff\xd9", position) != -1
        alone = marker in _JPEG_ALONE or marker == 0xFF  # noqa: PLR2004 - a fill byte before a marker
        length = 0 if alone else int.from_bytes(content[position + 2 : position + 4], "big")
        position += 1 if marker == 0xFF else 2 + length  # noqa: PLR2004 - the same fill byte
    return True
