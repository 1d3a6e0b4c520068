"""Documents read by a general library: types without a reader of their own, and files on which other readers fail."""

import re
from collections.abc import Callable, Iterator
from functools import wraps
from importlib.util import find_spec
from typing import Any
from xml.etree import ElementTree as ET

from worker.bounded import Refused
from worker.inputs.kinds import EXCEL, EXCEL_BINARY, FICTION_BOOK, OLD_EXCEL, OLD_WORD
from worker.inputs.readers import sheets
from worker.inputs.readers.answer import MALFORMED, PASSWORD, ReaderLimits, ReadText
from worker.inputs.readers.markup import parse_xml
from worker.inputs.readers.sheets import Sheet

Reader = Callable[[bytes, ReaderLimits], ReadText]

_RULE = re.compile(r"\|(?: --- \|)+")
_BAR = re.compile(r"(?<!\\)\|")
_MIDNIGHT = re.compile(r"(?<=^\d{4}-\d\d-\d\d) 00:00:00$")
_LINK = re.compile(r'\bHYPERLINK\s+(?:\\l\s+)?"([^"\n]{1,2000})"\s*')  # ECMA-376, part 1, 17.16.5.25


def read(content: bytes, limits: ReaderLimits) -> ReadText:
    """Read a document as Markdown.

    Raises:
        Refused: The document cannot be read.
    """
    if find_spec("kreuzberg") is None:  # the format's own reader has already failed
        raise Refused(MALFORMED)
    import kreuzberg

    wanted = kreuzberg.ExtractionConfig(output_format="markdown", use_cache=False, enable_quality_processing=False)
    try:
        text = kreuzberg.extract_bytes_sync(content, limits.media_type, config=wanted).content
    except Exception as error:  # noqa: BLE001 - a broken document makes it raise almost anything
        raise Refused(_cause(str(error))) from None
    if limits.media_type in {EXCEL, EXCEL_BINARY, OLD_EXCEL}:
        return sheets.answer(list(_sheets(text)))
    if limits.media_type == FICTION_BOOK:
        return ReadText("\n\n".join([*_heading(content), text]))
    return ReadText(without_codes(text) if limits.media_type == OLD_WORD else text)


def reads_the_rest(reader: Reader) -> Reader:
    """Have the library read the files on which a reader fails, since broken ones make parsers raise almost anything."""

    @wraps(reader)
    def either(content: bytes, limits: ReaderLimits) -> ReadText:
        try:
            return reader(content, limits)
        except (Refused, MemoryError):
            raise
        except Exception:  # noqa: BLE001 - as said above
            return read(content, limits)

    return either


def _heading(content: bytes) -> Iterator[str]:
    """Iterate over the title, the authors and the annotation of a FictionBook, which the library leaves out."""
    try:
        root = parse_xml(content)
    except (ET.ParseError, ValueError, LookupError):
        return
    about: Any = next((each for each in root.iter() if str(each.tag).endswith("}title-info")), ())
    for each in about:
        words = " ".join(" ".join(each.itertext()).split())
        match str(each.tag).rpartition("}")[2]:
            case "book-title" if words:
                yield f"# {words}"
            case "author" if words:
                yield f"by {words}"
            case "annotation" if words:
                yield words
            case _:
                pass


def _sheets(text: str) -> Iterator[Sheet]:
    """Iterate over the sheets of a workbook, for which the library writes every empty row."""
    for part in re.split(r"^## ", text, flags=re.MULTILINE)[1:]:
        title, _, rest = part.partition("\n")
        sheet = Sheet(title.strip())
        lines = [line for line in rest.splitlines() if line.startswith("|") and not _RULE.fullmatch(line)]
        for number, line in enumerate(lines, 1):
            cells = [_MIDNIGHT.sub("", each.strip().replace("\\|", "|")) for each in _BAR.split(line)[1:-1]]
            filled = {column: each for column, each in enumerate(cells) if each}
            sheet.rows += [(number, filled)] if filled else []
        yield sheet


def without_codes(text: str) -> str:
    """Return the text of an old Word document with the library's field codes of links replaced by their targets."""
    return _LINK.sub(r"(\1) ", text)


def _cause(message: str) -> str:
    """Map an error message of the library to one of ours, which reveals nothing of the document."""
    lowered = message.lower()
    if "password" in lowered or "encrypt" in lowered:
        return PASSWORD
    return "it unpacks to more than is allowed" if "limit exceeded" in lowered else MALFORMED
