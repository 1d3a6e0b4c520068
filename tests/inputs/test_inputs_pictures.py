"""Whatever picture comes, a provider gets one that it accepts, the right way up, or the message has a note."""

import io
import zlib
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from PIL import Image

from worker.agents.models.capabilities import GEMINI, OPENAI
from worker.inputs import Attachment, Attachments, Kind, adapt, to_agno_images
from worker.inputs import pictures as fitting
from worker.inputs.causes import UnreadableError
from worker.inputs.classify import classify
from worker.inputs.pictures import Picture, fit_pictures
from worker.words.models import ModelCapabilities, PictureLimits, PictureTokens

ANTHROPIC = ModelCapabilities()
PROVIDERS = {"anthropic": ANTHROPIC, "openai": OPENAI, "gemini": GEMINI}


async def fit_picture(content: bytes, media_type: str, accepted: PictureLimits) -> tuple[bytes, str, list[str]]:
    (fitted,) = await fit_pictures([Picture(content, media_type)], accepted)
    if isinstance(fitted, UnreadableError):
        raise fitted
    return fitted.content, fitted.media_type, list(fitted.changes)


def picture(mode: str = "RGB", size: tuple[int, int] = (40, 30)) -> Any:
    """A picture whose left half is red, or dark."""
    made = Image.new("RGB", size, "white")
    made.paste((220, 20, 20), (0, 0, size[0] // 2, size[1]))
    return made.convert(mode)


def written(form: str, mode: str = "RGB", **options: Any) -> bytes:
    target = io.BytesIO()
    picture(mode).save(target, form, **options)
    return target.getvalue()


def heic() -> bytes:
    from pillow_heif import register_heif_opener

    register_heif_opener()
    return written("HEIF")


def brightness(of: Any, x: int, y: int) -> int:
    return of.convert("L").getpixel((x, y))


def moving() -> bytes:
    target = io.BytesIO()
    picture().save(target, "GIF", save_all=True, append_images=[picture().rotate(90), picture().rotate(180)])
    return target.getvalue()


def bare_jpeg() -> bytes:
    """A JPEG that begins with its tables, as some cameras and most fax machines write it."""
    content = written("JPEG")
    length = int.from_bytes(content[4:6], "big")
    return content[:2] + content[4 + length :]


def layered() -> bytes:
    """A picture of Photoshop without layers of its own: all of them together."""
    made = picture()
    size = made.height.to_bytes(4, "big") + made.width.to_bytes(4, "big")
    planes = b"".join(each.tobytes() for each in made.split())
    return b"8BPS\0\1" + bytes(6) + b"\0\3" + size + b"\0\x08\0\3" + bytes(12) + b"\0\0" + planes


def enormous() -> bytes:
    """A PNG of 60,000 by 60,000 pixels, by its own word."""
    content = written("PNG")
    head = b"IHDR" + (60_000).to_bytes(4, "big") * 2 + content[24:29]
    return content[:12] + head + zlib.crc32(head).to_bytes(4, "big") + content[33:]


def turned(orientation: int) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return written("JPEG", exif=exif)


PICTURES: dict[str, Callable[[], bytes]] = {
    "png": lambda: written("PNG"),
    "png with transparency": lambda: written("PNG", "RGBA"),
    "png in 16 bits": lambda: written("PNG", "I;16"),
    "jpeg": lambda: written("JPEG"),
    "jpeg in CMYK": lambda: written("JPEG", "CMYK"),
    "jpeg without a head": bare_jpeg,
    "gif": lambda: written("GIF"),
    "gif that moves": moving,
    "webp": lambda: written("WEBP"),
    "bmp": lambda: written("BMP"),
    "tiff": lambda: written("TIFF"),
    "tiff in CMYK": lambda: written("TIFF", "CMYK"),
    "avif": lambda: written("AVIF"),
    "heic": heic,
    "jpeg 2000": lambda: written("JPEG2000"),
    "psd": layered,
    "ico": lambda: written("ICO", sizes=[(40, 30)]),
    "pcx": lambda: written("PCX"),
}


def attached(content: bytes) -> Attachment:
    known = classify(content, "", "a.bin")
    assert known.kind is Kind.IMAGE
    return Attachment("https://files.example/a.bin", Kind.IMAGE, known.media_type, "a.bin", content)


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("name", PICTURES)
async def test_every_picture_comes_as_its_provider_accepts_it(name: str, provider: str) -> None:
    accepted = PROVIDERS[provider].pictures
    given = Attachments((attached(PICTURES[name]()),))
    (item,) = (await adapt(given, ModelCapabilities(pdfs=True, images=True, pictures=accepted))).items
    assert item.kind is Kind.IMAGE
    assert item.media_type in accepted.types
    with Image.open(io.BytesIO(item.content)) as seen:
        assert Image.MIME[str(seen.format)] == item.media_type or item.media_type == "image/heic"
        assert seen.size == (40, 30)
        assert getattr(seen, "n_frames", 1) == 1
        assert brightness(seen, 5, 15) < brightness(seen, 35, 15) - 60, "what was dark is dark"
    is_fine = name in ("png", "png with transparency", "jpeg", "gif", "webp", "heic") and (
        given.items[0].media_type in accepted.types
    )
    assert (item.note is None) is is_fine
    assert (item.content == given.items[0].content) is is_fine


@pytest.mark.filterwarnings("ignore:'imghdr' is deprecated")  # Agno's, before Python 3.13
@pytest.mark.parametrize("name", PICTURES)
async def test_agnos_own_formatter_for_claude_sends_every_picture(name: str) -> None:
    from agno.utils.models.claude import _format_image_for_message

    (image,) = to_agno_images(
        await adapt(Attachments((attached(PICTURES[name]()),)), ModelCapabilities(pdfs=True, images=True))
    )
    sent = _format_image_for_message(image)
    assert sent is not None
    assert sent["source"]["media_type"] == image.mime_type


@pytest.mark.parametrize("orientation", range(2, 9))
async def test_a_picture_taken_sideways_is_turned_upright(orientation: int) -> None:
    from PIL import ImageOps

    content, _, changes = await fit_picture(turned(orientation), "image/jpeg", PictureLimits())
    assert changes == ["rotated upright"]
    with Image.open(io.BytesIO(turned(orientation))) as taken, Image.open(io.BytesIO(content)) as seen:
        wanted = ImageOps.exif_transpose(taken)
        assert seen.size == wanted.size
        assert abs(brightness(seen, 3, 3) - brightness(wanted, 3, 3)) < 30
        assert seen.getexif().get(0x0112, 1) == 1


async def test_a_picture_is_scaled_down_to_what_is_accepted() -> None:
    content, _, changes = await fit_picture(written("PNG"), "image/png", PictureLimits(side=20))
    with Image.open(io.BytesIO(content)) as seen:
        assert seen.size == (20, 15)
    assert changes == ["scaled down from 40 by 30 pixels"]


async def test_a_picture_is_made_smaller_until_its_bytes_fit() -> None:
    target = io.BytesIO()
    Image.effect_noise((900, 600), 90).save(target, "PNG")
    accepted = PictureLimits(size=60_000)
    content, media_type, changes = await fit_picture(target.getvalue(), "image/png", accepted)
    assert len(content) <= accepted.size
    assert media_type == "image/jpeg"
    assert changes == [f"compressed from {len(target.getvalue()):,} bytes"]


async def test_what_cannot_be_made_to_fit_is_a_note_and_no_error() -> None:
    huge = enormous()
    for content, cause in ((huge, "million pixels"), (written("PNG")[:60], "damaged"), (heic()[:300], "damaged")):
        with pytest.raises(UnreadableError, match=cause):
            await fit_picture(content, "image/bmp", PictureLimits())
    (item,) = (await adapt(Attachments((attached(huge),)), ModelCapabilities(pdfs=True, images=True))).items
    assert item.kind is Kind.OTHER
    assert item.note == "a.bin could not be attached: it has more than 120 million pixels."


async def test_a_picture_is_made_to_fit_in_the_same_way_each_time() -> None:
    """An attempt that resumes asks what was asked before, to the byte."""
    made = [await fit_picture(PICTURES[name](), "image/x", PictureLimits()) for name in ("heic", "tiff") * 2]
    assert made[:2] == made[2:]


async def test_pictures_of_one_task_share_a_process_and_one_that_ends_it_takes_no_other_along(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(fitting, "MEMORY_BYTES", 250 * 1024 * 1024)
    large, broken, fine = io.BytesIO(), written("TIFF")[:99], Picture(written("PNG"), "image/png")
    Image.new("L", (9_000, 9_000)).save(large, "PNG")
    given = [Picture(broken, "image/tiff"), Picture(large.getvalue(), "image/png"), fine]
    found = await fit_pictures(given, PictureLimits())
    assert found[2] == replace(fine, pixels=(40, 30))
    assert [str(each) for each in found[:2]] == [
        "it is damaged, or of a kind that cannot be read",
        "reading it takes too long, or too much memory",
    ]


@pytest.mark.parametrize(
    ("tokens", "pixels", "count"),
    [
        (PictureTokens(), (1_000, 1_000), 36 * 36),
        (PictureTokens(), (8_000, 8_000), 4_784),
        (PictureTokens(), (1, 1), 1),
        (PictureTokens(32, 1.62, 2_500), (1_024, 1_024), 1_659),
        (PictureTokens(), None, 4_784),
    ],
)
def test_the_tokens_of_a_picture_are_those_of_its_patches(
    tokens: PictureTokens, pixels: tuple[int, int] | None, count: int
) -> None:
    assert tokens.of(pixels) == count


async def test_pictures_count_against_the_context_by_their_size() -> None:
    large, small = io.BytesIO(), io.BytesIO()
    Image.new("L", (2_000, 2_000)).save(large, "PNG")
    Image.new("L", (200, 200)).save(small, "PNG")
    pictures = [("a", large), ("b", large), ("c", large), ("d", small)]
    items = (
        Attachment(f"https://a.test/{name}", Kind.IMAGE, "image/png", name, of.getvalue()) for name, of in pictures
    )
    fitting = await adapt(Attachments(tuple(items)), ModelCapabilities(context=12_000))
    assert [each.kind for each in fitting.items] == [Kind.IMAGE, Kind.IMAGE, Kind.OTHER, Kind.IMAGE]
    assert fitting.notes == ("c could not be attached: with it, the files would exceed the model's context.",)
