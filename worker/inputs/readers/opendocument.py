"""OpenDocument texts, spreadsheets, presentations and drawings as displayed, packed or flat (ISO 26300-1)."""

import base64
import binascii
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any
from xml.etree import ElementTree as ET

from worker.bounded import Refused
from worker.inputs.kinds import OPEN_SPREADSHEET, OPEN_TEXT
from worker.inputs.names import one_line
from worker.inputs.readers import sheets, within
from worker.inputs.readers.answer import DEEPEST_HEADING, LONGEST_DESCRIPTION, ReaderLimits, ReadText
from worker.inputs.readers.containers import BROKEN, UNPACKED_BYTES, opened
from worker.inputs.readers.markup import parse_xml
from worker.inputs.readers.sheets import MAX_COLUMNS, Row, Sheet, letters
from worker.inputs.readers.tables import as_table


def _name(space: str, local: str) -> str:
    return f"{{urn:oasis:names:tc:opendocument:xmlns:{space}:1.0}}{local}"


_P, _H, _LIST, _A = (_name("text", each) for each in ("p", "h", "list", "a"))
_TABLE, _ROW, _CELL = (_name("table", each) for each in ("table", "table-row", "table-cell"))
_COVERED = _name("table", "covered-table-cell")
_REPEATED_ROWS, _REPEATED_COLUMNS = _name("table", "number-rows-repeated"), _name("table", "number-columns-repeated")
_FRAME, _IMAGE, _OBJECT, _PAGE = (_name("drawing", each) for each in ("frame", "image", "object", "page"))
_NOTE, _ANNOTATION = _name("text", "note"), _name("office", "annotation")
_CLASS = _name("presentation", "class")
_HREF = "{http://www.w3.org/1999/xlink}href"
_CREATOR = "{http://purl.org/dc/elements/1.1/}creator"
_DESCRIPTIONS = tuple(_name("svg-compatible", each) for each in ("desc", "title"))
_SHAPES = {_FRAME, *(_name("drawing", each) for each in ("custom-shape", "g", "rect", "ellipse", "text-box", "line"))}
_UNSEEN = {
    *(_name("text", each) for each in ("tracked-changes", "sequence-decls", "variable-decls", "hidden-text")),
    *(_name("office", each) for each in ("annotation-end", "forms", "event-listeners", "binary-data")),
    *(_name("drawing", each) for each in ("enhanced-geometry", "glue-point")),
    *_DESCRIPTIONS,
}
_NUMBERED = {"page-number", "date-time"}  # frames that repeat on every page


def read(content: bytes, limits: ReaderLimits) -> ReadText:
    """Read a document."""
    try:
        document = _Document(content)
        read_as: Callable[[ReaderLimits], ReadText] = {OPEN_TEXT: document.text, OPEN_SPREADSHEET: document.book}.get(
            limits.media_type, document.pages
        )
        answer = read_as(limits)
        within.take(answer, document.pictures(), limits.pictures, limits.most)
    except (Refused, MemoryError):
        raise
    except RecursionError:
        raise Refused("its parts are nested too deep") from None
    except Exception:  # noqa: BLE001 - a broken document makes the parser raise almost anything
        raise Refused(BROKEN) from None
    return answer


