"""Word documents as Markdown, with what libraries leave out: text boxes, content controls, headers, footnotes.

It walks the XML of ECMA-376, part 1, in the order of the document; python-docx opens the package and follows its
relationships.
"""

import io
from collections.abc import Iterator
from typing import Any
from xml.etree import ElementTree as ET

from worker.bounded import Refused
from worker.inputs.readers import within
from worker.inputs.readers.answer import Answer, Limits
from worker.inputs.readers.containers import BROKEN
from worker.inputs.readers.tables import as_table

_W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_MC = "{http://schemas.openxmlformats.org/markup-compatibility/2006}"
_MATH = "{http://schemas.openxmlformats.org/officeDocument/2006/math}"
_LINKS = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}"
_DRAWING = "{http://schemas.openxmlformats.org/drawingml/2006/main}"
_VML = "{urn:schemas-microsoft-com:vml}"
_TRANSITIONAL = {  # of ISO/IEC 29500 Strict, by those of its transitional form
    b"http://purl.oclc.org/ooxml/wordprocessingml/main": (
        b"http://schemas.openxmlformats.org/wordprocessingml/2006/main"
    ),
    b"http://purl.oclc.org/ooxml/officeDocument/relationships": (
        b"http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    ),
}
_DEEPEST_HEADING = 6
_LEFT_OUT = {f"{_W}del", f"{_W}moveFrom", f"{_W}instrText", f"{_MC}Fallback", f"{_W}pPr", f"{_W}rPr", f"{_W}sdtPr"}


def read(content: bytes, limits: Limits) -> Answer:
    """Read a document. Raises: Refused."""
    from docx.opc.package import OpcPackage

    try:
        package: Any = OpcPackage.open(io.BytesIO(content))
        main: Any = package.main_document_part
        document = _Document(main)
        answer = Answer(document.text())
        within.take(answer, document.pictures(), limits.pictures, limits.most)
    except RecursionError:
        raise Refused("its parts are nested too deep") from None
    except Exception:  # noqa: BLE001 - a broken document makes the library raise almost anything
        raise Refused(BROKEN) from None
    return answer


class _Document:
    """A document while it is read."""

    def __init__(self, main: Any) -> None:
        self._main = main
        self._links = {key: each.target_ref for key, each in main.rels.items() if each.is_external}
        self._headings: dict[str, int] = {}  # levels of styles that are headings
        self._lists: set[str] = set()  # styles whose paragraphs are points of a list
        self._read_styles()

    def text(self) -> str:
        """The body, then what stands around it."""
        body = _parsed(self._main.blob).find(f"{_W}body")
        parts = ["\n\n".join(self._blocks(body))] if body is not None else []
        parts += self._notes()
        around = list(dict.fromkeys(text for kind in ("header", "footer") for text in self._around(kind)))
        if around:
            parts.append("\n\n".join(["Headers and footers:", *around]))
        return "\n\n".join(each for each in parts if each.strip())

    def pictures(self) -> Iterator[tuple[str, bytes]]:
        """The pictures of the body, in its order: each is a part that a relationship names."""
        for element in _parsed(self._main.blob).iter():
            if element.tag not in {f"{_DRAWING}blip", f"{_VML}imagedata"}:
                continue
            relation = self._main.rels.get(element.get(f"{_LINKS}embed") or element.get(f"{_LINKS}id"))
            if relation is not None and not relation.is_external:
                yield str(relation.target_part.partname), relation.target_part.blob

    def _around(self, kind: str) -> Iterator[str]:
        for part in self._parts(kind):
            yield from (each for each in self._blocks(part) if each.strip())

    def _notes(self) -> Iterator[str]:
        for kind in ("footnote", "endnote"):
            for part in self._parts(f"{kind}s"):
                for note in part.iter(f"{_W}{kind}"):
                    words = " ".join(self._blocks(note)).strip()
                    if words and note.get(f"{_W}type") is None:  # the others are lines that separate
                        yield f"[^{note.get(f'{_W}id')}]: {words}"

    def _parts(self, kind: str) -> Iterator[Any]:
        for each in self._main.rels.values():
            if not each.is_external and each.reltype.rpartition("/")[2] == kind:
                yield _parsed(each.target_part.blob)

    def _read_styles(self) -> None:
        """Know styles by their names: their ids are in the language of whoever made the document."""
        for part in self._parts("styles"):
            for style in part.iter(f"{_W}style"):
                key, named = str(style.get(f"{_W}styleId")), style.find(f"{_W}name")
                name = str(named.get(f"{_W}val") if named is not None else "").lower()
                level = name.removeprefix("heading ")
                if name == "title":
                    self._headings[key] = 1
                elif level != name and level.isdigit():
                    self._headings[key] = min(int(level), _DEEPEST_HEADING)
                elif style.find(f"{_W}pPr/{_W}numPr") is not None:
                    self._lists.add(key)

    def _blocks(self, element: Any) -> Iterator[str]:
        """Paragraphs and tables, each as Markdown."""
        for child in element:
            if child.tag == f"{_W}p":
                yield from self._paragraph(child)
            elif child.tag == f"{_W}tbl":
                yield self._table(child)
            elif child.tag not in _LEFT_OUT:
                yield from self._blocks(child)

    def _paragraph(self, paragraph: Any) -> Iterator[str]:
        boxes: list[Any] = []
        words = "".join(self._inline(paragraph, boxes)).strip()
        if words:
            yield f"{self._mark(paragraph)}{words}"
        for box in boxes:
            yield from (each for each in self._blocks(box) if each.strip())

    def _mark(self, paragraph: Any) -> str:
        named = paragraph.find(f"{_W}pPr/{_W}pStyle")
        style = str(named.get(f"{_W}val")) if named is not None else ""
        if style in self._headings:
            return "#" * self._headings[style] + " "
        numbering = paragraph.find(f"{_W}pPr/{_W}numPr")
        if numbering is None:
            return "- " if style in self._lists else ""
        depth = numbering.find(f"{_W}ilvl")
        indent = depth.get(f"{_W}val") if depth is not None else "0"
        return "  " * (int(indent) if str(indent).isdigit() else 0) + "- "

    def _inline(self, element: Any, boxes: list[Any]) -> Iterator[str]:
        for child in element:
            tag = child.tag
            if tag in _LEFT_OUT:
                continue
            if tag in {f"{_W}t", f"{_MATH}t"}:
                yield child.text or ""
            elif tag == f"{_W}tab":
                yield "\t"
            elif tag in {f"{_W}br", f"{_W}cr"}:
                yield "\n"
            elif tag == f"{_W}noBreakHyphen":
                yield "-"
            elif tag == f"{_W}txbxContent":
                boxes.append(child)
            elif tag in {f"{_W}footnoteReference", f"{_W}endnoteReference"}:
                yield f"[^{child.get(f'{_W}id')}]"
            elif tag == f"{_W}hyperlink":
                words, target = "".join(self._inline(child, boxes)), self._links.get(child.get(f"{_LINKS}id"))
                yield f"[{words}]({target})" if target and words.strip() and target != words else words
            else:
                yield from self._inline(child, boxes)

    def _table(self, table: Any) -> str:
        rows = [[self._cell(cell) for cell in row.iter(f"{_W}tc")] for row in table.findall(f".//{_W}tr")]
        return as_table(rows)

    def _cell(self, cell: Any) -> str:
        return " ".join(each for each in self._blocks(cell) if each.strip())


def _parsed(blob: bytes) -> Any:
    for strict, transitional in _TRANSITIONAL.items():
        blob = blob.replace(strict, transitional)
    return ET.fromstring(blob)  # noqa: S314 - expat bounds entities (2.4.1), and follows none to elsewhere
