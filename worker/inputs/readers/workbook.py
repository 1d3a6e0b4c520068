"""Excel workbooks since 2007: cells as displayed, formulas without a result, comments, boxes, pictures."""

import io
import re
import zipfile
from collections.abc import Iterator
from typing import Any

from worker.bounded import Refused
from worker.inputs.readers import charts, office, sheets, within
from worker.inputs.readers.answer import ReaderLimits, ReadText
from worker.inputs.readers.cells import format_cell
from worker.inputs.readers.containers import BROKEN
from worker.inputs.readers.markup import DRAWING, RELATIONSHIPS, parse_xml
from worker.inputs.readers.sheets import Row, Sheet

_PIECE = 1024 * 1024  # bytes of a sheet searched at a time
_OVERLAP = 256  # bytes of the previous chunk searched again
_WITHOUT_RESULT = re.compile(
    rb"(?:</(?:\w+:)?f>|<(?:\w+:)?f(?: [^<>]*)?/>)\s*(?:<(?:\w+:)?v\s*/>|<(?:\w+:)?v></|</(?:\w+:)?c>)"
)
_MAIN = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
_SHAPE = "{http://schemas.openxmlformats.org/drawingml/2006/spreadsheetDrawing}sp"
_THREADED = re.compile(r"\[Threaded comment\].*?(?:Comment|Kommentar|Commentaire):\s*", re.DOTALL)


def read(content: bytes, limits: ReaderLimits) -> ReadText:
    """Read a workbook."""
    try:
        return _Workbook(content).read(limits)
    except (Refused, MemoryError):
        raise
    except Exception:  # noqa: BLE001 - a single odd style makes the library reject the whole workbook
        return _by_values(content, limits)


def _by_values(content: bytes, limits: ReaderLimits) -> ReadText:
    """Read a workbook with the general library, which is more tolerant but ignores the formats of numbers and dates."""
    try:
        answer = office.read(content, limits)
    except Refused:
        raise Refused(BROKEN) from None
    answer.notes.append("it is damaged in part, so its cells are shown without their formats")
    return answer


class _Workbook:
    """A workbook being read."""

    def __init__(self, content: bytes) -> None:
        self._content = content
        self._archive = zipfile.ZipFile(io.BytesIO(content))
        self._names = set(self._archive.namelist())
        self._book = self._opened(results=True)
        self._sheets = list(self._book.worksheets)
        self._is_uncounted = bool(self._book.calculation and self._book.calculation.fullCalcOnLoad)  # lacks results
        self._formulas = self._opened(results=False) if self._lacks_results() else None
        self._shows_formulas = False

    def read(self, limits: ReaderLimits) -> ReadText:
        share = max(limits.characters // max(len(self._sheets), 1), 1)
        answer = sheets.answer([self._sheet(each, share) for each in self._sheets])
        if self._shows_formulas:
            answer.notes.append("the program that wrote it left out the results of formulas, so the formulas are shown")
        within.take(answer, self._pictures(), limits.pictures, limits.most)
        return answer

    def _opened(self, *, results: bool) -> Any:
        import openpyxl

        return openpyxl.load_workbook(io.BytesIO(self._content), read_only=True, data_only=results, keep_links=False)

    def _lacks_results(self) -> bool:
        """Return whether formulas lack their results: some programs leave the calculation to Excel, or write 0."""
        for sheet in self._sheets:
            with self._archive.open(sheet._worksheet_path) as member:  # noqa: SLF001 - there is no public attribute
                before = b""
                while piece := member.read(_PIECE):
                    if _WITHOUT_RESULT.search(before + piece) or (self._is_uncounted and b"<f>" in before + piece):
                        return True
                    before = piece[-_OVERLAP:]
        return False

    def _sheet(self, sheet: Any, characters: int) -> Sheet:
        taken = Sheet(sheet.title, is_hidden=sheet.sheet_state != "visible", last_row=sheet.max_row)
        taken.take(self._rows(sheet), characters)
        taken.remarks = [*self._comments(sheet), *self._boxes(sheet)]
        return taken

    def _rows(self, sheet: Any) -> Iterator[Row]:
        sheet.reset_dimensions()  # otherwise every row is padded to the widest one
        if self._formulas is None:
            for number, row in enumerate(sheet.iter_rows(), 1):
                yield number, dict(_shown(row))
            return
        other = self._formulas[sheet.title]
        other.reset_dimensions()
        for number, (row, formulas) in enumerate(zip(sheet.iter_rows(), other.iter_rows(), strict=False), 1):
            yield number, dict(_shown(row)) | dict(self._uncounted(row, formulas))

    def _uncounted(self, row: Any, formulas: Any) -> Iterator[tuple[int, str]]:
        for column, (cell, each) in enumerate(zip(row, formulas, strict=False)):
            is_empty = cell.value is None and cell.data_type != "str"  # "str" means that the result is an empty text
            if each.data_type == "f" and (is_empty or (cell.value == 0 and self._is_uncounted)):
                self._shows_formulas = True
                yield column, str(getattr(each.value, "text", None) or each.value)

    def _comments(self, sheet: Any) -> Iterator[str]:
        for _, root in self._parts_of(_path(sheet), "comments"):
            for each in root.iter(f"{_MAIN}comment"):
                words = _THREADED.sub("", "".join(part.text or "" for part in each.iter(f"{_MAIN}t"))).strip()
                if words:
                    yield f"Comment on {each.get('ref')}: {words}"

    def _boxes(self, sheet: Any) -> Iterator[str]:
        """Iterate over the words of shapes, and the titles of charts, whose numbers are in the cells."""
        for path, root in self._parts_of(_path(sheet), "drawing"):
            for shape in root.iter(_SHAPE):
                words = " ".join(each.text or "" for each in shape.iter(f"{DRAWING}t")).strip()
                if words:
                    yield f"Text box: {words}"
            for _, chart in self._parts_of(path, "chart"):
                if title := charts.title_of(chart):
                    yield f"Chart: {title}"

    def _pictures(self) -> Iterator[tuple[str, bytes]]:
        for sheet in self._sheets:
            for path, root in self._parts_of(_path(sheet), "drawing"):
                named = self._related(path)
                for each in root.iter(f"{DRAWING}blip"):
                    target = named.get(each.get(f"{RELATIONSHIPS}embed") or "", ("", ""))[1]
                    if target in self._names:
                        yield f"{sheet.title} {target.rpartition('/')[2]}", self._archive.read(target)

    def _parts_of(self, path: str, kind: str) -> Iterator[tuple[str, Any]]:
        """Iterate over the related parts of a kind: path and root element of each."""
        for found, target in self._related(path).values():
            if found == kind and target in self._names:
                yield target, parse_xml(self._archive.read(target))

    def _related(self, path: str) -> dict[str, tuple[str, str]]:
        """Return the relationships of a part by id: the type and the path of the target."""
        from openpyxl.packaging.relationship import get_dependents, get_rels_path

        listed = get_rels_path(path).lstrip("/")
        if listed not in self._names:
            return {}
        found: Any = get_dependents(self._archive, listed)
        return {
            str(each.Id): (str(each.Type).rpartition("/")[2], str(each.Target).lstrip("/"))
            for each in found
            if each.TargetMode != "External"
        }


def _path(sheet: Any) -> str:
    return str(sheet._worksheet_path).lstrip("/")  # noqa: SLF001 - there is no public attribute


def _shown(row: Any) -> Iterator[tuple[int, str]]:
    for column, each in enumerate(row):
        if each.value is not None and (text := format_cell(each.value, str(each.number_format)).strip()):
            yield column, text
