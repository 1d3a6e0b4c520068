"""The text in pictures and scans, by Tesseract, for models that see neither."""

import time
from contextlib import suppress
from typing import Any

import tesserocr

from worker.bounded import Refused
from worker.inputs.readers.pdf import opened_by_pdfium
from worker.inputs.readers.pictures import opened, readable, upright

SIDE = 4_000  # pixels of the longest side that are looked at: a page at 300 dpi has 3,500
SCALE = 200 / 72  # of a page: 200 dpi, at which letters of 8 points are large enough
LEAST_CONFIDENCE = 40  # of 100, on average: what is seen in a photograph without letters has less
SMALLEST = 1_000  # pixels of the longest side: a smaller picture is enlarged, since letters have at least 20 pixels


def picture(content: bytes, folder: str, languages: str, seconds: float) -> str:
    """Return the text in a picture; empty if there is none to be made out. A fax is a picture of several pages.

    Args:
        content: The picture.
        folder: Where Tesseract's data is.
        languages: Of the text, in Tesseract's words, such as ``eng+deu``.
        seconds: After which it is given up.

    Raises:
        Refused: It cannot be read.
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
                return "\n\n".join([*parts, f"[the pages from {number} to {total} were not looked at]"])
            image.seek(number - 1)
            found = reader.text(_enlarged(upright(image.copy(), SIDE)), left)
            parts += [f"[page {number} of {total}]\n{found}"] if found else []
        return "\n\n".join(parts)


def scan(
    content: bytes, data: tuple[str, str], characters: int, seconds: float, numbers: tuple[int, ...] = ()
) -> dict[str, Any]:
    """Return the text of a PDF whose pages are pictures, as ``readers.pdf.text`` does.

    Args:
        content: The PDF.
        data: Where Tesseract's data is, and of which languages, in Tesseract's words.
        characters: After which no further page is read.
        seconds: After which none is, either.
        numbers: Of the pages that are wanted; none: all.

    Raises:
        Refused: It cannot be opened.
    """
    document, until = opened_by_pdfium(content), time.monotonic() + seconds
    if document is None:
        raise Refused("it cannot be opened")
    reader, texts, total = _Reader(*data), list[tuple[int, str]](), len(document)
    length = read = 0
    for number in numbers or range(1, total + 1):
        left = until - time.monotonic()
        found = ""
        with suppress(Exception):  # a broken page loses only itself
            page = document[number - 1]
            scale = min(SCALE, SIDE / max(page.get_size()))
            found = reader.text(page.render(scale=scale, grayscale=True).to_pil(), left)
        is_late = time.monotonic() > until
        read += bool(found) or not is_late  # else it was given up
        if found:
            texts.append((number, found))
            length += len(found)
        if length > characters or is_late:
            break
    return {"texts": texts, "pages": total, "read": read}


class _Reader:
    """Tesseract, with its data loaded."""

    def __init__(self, folder: str, languages: str) -> None:
        self._tesseract: Any = tesserocr.PyTessBaseAPI(path=folder, lang=languages)

    def text(self, picture: Any, seconds: float) -> str:
        self._tesseract.SetImage(picture.convert("L"))
        if not self._tesseract.Recognize(max(1, int(seconds * 1000))):
            return ""
        said = str(self._tesseract.GetUTF8Text()).strip()
        return said if said and self._tesseract.MeanTextConf() >= LEAST_CONFIDENCE else ""


def _enlarged(picture: Any) -> Any:
    longest = max(picture.size)
    if longest >= SMALLEST:
        return picture
    factor = SMALLEST / longest
    return picture.convert("RGB").resize([max(1, int(each * factor)) for each in picture.size])