class _Document:
    """A document being read."""

    def __init__(self, content: bytes) -> None:
        self._archive = opened(content) if content.startswith(b"PK") else None
        self._root: Any = self._part("content.xml") if self._archive else parse_xml(content)
        self._notes: list[str] = []
        self._comments: list[str] = []

    def text(self, _: ReaderLimits) -> ReadText:
        """Return a text document: its body, notes, comments, headers and footers."""
        parts = list(self._blocks(self._body("text")))
        around = list(dict.fromkeys(self._around()))
        parts += [*self._notes, *self._comments]
        parts += ["Headers and footers:", *around] if around else []
        return ReadText("\n\n".join(each for each in parts if each.strip()))

    def book(self, limits: ReaderLimits) -> ReadText:
        """Return a spreadsheet, with each sheet as a table."""
        tables = self._body("spreadsheet").findall(_TABLE)
        share = max(limits.characters // max(len(tables), 1), 1)
        hidden = self._hidden_styles()
        return sheets.answer([self._sheet(each, share, hidden) for each in tables])

    def pages(self, _: ReaderLimits) -> ReadText:
        """Return a presentation or drawing, with each slide followed by its notes."""
        found = self._root.find(f".//{_name('office', 'presentation')}")
        what = "Slide" if found is not None else "Page"
        pages = (self._page(page, f"## {what} {number}") for number, page in enumerate(self._root.iter(_PAGE), 1))
        return ReadText("\n\n".join([*pages, *self._comments]))

    def pictures(self) -> Iterator[tuple[str, bytes]]:
        """Iterate over the pictures in the order of the document."""
        for number, image in enumerate(self._root.iter(_IMAGE), 1):
            name = str(image.get(_HREF) or "")
            held = image.find(_name("office", "binary-data"))
            if held is not None:
                with suppress(binascii.Error, ValueError):
                    yield f"picture {number}", base64.b64decode(held.text or "")
            elif self._archive is not None and name in self._archive.namelist():
                yield name, self._bytes(name)

    def _body(self, kind: str) -> Any:
        found = self._root.find(f"{_name('office', 'body')}/{_name('office', kind)}")
        return found if found is not None else ET.Element(kind)

    def _part(self, name: str) -> Any:
        return parse_xml(self._bytes(name))

    def _bytes(self, name: str) -> bytes:
        assert self._archive is not None  # noqa: S101 - for the type checker
        with self._archive.open(name) as member:
            return member.read(UNPACKED_BYTES)

    def _around(self) -> Iterator[str]:
        if self._archive is not None and "styles.xml" not in self._archive.namelist():
            return
        styles = self._part("styles.xml") if self._archive is not None else self._root
        for place in ("header", "footer"):
            for kind in ("", "-first", "-left"):
                for each in styles.iter(_name("style", f"{place}{kind}")):
                    yield from (block for block in self._blocks(each) if block.strip())

    def _blocks(self, element: Any, depth: int = -1) -> Iterator[str]:
        """Iterate over paragraphs, lists, tables, boxes and charts as Markdown; ``depth`` is that of the outer list."""
        for child in element:
            tag = child.tag
            if tag in _UNSEEN or child.get(_CLASS) in _NUMBERED:
                continue
            if tag in {_P, _H}:
                yield from self._paragraph(child, depth)
            elif tag == _LIST:
                yield "\n".join(each for each in self._blocks(child, depth + 1) if each.strip())
            elif tag == _TABLE:
                yield as_table(self._rows(child))
            elif tag == _ANNOTATION:
                self._comment(child)
            elif tag == _OBJECT:
                yield from self._object(str(child.get(_HREF) or ""), child)
            else:
                yield from self._described(child)
                yield from self._blocks(child, depth)

    def _paragraph(self, paragraph: Any, depth: int) -> Iterator[str]:
        behind: list[Any] = []
        words = "".join(self._inline(paragraph, behind)).strip()
        words = words.replace("  ", " ") if behind else words  # the blanks around a box that has moved behind it
        mark = f"{'  ' * depth}- " if depth >= 0 else ""
        level = str(paragraph.get(_name("text", "outline-level")) or "1")
        if paragraph.tag == _H and level.isdigit():
            mark = "#" * min(int(level), DEEPEST_HEADING) + " "
        if words:
            yield f"{mark}{words}"
        for each in behind:
            yield from (block for block in self._blocks([each]) if block.strip())

    def _inline(self, element: Any, behind: list[Any]) -> Iterator[str]:
        """Iterate over the words of a paragraph; boxes, which have their own paragraphs, are appended to ``behind``."""
        yield element.text or ""
        for child in element:
            if child.tag in _SHAPES:
                behind.append(child)
            elif child.tag not in _UNSEEN:
                yield from self._leaf(child, behind)
            yield child.tail or ""

    def _leaf(self, element: Any, behind: list[Any]) -> Iterator[str]:
        if element.tag == _NOTE:
            yield self._note(element)
        elif element.tag == _ANNOTATION:
            yield self._comment(element)
        elif element.tag == _A:
            words, target = "".join(self._inline(element, behind)), str(element.get(_HREF) or "")
            yield f"[{words}]({target})" if words.strip() and target not in {"", words} else words
        else:
            local = element.tag.rpartition("}")[2]
            count = str(element.get(_name("text", "c")) or "1")
            yield {"s": " " * min(int(count) if count.isdigit() else 1, 100), "tab": "\t", "line-break": "\n"}.get(
                local, ""
            )
            yield from self._inline(element, behind)

    def _note(self, note: Any) -> str:
        number = len(self._notes) + 1
        self._notes.append("")  # reserves the number, since a note may contain another one
        body = note.find(_name("text", "note-body"))
        self._notes[number - 1] = f"[^{number}]: {' '.join(self._blocks(body))}" if body is not None else ""
        return f"[^{number}]"

    def _comment(self, annotation: Any) -> str:
        words = " ".join(" ".join(self._inline(each, [])) for each in annotation.iter(_P)).strip()
        if not words:
            return ""
        author = annotation.find(_CREATOR)
        number = len(self._comments) + 1
        name = (author.text if author is not None else None) or "someone"
        self._comments.append(f"[comment {number}] {name}: {words}")
        return f" [comment {number}]"

    def _described(self, shape: Any) -> Iterator[str]:
        said = (shape.find(each) for each in _DESCRIPTIONS) if shape.tag == _FRAME else ()
        words = next((one_line(each.text, LONGEST_DESCRIPTION) for each in said if each is not None and each.text), "")
        if words:
            yield f"[picture: {words}]"

    def _object(self, name: str, element: Any) -> Iterator[str]:
        """Return a chart, which is a document of its own with its numbers in a table."""
        path = f"{name.removeprefix('./')}/content.xml"
        packed = self._archive is not None and path in self._archive.namelist()
        chart: Any = (self._part(path) if packed else element).find(f".//{_name('chart', 'chart')}")
        if chart is None:
            return
        title = chart.find(_name("chart", "title"))
        words = "".join(title.itertext()).strip() if title is not None else ""
        tables = [as_table(self._rows(each)) for each in chart.iter(_TABLE)]
        yield "\n\n".join([f"Chart: {words}" if words else "Chart:", *tables])

    def _rows(self, table: Any) -> list[list[str]]:
        rows: list[list[str]] = []
        for row in _outermost(table, _ROW):
            cells: list[str] = []
            for cell in _outermost(row, _CELL, _COVERED):
                cells += [self._cell(cell)] * _times(cell, _REPEATED_COLUMNS, 50)
            rows.append(cells)
        return rows

    def _cell(self, cell: Any) -> str:
        """Return the displayed text of a cell; a table within it becomes a list."""
        said: list[str] = []
        for child in cell:
            if child.tag == _TABLE:
                said.append("; ".join(", ".join(each for each in row if each) for row in self._rows(child)))
            else:
                said += self._blocks([child])
        return " ".join(each for each in said if each.strip())

    def _page(self, page: Any, heading: str) -> str:
        notes = page.find(_name("presentation", "notes"))
        said = list(self._blocks(notes)) if notes is not None else []
        if notes is not None:
            page.remove(notes)
        titles = [each for each in page if each.get(_CLASS) == "title"]
        title = " ".join("".join(each.itertext()) for each in titles).split()
        for each in titles:
            page.remove(each)
        parts = [f"{heading}: {' '.join(title)}" if title else heading, *self._blocks(page)]
        return "\n\n".join(each for each in [*parts, *(["Notes:", *said] if any(said) else [])] if each.strip())

    def _hidden_styles(self) -> set[str]:
        shown = _name("table", "display")
        return {
            str(style.get(_name("style", "name")))
            for style in self._root.iter(_name("style", "style"))
            if any(each.get(shown) == "false" for each in style.iter(_name("style", "table-properties")))
        }

    def _sheet(self, table: Any, characters: int, hidden: set[str]) -> Sheet:
        title = str(table.get(_name("table", "name")) or "")
        taken = Sheet(title, is_hidden=table.get(_name("table", "style-name")) in hidden)
        taken.take(self._rows_of_sheet(table, characters, taken.remarks), characters)
        taken.remarks += self._boxes(table)
        return taken

    def _boxes(self, table: Any) -> Iterator[str]:
        """Iterate over the words of shapes, and the titles of charts, whose numbers are in the cells."""
        for shape in (each for each in table.iter() if each.tag in _SHAPES):
            charts = list(shape.iter(_OBJECT))
            for each in charts:
                title = next(self._object(str(each.get(_HREF) or ""), each), "").partition("\n")[0]
                if title not in {"", "Chart:"}:
                    yield title
            words = " ".join("".join(each.itertext()) for each in shape.iter(_P)).strip()
            if words and not charts and not any(each.tag in _SHAPES for each in shape):
                yield f"Text box: {words}"

    def _rows_of_sheet(self, table: Any, characters: int, remarks: list[str]) -> Iterator[Row]:
        number = 1
        for row in _outermost(table, _ROW):
            column, cells, length = 0, dict[int, str](), 0
            for cell in _outermost(row, _CELL, _COVERED):
                times = _times(cell, _REPEATED_COLUMNS, MAX_COLUMNS)
                comment = cell.find(_ANNOTATION)
                if comment is not None:
                    words = " ".join("".join(each.itertext()) for each in comment.iter(_P))
                    remarks.append(f"Comment on {letters(column)}{number}: {words}")
                shown = _shown(cell) if cell.tag == _CELL else ""
                for place in range(column, column + times) if shown else ():
                    cells[place] = shown
                    length += len(shown)
                    if length > characters:
                        break
                column += times
            repeated = _times(row, _REPEATED_ROWS, 1_048_576)
            yield from ((number + each, cells) for each in (range(repeated) if cells else ()))
            number += repeated


def _outermost(element: Any, *tags: str) -> Iterator[Any]:
    """Iterate over the descendants with certain tags that are not inside a nested table."""
    for child in element:
        if child.tag in tags:
            yield child
        elif child.tag not in {_TABLE, _CELL}:
            yield from _outermost(child, *tags)


def _times(element: Any, attribute: str, most: int) -> int:
    said = str(element.get(attribute) or "1")
    return min(int(said), most) if said.isascii() and said.isdigit() else 1


def _shown(cell: Any) -> str:
    """Return the displayed text of a cell, which the document usually contains; else its value."""
    words = " ".join("".join(each.itertext()) for each in cell.findall(_P)).strip()
    if words:
        return words
    kept = (cell.get(_name("office", f"{each}value")) for each in ("", "date-", "time-", "boolean-", "string-"))
    return next((str(each) for each in kept if each), "")
