"""Pictures in a form that a provider accepts: its formats, its largest side, its largest size, the right way up."""

import io
from collections.abc import Iterator
from typing import Any

from worker.bounded import Refused

PIXELS = 100_000_000  # of a picture that is opened: 300 MB of memory; the largest cameras have 60 million
QUALITIES = (90, 80, 65, 50)  # of JPEG, one after another until it is small enough
SHRINK = 0.75  # of the sides, where the least quality is still too large
LEAST_SIDE = 64  # pixels; what does not fit even then is refused
_JPEG, _PNG = "image/jpeg", "image/png"
_ORIENTATION = 0x0112  # EXIF 2.3, 4.6.4
_NAMED_STARTS = (b"JFIF", b"Exif")


def fit(content: bytes, media_type: str, types: list[str], side: int, most: int) -> bytes:
    """Make a picture one that is accepted.

    Args:
        content: The picture.
        media_type: What it is.
        types: Media types that are accepted.
        side: The most pixels of its longer side.
        most: The most bytes.

    Returns:
        The media type, a space, what was done to it in words, a line end, and the picture; nothing where it is
        accepted as it is.

    Raises:
        Refused: It cannot be opened, or is too large to be.
    """
    image = _opened(content)
    done: list[str] = []
    frames = int(getattr(image, "n_frames", 1))
    upright = _upright(image, done)
    if max(upright.size) > side:
        done.append(f"scaled down from {upright.width:,} by {upright.height:,} pixels")
        upright.thumbnail((side, side))
    if frames > 1 and media_type != "image/gif":
        done.append(f"the first of {frames:,} frames")
    if media_type not in types:
        done.append(f"converted from {media_type.removeprefix('image/')}")
    if upright.mode in {"CMYK", "YCCK", "LAB"}:
        done.append("converted to RGB")
    if media_type == _JPEG and content[6:10] not in _NAMED_STARTS:
        done.append("given the usual head")  # the formatter of Claude knows no other on Python 3.11 and 3.12
    if len(content) > most and not done:
        done.append("packed more tightly")
    if not done:
        return b""
    kind, data = _encoded(upright, media_type, types, most)
    return f"{kind} {', '.join(done)}\n".encode() + data


def _opened(content: bytes) -> Any:
    from PIL import Image, UnidentifiedImageError

    try:
        import pillow_heif

        pillow_heif.register_heif_opener()
    except ImportError:
        pass  # then pictures of telephones are refused below, as what nobody can open
    Image.MAX_IMAGE_PIXELS = None  # bounded here, with words of ours
    try:
        image = Image.open(io.BytesIO(content))
        if image.width * image.height > PIXELS:
            raise Refused(f"it has too many pixels ({image.width:,} by {image.height:,})")
        image.load()
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError, EOFError, IndexError, TypeError):
        raise Refused("it is broken, or of a form that cannot be opened") from None
    return image


def _upright(image: Any, done: list[str]) -> Any:
    from PIL import ImageOps

    try:
        turned = image.getexif().get(_ORIENTATION, 1) not in {0, 1, None}
        upright = ImageOps.exif_transpose(image)
    except Exception:  # noqa: BLE001 - broken EXIF makes it raise almost anything; the picture itself is fine
        return image
    if turned:
        done.append("turned upright")
    return upright


def _encoded(image: Any, media_type: str, types: list[str], most: int) -> tuple[str, bytes]:
    """Write a picture: as PNG where it has transparent parts or was one, else as JPEG; smaller until it fits."""
    image = image.convert("RGBA" if _has_alpha(image) else "RGB")
    wanted = _PNG if _PNG in types and (image.mode == "RGBA" or media_type in {_PNG, "image/bmp"}) else _JPEG
    if wanted not in types:
        raise Refused("none of the forms that the model takes can be written")
    while True:
        for kind, data in _attempts(image, wanted, types):
            if len(data) <= most:
                return kind, data
        if max(image.size) <= LEAST_SIDE:
            raise Refused("it cannot be made small enough")
        image = image.resize([max(1, int(each * SHRINK)) for each in image.size])


def _attempts(image: Any, wanted: str, types: list[str]) -> Iterator[tuple[str, bytes]]:
    if wanted == _PNG:
        yield _PNG, _saved(image, "PNG", optimize=True)
    if _JPEG in types:
        flat = _on_white(image)
        for quality in QUALITIES:
            yield _JPEG, _saved(flat, "JPEG", quality=quality)


def _saved(image: Any, form: str, **options: Any) -> bytes:
    out = io.BytesIO()
    image.save(out, form, **options)
    return out.getvalue()


def _on_white(image: Any) -> Any:
    from PIL import Image

    if image.mode != "RGBA":
        return image
    flat = Image.new("RGB", image.size, "white")
    flat.paste(image, mask=image.getchannel("A"))
    return flat


def _has_alpha(image: Any) -> bool:
    return image.mode in {"RGBA", "LA", "PA"} or "transparency" in image.info
