"""Office documents that are a single XML file: those of Excel and Word 2003, and flat packages."""

import base64
import binascii
import io
import zipfile
from collections.abc import Iterator
from typing import Any
from xml.etree import ElementTree as ET
from xml.sax.saxutils import quoteattr

from worker.bounded import Refused
from worker.inputs.kinds import POWERPOINT, WORD
from worker.inputs.readers import containers, sheets, slides, word
from worker.inputs.readers.answer import ReaderLimits, ReadText
from worker.inputs.readers.markup import parse_xml
from worker.inputs.readers.sheets import MAX_COLUMNS, Row, Sheet, letters

_SS = "{urn:schemas-microsoft-com:office:spreadsheet}"
_X = "{urn:schemas-microsoft-com:office:excel}"
_PKG = "{http://schemas.microsoft.com/office/2006/xmlPackage}"
_OLD_WORD, _WORD = (
    b"http://schemas.microsoft.com/office/word/2003/wordml",
    b"http://schemas.openxmlformats.org/wordprocessingml/2006/main",
)
_W = f"{{{_WORD.decode()}}}"
_TYPES = "http://schemas.openxmlformats.org/package/2006/content-types"
_RELATED = "http://schemas.openxmlformats.org/package/2006/relationships"
_OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"


def read_workbook(content: bytes, limits: ReaderLimits) -> ReadText:
    """Read an Excel 2003 XML workbook."""
    root = _parsed(content)
    styles = {
        str(each.get(f"{_SS}ID")): str(form.get(f"{_SS}Format"))
        for each in root.iter(f"{_SS}Style")
        if (form := each.find(f"{_SS}NumberFormat")) is not None
    }
    found = root.findall(f"{_SS}Worksheet")
    share = max(limits.characters // max(len(found), 1), 1)
    return sheets.answer([_sheet(each, share, styles) for each in found])


def read_word(content: bytes, limits: ReaderLimits) -> ReadText:
    """Read a Word 2003 XML document, converted to the element names of later versions."""
    root = _parsed(content.replace(_OLD_WORD, _WORD))
    links = list(_renamed(root))
    parts = {"document": root.find(f"{_W}body"), "styles": root.find(f"{_W}styles")}
    package = {"word/document.xml": _document(parts["document"]), "word/styles.xml": _text_of(parts["styles"])}
    kinds = {"word/document.xml": f"{WORD}.main+xml", "word/styles.xml": f"{WORD.removesuffix('document')}styles+xml"}
    package["_rels/.rels"] = _list(("officeDocument", "word/document.xml"))
    package["word/_rels/document.xml.rels"] = _list(("styles", "styles.xml"), *links)
    return word.read(_packed({name: part for name, part in package.items() if part}, kinds), limits)


def _renamed(root: Any) -> Iterator[tuple[str, str]]:
    """Rename elements of lists and links to their later names, and put the text of notes and comments into brackets.

    Yields:
        The relationships of links.
    """
    count = 0
    for each in list(root.iter()):
        match str(each.tag).rpartition("}")[2]:
            case "listPr":
                each.tag = f"{_W}numPr"
            case "hlink" if each.get(f"{_W}dest"):
                count += 1
                each.tag = f"{_W}hyperlink"
                each.set(f"{{{_OFFICE}}}id", f"r{count}")  # r0 is the relationship of the styles
                yield "hyperlink", str(each.get(f"{_W}dest"))
            case "annotation" if each.get(f"{_W}type") == "Word.Deletion":
                each.clear()
            case "footnote" | "endnote" | "annotation" if each.get(f"{_W}type") in {None, "Word.Comment"}:
                for place, mark in ((0, " ["), (len(each) + 1, "]")):
                    words = ET.Element(f"{_W}t")
                    words.text = mark
                    each.insert(place, words)
            case _:
                pass


def read_package(content: bytes, limits: ReaderLimits) -> ReadText:
    """Read an Office package that is written as a single XML file."""
    parts, kinds = dict[str, bytes](), dict[str, str]()
    for part in _parsed(content).iter(f"{_PKG}part"):
        name = str(part.get(f"{_PKG}name")).lstrip("/")
        kinds[name] = str(part.get(f"{_PKG}contentType"))
        data, held = part.find(f"{_PKG}binaryData"), part.find(f"{_PKG}xmlData")
        try:
            parts[name] = (
                base64.b64decode(data.text or "") if data is not None else _text_of(next(iter(held or ()), None))
            )
        except binascii.Error:
            raise Refused(containers.BROKEN) from None
    packed = containers.plain(_packed(parts, kinds))
    match containers.zip_type(packed):
        case found if found == WORD:
            return word.read(packed, limits)
        case found if found == POWERPOINT:
            return slides.read(packed, limits)
        case _:
            raise Refused(containers.BROKEN)


def _parsed(content: bytes) -> Any:
    try:
        return parse_xml(content)
    except (ET.ParseError, ValueError, LookupError):
        raise Refused(containers.BROKEN) from None


def _sheet(element: Any, characters: int, styles: dict[str, str]) -> Sheet:
    visible = element.find(f"{_X}WorksheetOptions/{_X}Visible")
    taken = Sheet(str(element.get(f"{_SS}Name")), is_hidden=visible is not None and visible.text != "SheetVisible")
    taken.take(_rows(element, styles, taken.remarks), characters)
    return taken


def _rows(sheet: Any, styles: dict[str, str], remarks: list[str]) -> Iterator[Row]:
    number = 0
    for row in sheet.iterfind(f"{_SS}Table/{_SS}Row"):
        number = _index(row, number + 1)
        column, cells = 0, dict[int, str]()
        for cell in row.findall(f"{_SS}Cell"):
            column = _index(cell, column + 1)
            data, comment = cell.find(f"{_SS}Data"), cell.find(f"{_SS}Comment")
            if data is not None and (shown := _shown(data, styles.get(str(cell.get(f"{_SS}StyleID")), "General"))):
                cells[column - 1] = shown
            if comment is not None:
                remarks.append(
                    f"Comment on {letters(column - 1)}{number}: {' '.join(''.join(comment.itertext()).split())}"
                )
            across = str(cell.get(f"{_SS}MergeAcross") or "0")
            column += min(int(across), MAX_COLUMNS) if across.isdecimal() else 0
        yield number, cells


def _index(element: Any, following: int) -> int:
    said = str(element.get(f"{_SS}Index") or "")
    return int(said) if said.isdecimal() and int(said) < 10_000_000 else following  # noqa: PLR2004 - beyond any sheet


def _shown(data: Any, form: str) -> str:
    from worker.inputs.readers.cells import format_cell

    said, kind = "".join(data.itertext()).strip(), data.get(f"{_SS}Type")
    if kind == "DateTime":
        return said.removesuffix(".000").removesuffix("T00:00:00").replace("T", " ")
    if kind == "Boolean":
        return "TRUE" if said == "1" else "FALSE"
    try:
        return format_cell(float(said), _FORMS.get(form, form)) if kind == "Number" else said
    except ValueError:
        return said


_FORMS = {"Percent": "0.00%", "Fixed": "0.00", "Standard": "#,##0.00", "General Number": "General"}
"""The number formats behind the names in these files."""


def _document(body: Any) -> bytes:
    return b'<w:document xmlns:w="%b">%b</w:document>' % (_WORD, _text_of(body))


def _text_of(element: Any) -> bytes:
    return ET.tostring(element) if element is not None else b""


def _list(*related: tuple[str, str]) -> bytes:
    modes = {"hyperlink": ' TargetMode="External"'}
    each = "".join(
        f'<Relationship Id="r{number}" Type="{_OFFICE}/{kind}" Target={quoteattr(to)}{modes.get(kind, "")}/>'
        for number, (kind, to) in enumerate(related)
    )
    return f'<Relationships xmlns="{_RELATED}">{each}</Relationships>'.encode()


def _packed(parts: dict[str, bytes], kinds: dict[str, str]) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as written:
        named = "".join(
            f"<Override PartName={quoteattr(f'/{name}')} ContentType={quoteattr(kind)}/>"
            for name, kind in kinds.items()
        )
        rels = '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        written.writestr("[Content_Types].xml", f'<Types xmlns="{_TYPES}">{rels}{named}</Types>')
        for name, part in parts.items():
            written.writestr(name, part)
    return target.getvalue()
