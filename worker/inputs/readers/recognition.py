"""Text recognition in pictures and scans with Tesseract."""

import time
from contextlib import suppress
from typing import Any

import tesserocr

from worker.bounded import Refused
from worker.inputs.readers.pdf import opened_by_pdfium
from worker.inputs.readers.pictures import opened, readable, upright

SIDE = 4_000  # the maximum longest side in pixels: a page at 300 dpi has 3,500
SCALE = 200 / 72  # of a rendered page: 200 dpi, at which letters of 8 points are large enough
MIN_CONFIDENCE = 40  # of 100 on average: false recognitions in photographs have less
SMALLEST = 1_000  # the minimum longest side in pixels: smaller pictures are enlarged, so that letters have 20 pixels


def picture(content: bytes, folder: str, languages: str, seconds: float) -> str:
    """Return the text in a picture; empty if none is legible. A fax may have several pages.

    Args:
        content: The picture.
        folder: The folder of Tesseract's data.
        languages: The languages of the text by Tesseract's names, such as ``eng+deu``.
        seconds: The time limit.

    Raises:
        Refused: The picture cannot be read.
    """
    until = time.monotonic() + seconds
    with readable():
        image, reader = opened(content), _Reader(folder, languages)
        total = getattr(image, "n_frames", 1) if image.format == "TIFF" else 1
        if total == 1:
            return reader.text(_enlarged(upright(image, SIDE)), seconds)
        parts: list[str] = []
        for number in range(1, total + 1):
            left = until - time.monotonic()
            if left <= 0:
                return "\n\n".join([*parts, f"[pages {number} to {total} were not examined]"])
            image.seek(number - 1)
            found = reader.text(_enlarged(upright(image.copy(), SIDE)), left)
            parts += [f"[page {number} of {total}]\n{found}"] if found else []
        return "\n\n".join(parts)


def scan(
    content: bytes, data: tuple[str, str], characters: int, seconds: float, numbers: tuple[int, ...] = ()
) -> dict[str, Any]:
    """Return the text of a scanned PDF in the form of ``readers.pdf.text``.

    Args:
        content: The PDF.
        data: The folder of Tesseract's data, and the languages by Tesseract's names.
        characters: The number of characters after which no further page is read.
        seconds: The time after which no further page is read.
        numbers: The wanted pages; empty means all.

    Raises:
        Refused: The PDF cannot be opened.
    """
    document, until = opened_by_pdfium(content), time.monotonic() + seconds
    if document is None:
        raise Refused("it cannot be opened")
    reader, texts, total = _Reader(*data), list[tuple[int, str]](), len(document)
    length = read = 0
    for number in numbers or range(1, total + 1):
        left = until - time.monotonic()
        found = ""
        with suppress(Exception):  # a broken page does not affect the others
            page = document[number - 1]
            scale = min(SCALE, SIDE / max(page.get_size()))
            found = reader.text(page.render(scale=scale, grayscale=True).to_pil(), left)
        is_late = time.monotonic() > until
        read += bool(found) or not is_late  # otherwise the page timed out
        if found:
            texts.append((number, found))
            length += len(found)
        if length > characters or is_late:
            break
    return {"texts": texts, "pages": total, "read": read}


class _Reader:
    """Tesseract with its data loaded."""

    def __init__(self, folder: str, languages: str) -> None:
        self._tesseract: Any = tesserocr.PyTessBaseAPI(path=folder, lang=languages)

    def text(self, picture: Any, seconds: float) -> str:
        self._tesseract.SetImage(picture.convert("L"))
        if not self._tesseract.Recognize(max(1, int(seconds * 1000))):
            return ""
        said = str(self._tesseract.GetUTF8Text()).strip()
        return said if said and self._tesseract.MeanTextConf() >= MIN_CONFIDENCE else ""


def _enlarged(picture: Any) -> Any:
    longest = max(picture.size)
    if longest >= SMALLEST:
        return picture
    factor = SMALLEST / longest
    return picture.convert("RGB").resize([max(1, int(each * factor)) for each in picture.size])
