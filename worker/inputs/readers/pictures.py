"""Conversion of pictures to a provider's limits: format, longest side, size, upright orientation, RGB."""

import io
import json
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

from PIL import Image, ImageOps
from pillow_heif import register_heif_opener

from worker.bounded import Refused
from worker.words.models import PictureLimits

MAX_PIXELS = 120_000_000  # the largest of any phone; decoded they take 360 MB
QUALITIES = (90, 80, 65)  # of JPEG, tried before the picture is scaled down
SMALLER = 0.75
MIN_SIDE = 64  # pixels; a picture that is still too large at this side is given up
LAYERED = "PSD"  # its first frame is the composite of all layers
ORIENTATION = 0x0112  # the EXIF tag
_PLAIN_MODES = {"1", "L", "LA", "P", "RGB", "RGBA"}
_OPAQUE = {"1", "L", "RGB"}

register_heif_opener()
Image.MAX_IMAGE_PIXELS = MAX_PIXELS // 2  # Pillow refuses pictures of more than twice this number


def fit(pictures: list[tuple[bytes, str]], accepted: PictureLimits) -> bytes:
    """Convert pictures to a provider's limits.

    Args:
        pictures: The content and media type of each.
        accepted: The provider's limits.

    Returns:
        A line of JSON, followed by the concatenated new pictures. For each picture the line has ``type``, ``changes``
        (descriptions of the conversions), ``pixels`` (width and height) and ``size`` of the new picture, 0 if the
        original is fine; or ``refused`` with the cause, if it cannot be read or converted.
    """
    said, contents = list[dict[str, Any]](), list[bytes]()
    for content, media_type in pictures:
        try:
            fitted, changes, new, pixels = _fit(content, media_type, accepted)
        except Refused as cause:
            said.append({"refused": str(cause)})
        else:
            said.append({"type": fitted, "changes": changes, "size": len(new), "pixels": pixels})
            contents.append(new)
    return json.dumps(said).encode() + b"\n" + b"".join(contents)


_Fitted = tuple[str, list[str], bytes, tuple[int, int]]
"""The media type, descriptions of the conversions, the new content if any, and the pixels."""


def _fit(content: bytes, media_type: str, accepted: PictureLimits) -> _Fitted:
    with readable():
        picture = opened(content)
        changes = _changes(picture, content, media_type, accepted)
        if not changes:
            return media_type, [], b"", picture.size
        return _fitting(upright(picture, accepted.side), changes, accepted.size)


@contextmanager
def readable() -> Generator[None]:
    """Turn any error of a decoder inside this block into Refused with the cause."""
    try:
        yield
    except (Refused, MemoryError):
        raise
    except Image.DecompressionBombError:
        raise Refused(f"it has more than {MAX_PIXELS // 1_000_000} million pixels") from None
    except Exception:  # noqa: BLE001 - damaged data makes a decoder raise almost anything
        raise Refused("it is damaged, or of a kind that cannot be read") from None


def opened(content: bytes) -> Any:
    """Open a picture of any known type, without decoding it yet."""
    return Image.open(io.BytesIO(content))


def _changes(picture: Any, content: bytes, media_type: str, accepted: PictureLimits) -> list[str]:
    """Return descriptions of the needed conversions."""
    changes: list[str] = []
    frames = getattr(picture, "n_frames", 1) if picture.format != LAYERED else 1
    if frames > 1:
        changes.append(f"reduced to the first of {frames:,} frames")
    if media_type not in accepted.types:
        changes.append(f"converted from {media_type}")
    elif picture.mode not in _PLAIN_MODES:
        changes.append(f"converted from {picture.mode}")
    elif media_type == "image/jpeg" and content[6:10] not in (b"JFIF", b"Exif"):  # Agno would not recognize it
        changes.append("re-encoded")
    if picture.getexif().get(ORIENTATION, 1) != 1:
        changes.append("rotated upright")
    if max(picture.size) > accepted.side:
        changes.append(f"scaled down from {picture.width:,} by {picture.height:,} pixels")
    elif len(content) > accepted.size:
        changes.append(f"compressed from {len(content):,} bytes")
    return changes


def upright(picture: Any, side: int) -> Any:
    """Decode the first frame: upright, in RGB or with transparency, scaled to at most the given side."""
    if picture.format == "JPEG":
        picture.draft("RGB", (side, side))  # decodes no more pixels than needed
    if picture.format != LAYERED:
        picture.seek(0)
    picture = ImageOps.exif_transpose(picture)
    if picture.mode.startswith("I;16") or picture.mode in {"I", "F"}:
        picture = ImageOps.autocontrast(picture.convert("F").convert("L"))
    if picture.mode not in _OPAQUE:
        picture = picture.convert("RGBA" if picture.has_transparency_data else "RGB")
    picture.thumbnail((side, side))
    return picture


def _fitting(picture: Any, changes: list[str], size: int) -> _Fitted:
    """Encode a picture: losslessly if it is a drawing and small enough, else as JPEG, scaled down until it fits."""
    is_drawing = picture.mode in {"1", "RGBA", "L"} or picture.getcolors(4096) is not None
    while True:
        if is_drawing:
            content = _written(picture, "PNG", optimize=False)
            if len(content) <= size:
                return "image/png", changes, content, picture.size
        for quality in QUALITIES:
            content = _written(_opaque(picture), "JPEG", quality=quality)
            if len(content) <= size:
                return "image/jpeg", changes, content, picture.size
        side = int(max(picture.size) * SMALLER)
        if side < MIN_SIDE:
            raise Refused(f"it cannot be made to fit {size:,} bytes")
        picture.thumbnail((side, side))


def _opaque(picture: Any) -> Any:
    if picture.mode != "RGBA":
        return picture.convert("RGB") if picture.mode == "1" else picture
    white = Image.new("RGB", picture.size, "white")
    white.paste(picture, mask=picture.getchannel("A"))
    return white


def _written(picture: Any, form: str, **options: Any) -> bytes:
    target = io.BytesIO()
    picture.save(target, form, **options)
    return target.getvalue()
