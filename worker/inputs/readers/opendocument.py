"""OpenDocument presentations: the text of each slide, which no library of ours reads."""

from xml.etree import ElementTree as ET

from worker.bounded import Refused
from worker.inputs.readers.answer import Answer, Limits
from worker.inputs.readers.containers import BROKEN, UNPACKED_BYTES, opened

_PAGE = "{urn:oasis:names:tc:opendocument:xmlns:drawing:1.0}page"
_PAGE_NAME = "{urn:oasis:names:tc:opendocument:xmlns:drawing:1.0}name"
_TEXT = "{urn:oasis:names:tc:opendocument:xmlns:text:1.0}"
_NOTES = "{urn:oasis:names:tc:opendocument:xmlns:presentation:1.0}notes"


def read(content: bytes, _: Limits) -> Answer:
    """Read a presentation. Raises: Refused."""
    archive = opened(content)
    try:
        with archive.open("content.xml") as member:
            root = ET.fromstring(member.read(UNPACKED_BYTES))  # noqa: S314 - expat bounds entities (2.4.1)
    except Exception:  # noqa: BLE001 - a broken archive makes it raise almost anything
        raise Refused(BROKEN) from None
    slides: list[str] = []
    for number, page in enumerate(root.iter(_PAGE), 1):
        notes = page.find(_NOTES)
        said = _paragraphs(notes) if notes is not None else []
        if notes is not None:
            page.remove(notes)
        lines = [f"## Slide {number}", *_paragraphs(page), *(["Notes:", *said] if said else [])]
        slides.append("\n\n".join(lines))
    return Answer("\n\n".join(slides))


def _paragraphs(element: ET.Element) -> list[str]:
    found = [each for each in element.iter() if each.tag in {f"{_TEXT}p", f"{_TEXT}h"}]
    return [text for each in found if (text := "".join(each.itertext()).strip())]
