"""Binary Excel workbooks, with cells as displayed ([MS-XLSB])."""

import posixpath
import struct
import zipfile
from collections.abc import Iterator
from typing import Any

from worker.inputs.readers import office, sheets
from worker.inputs.readers.answer import ReaderLimits, ReadText
from worker.inputs.readers.cells import format_cell
from worker.inputs.readers.containers import UNPACKED_BYTES, opened
from worker.inputs.readers.markup import parse_xml
from worker.inputs.readers.sheets import Row, Sheet

_BOOK = "xl/workbook.bin"
_ROW, _RK, _ERROR, _BOOL, _REAL, _STRING, _SHARED = 0, 2, 3, 4, 5, 6, 7  # 2.3.1: the types of records
_FORMULA_STRING, _FORMULA_NUMBER, _FORMULA_BOOL, _FORMULA_ERROR, _RICH = 8, 9, 10, 11, 62
_ITEM, _FORM, _STYLE, _PROPERTIES, _SHEET, _STYLES, _STYLES_END = 19, 44, 47, 153, 156, 617, 618
_NONE = 0xFFFFFFFF
_LEAST = 8  # bytes of a cell before its value; some programs write cells without a value
_ERRORS = {0: "#NULL!", 7: "#DIV/0!", 15: "#VALUE!", 23: "#REF!", 29: "#NAME?", 36: "#NUM!", 42: "#N/A"}  # 2.5.97.2


@office.reads_the_rest  # which ignores number formats
def read(content: bytes, limits: ReaderLimits) -> ReadText:
    """Read a workbook."""
    return _Book(opened(content)).read(limits.characters)


class _Book:
    """A workbook being read."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._archive = archive
        self._shared = [_text(data, 1) for kind, data in self._records("xl/sharedStrings.bin") if kind == _ITEM]
        self._forms = list(self._read_forms())
        self._is_of_1904 = False

    def read(self, characters: int) -> ReadText:
        paths = self._related()
        found: list[tuple[Sheet, str]] = []
        for kind, data in self._records(_BOOK):
            if kind == _PROPERTIES:
                self._is_of_1904 = bool(data[0] & 1)
            if kind == _SHEET:
                state = struct.unpack_from("<I", data)[0]
                at = 8 if _text(data, 8) in paths else 12  # the first versions store an additional number
                key = _text(data, at)
                sheet = Sheet(_text(data, at + 4 + 2 * len(key)), is_hidden=state != 0)
                found.append((sheet, paths.get(key, "")))
        share = max(characters // max(len(found), 1), 1)
        for sheet, path in found:
            sheet.take(self._rows(path), share)
        return sheets.answer([sheet for sheet, _ in found])

    def _related(self) -> dict[str, str]:
        with self._archive.open("xl/_rels/workbook.bin.rels") as member:
            root = parse_xml(member.read(UNPACKED_BYTES))
        return {str(each.get("Id")): posixpath.join("xl", str(each.get("Target"))).lstrip("/") for each in root}

    def _records(self, name: str) -> Iterator[tuple[int, bytes]]:
        """Iterate over the records of a part (2.1.4): type and data of each; none if the part is missing."""
        if name not in self._archive.namelist():
            return
        with self._archive.open(name) as member:
            content = member.read(UNPACKED_BYTES)
        at = 0
        while at < len(content):
            kind, at = _number(content, at, 2)
            size, at = _number(content, at, 4)
            yield kind, content[at : at + size]
            at += size

    def _read_forms(self) -> Iterator[str]:
        """Iterate over the number formats of cell styles."""
        from openpyxl.styles.numbers import BUILTIN_FORMATS

        forms: dict[int, str] = dict(BUILTIN_FORMATS)
        is_of_cells = False
        for kind, data in self._records("xl/styles.bin"):
            if kind == _FORM:
                forms[struct.unpack_from("<H", data)[0]] = _text(data, 2)
            elif kind in {_STYLES, _STYLES_END}:
                is_of_cells = kind == _STYLES
            elif kind == _STYLE and is_of_cells:
                yield forms.get(struct.unpack_from("<H", data, 2)[0], "General")

    def _rows(self, path: str) -> Iterator[Row]:
        number, cells = 0, dict[int, str]()
        for kind, data in self._records(path):
            if len(data) <= _LEAST:
                continue
            if kind == _ROW:
                if cells:
                    yield number, cells
                number, cells = struct.unpack_from("<I", data)[0] + 1, {}
            elif _RK <= kind <= _FORMULA_ERROR or kind == _RICH:
                column, style = struct.unpack_from("<II", data)
                if shown := self._shown(kind, data, style & 0xFFFFFF).strip():
                    cells[column] = shown
        if cells:
            yield number, cells

    def _shown(self, kind: int, data: bytes, style: int) -> str:
        match kind:
            case k if k in {_STRING, _FORMULA_STRING}:
                return _text(data, 8)
            case k if k == _RICH:
                return _text(data, 9)
            case k if k == _SHARED:
                place = struct.unpack_from("<I", data, 8)[0]
                return self._shared[place] if place < len(self._shared) else ""
            case k if k in {_BOOL, _FORMULA_BOOL}:
                return "TRUE" if data[8] else "FALSE"
            case k if k in {_ERROR, _FORMULA_ERROR}:
                return _ERRORS.get(data[8], "#ERROR")
            case _:
                value = (
                    _rk(struct.unpack_from("<I", data, 8)[0]) if kind == _RK else struct.unpack_from("<d", data, 8)[0]
                )
                return self._number_shown(value, self._forms[style] if style < len(self._forms) else "General")

    def _number_shown(self, value: float, form: str) -> str:
        from openpyxl.styles.numbers import is_date_format, is_timedelta_format
        from openpyxl.utils.datetime import MAC_EPOCH, WINDOWS_EPOCH, from_excel

        if not is_date_format(form):
            return format_cell(value, form)
        epoch = MAC_EPOCH if self._is_of_1904 else WINDOWS_EPOCH
        try:
            moment: Any = from_excel(value, epoch, timedelta=is_timedelta_format(form))
        except (ValueError, OverflowError):
            return format_cell(value, "General")
        return format_cell(moment, form)


def _number(content: bytes, at: int, most: int) -> tuple[int, int]:
    """Decode a variable-length number with seven bits per byte; return it and the next position."""
    value = 0
    for place in range(most):
        byte = content[at + place]
        value |= (byte & 0x7F) << 7 * place
        if not byte & 0x80:
            return value, at + place + 1
    return value, at + most


def _text(data: bytes, at: int) -> str:
    """Decode a string with a length prefix; empty if it is null (2.5.168)."""
    length = struct.unpack_from("<I", data, at)[0]
    return data[at + 4 : at + 4 + 2 * length].decode("utf-16-le", "replace") if length != _NONE else ""


def _rk(packed: int) -> float:
    """Decode a number of 30 bits (2.5.122): an integer or the high bits of a float, possibly multiplied by 100."""
    if packed & 2:
        value: float = struct.unpack("<i", struct.pack("<I", packed))[0] >> 2
    else:
        value = struct.unpack("<d", struct.pack("<Q", (packed & ~3) << 32))[0]
    return value / 100 if packed & 1 else value
