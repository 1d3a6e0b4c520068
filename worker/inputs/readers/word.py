"""Word documents as Markdown, including text boxes, content controls, headers and footnotes, which libraries omit.

This module walks the XML of ECMA-376, part 1, in document order; python-docx opens the package and resolves its
relationships.
"""

import io
from collections.abc import Iterator
from typing import Any

from worker.bounded import Refused
from worker.inputs.decoding import text_encoding
from worker.inputs.kinds import EMAIL, WEB_ARCHIVE
from worker.inputs.names import one_line
from worker.inputs.readers import charts, mail, web, within
from worker.inputs.readers.answer import DEEPEST_HEADING, LONGEST_DESCRIPTION, ReaderLimits, ReadText
from worker.inputs.readers.containers import BROKEN
from worker.inputs.readers.markup import DRAWING, FIELD_LINK, RELATIONSHIPS, parse_xml
from worker.inputs.readers.tables import as_table

_W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_MC = "{http://schemas.openxmlformats.org/markup-compatibility/2006}"
_VML = "{urn:schemas-microsoft-com:vml}"
MAX_SPANNED = 50  # columns spanned by one cell
_CHART = "{http://schemas.openxmlformats.org/drawingml/2006/chart}chart"
_DIAGRAM = "{http://schemas.openxmlformats.org/drawingml/2006/diagram}relIds"
_LEFT_OUT = {f"{_W}del", f"{_W}moveFrom", f"{_MC}Fallback", f"{_W}pPr", f"{_W}rPr", f"{_W}sdtPr"}


def read(content: bytes, limits: ReaderLimits) -> ReadText:
    """Read a document."""
    from docx.opc.package import OpcPackage

    try:
        package: Any = OpcPackage.open(io.BytesIO(content))
        main: Any = package.main_document_part
        document = _Document(main)
        answer = ReadText(document.text())
        within.take(answer, document.pictures(), limits.pictures, limits.most)
    except RecursionError:
        raise Refused("its parts are nested too deep") from None
    except Exception:  # noqa: BLE001 - a broken document makes the library raise almost anything
        raise Refused(BROKEN) from None
    return answer


class _Document:
    """A document being read."""

    def __init__(self, main: Any) -> None:
        self._main = main
        self._links = {key: each.target_ref for key, each in main.rels.items() if each.is_external}
        self._headings: dict[str, int] = {}  # the levels of heading styles
        self._lists: set[str] = set()  # styles whose paragraphs are list items
        self._fields: list[str] = []  # the codes of the fields around the current position
        self._read_styles()

    def text(self) -> str:
        """Return the body, notes, comments, headers and footers."""
        body = _parsed(self._main.blob).find(f"{_W}body")
        parts = ["\n\n".join(self._blocks(body))] if body is not None else []
        parts += self._notes()
        around = list(dict.fromkeys(text for kind in ("header", "footer") for text in self._around(kind)))
        if around:
            parts.append("\n\n".join(["Headers and footers:", *around]))
        return "\n\n".join(each for each in parts if each.strip())

    def pictures(self) -> Iterator[tuple[str, bytes]]:
        """Iterate over the pictures of the body in its order; each is a part named by a relationship."""
        for element in _parsed(self._main.blob).iter():
            if element.tag not in {f"{DRAWING}blip", f"{_VML}imagedata"}:
                continue
            relation = self._main.rels.get(element.get(f"{RELATIONSHIPS}embed") or element.get(f"{RELATIONSHIPS}id"))
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
                    if words and note.get(f"{_W}type") is None:  # notes with a type are separators
                        yield f"[^{note.get(f'{_W}id')}]: {words}"
        for part in self._parts("comments"):
            for comment in part.iter(f"{_W}comment"):
                words = " ".join(self._blocks(comment)).strip()
                if words:
                    yield f"[comment {comment.get(f'{_W}id')}] {comment.get(f'{_W}author') or 'someone'}: {words}"

    def _parts(self, kind: str) -> Iterator[Any]:
        for each in self._main.rels.values():
            if not each.is_external and each.reltype.rpartition("/")[2] == kind:
                yield _parsed(each.target_part.blob)

    def _read_styles(self) -> None:
        """Identify styles by their names, since their ids are localized."""
        for part in self._parts("styles"):
            for style in part.iter(f"{_W}style"):
                key, named = str(style.get(f"{_W}styleId")), style.find(f"{_W}name")
                name = str(named.get(f"{_W}val") if named is not None else "").lower()
                level = name.removeprefix("heading ")
                if name == "title":
                    self._headings[key] = 1
                elif level != name and level.isdigit():
                    self._headings[key] = min(int(level), DEEPEST_HEADING)
                elif style.find(f"{_W}pPr/{_W}numPr") is not None:
                    self._lists.add(key)

    def _blocks(self, element: Any) -> Iterator[str]:
        """Iterate over paragraphs and tables as Markdown."""
        for child in element:
            if child.tag == f"{_W}p":
                yield from self._paragraph(child)
            elif child.tag == f"{_W}tbl":
                yield as_table(self._rows(child))
            elif child.tag == f"{_W}altChunk":
                yield self._chunk(child)
            elif child.tag not in _LEFT_OUT:
                yield from self._blocks(child)

    def _paragraph(self, paragraph: Any) -> Iterator[str]:
        behind: list[Any] = []
        words = "".join(self._inline(paragraph, behind)).strip()
        words = words.replace("  ", " ") if behind else words  # the blanks around a box that has moved behind it
        if words:
            yield f"{self._mark(paragraph)}{words}"
        for each in behind:
            yield from (text for text in ([each] if isinstance(each, str) else self._blocks(each)) if text.strip())

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

    def _inline(self, element: Any, behind: list[Any]) -> Iterator[str]:
        """Iterate over the words of a paragraph; content with its own paragraphs is appended to ``behind``."""
        for child in element:
            tag = child.tag
            if tag in _LEFT_OUT:
                continue
            if (said := self._leaf(child)) is not None:
                yield said
            elif tag == f"{_W}txbxContent":
                behind.append(child)
            elif tag in {_CHART, _DIAGRAM}:
                behind += self._drawn(child)
            elif tag == f"{_W}hyperlink":
                words, target = "".join(self._inline(child, behind)), self._links.get(child.get(f"{RELATIONSHIPS}id"))
                yield f"[{words}]({target})" if target and words.strip() and target != words else words
            else:
                yield from self._inline(child, behind)

    def _leaf(self, element: Any) -> str | None:
        """Return the text of an element without children; None for any other element."""
        match element.tag.rpartition("}")[2]:
            case "t":
                return element.text or ""
            case "tab":
                return "\t"
            case "br" | "cr":
                return "\n"
            case "noBreakHyphen":
                return "-"
            case "footnoteReference" | "endnoteReference":
                return f"[^{element.get(f'{_W}id')}]"
            case "commentReference":
                return f" [comment {element.get(f'{_W}id')}]"
            case "docPr":
                words = one_line(element.get("descr") or "", LONGEST_DESCRIPTION)
                return f"[picture: {words}]" if words else ""
            case "fldChar":
                return self._field(str(element.get(f"{_W}fldCharType")))
            case "instrText":
                self._fields[-1:] = [each + (element.text or "") for each in self._fields[-1:]]
                return ""
            case _:
                return None

    def _field(self, mark: str) -> str:
        """Return the text at a field's mark (17.16.18): a field shows its result; the code of a link has the target."""
        if mark == "begin":
            self._fields.append("")
            return ""
        link = FIELD_LINK.match(self._fields[-1]) if self._fields else None
        if mark == "end" and self._fields:
            self._fields.pop()
        if link is None:
            return ""
        return "[" if mark == "separate" else f"]({link.group(1)})"

    def _drawn(self, element: Any) -> Iterator[str]:
        """Iterate over the text of a chart or diagram, which is a part of its own."""
        relation = self._main.rels.get(element.get(f"{RELATIONSHIPS}id") or element.get(f"{RELATIONSHIPS}dm"))
        if relation is None or relation.is_external:
            return
        blob = relation.target_part.blob
        if element.tag == _CHART:
            yield charts.chart(parse_xml(blob))
        else:
            yield from charts.diagram(blob)

    def _chunk(self, element: Any) -> str:
        """Return an embedded document of another format (17.17.2.1), such as a web page saved as a Word document."""
        relation = self._main.rels.get(element.get(f"{RELATIONSHIPS}id"))
        if relation is None or relation.is_external:
            return ""
        blob, kind = relation.target_part.blob, str(relation.target_part.content_type).partition(";")[0]
        if kind in {WEB_ARCHIVE, EMAIL}:
            return mail.body(blob)
        found = text_encoding(blob) if kind.startswith("text/") or kind == "application/xhtml+xml" else None
        words = blob.decode(found.name, "replace") if found is not None else ""
        return web.markdown(words) if kind != "text/plain" else words

    def _rows(self, table: Any) -> list[list[str]]:
        return [list(self._cells(row)) for row in _outermost(table, f"{_W}tr")]

    def _cells(self, row: Any) -> Iterator[str]:
        for cell in _outermost(row, f"{_W}tc"):
            yield " ".join(each for each in self._within_cell(cell) if each.strip())
            span = cell.find(f"{_W}tcPr/{_W}gridSpan")
            wide = str(span.get(f"{_W}val")) if span is not None else "1"
            yield from [""] * (min(int(wide), MAX_SPANNED) - 1 if wide.isdigit() else 0)

    def _within_cell(self, element: Any) -> Iterator[str]:
        """Iterate over the text of a cell; a table within it becomes a list."""
        for child in element:
            if child.tag == f"{_W}tbl":
                yield "; ".join(", ".join(each for each in row if each) for row in self._rows(child))
            elif child.tag == f"{_W}p":
                yield from self._paragraph(child)
            elif child.tag not in _LEFT_OUT:
                yield from self._within_cell(child)


def _outermost(element: Any, tag: str) -> Iterator[Any]:
    """Iterate over the elements of a tag, descending into content controls but not into nested tables."""
    for child in element:
        if child.tag == tag:
            yield child
        elif child.tag not in _LEFT_OUT:
            yield from _outermost(child, tag)


def _parsed(blob: bytes) -> Any:
    return parse_xml(blob)
