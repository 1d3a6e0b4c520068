"""Excel workbooks from before 2007, with cells as displayed, and comments."""

import datetime as dt
import io
from collections.abc import Iterator
from typing import Any

from worker.bounded import Refused
from worker.inputs.readers import office, sheets
from worker.inputs.readers.answer import PASSWORD, ReaderLimits, ReadText
from worker.inputs.readers.cells import format_cell
from worker.inputs.readers.sheets import Row, Sheet, letters


class _Nowhere(io.TextIOBase):
    """A sink for the library's log, which quotes the document and has no size limit."""

    def write(self, text: str, /) -> int:
        return len(text)


@office.reads_the_rest  # and more files than this reader, but ignores number formats
def read(content: bytes, limits: ReaderLimits) -> ReadText:
    """Read a workbook."""
    import xlrd

    try:
        book: Any = xlrd.open_workbook(
            file_contents=content, logfile=_Nowhere(), formatting_info=True, ragged_rows=True, on_demand=True
        )
    except xlrd.biffh.XLRDError as error:
        if "encrypted" in str(error):
            raise Refused(PASSWORD) from None
        raise
    share = max(limits.characters // max(book.nsheets, 1), 1)
    return sheets.answer([_sheet(book, number, share) for number in range(book.nsheets)])


def _sheet(book: Any, number: int, characters: int) -> Sheet:
    sheet: Any = book.sheet_by_index(number)
    taken = Sheet(sheet.name, is_hidden=sheet.visibility != 0, last_row=sheet.nrows)
    taken.take(_rows(book, sheet), characters)
    for (row, column), note in sorted(sheet.cell_note_map.items()):
        taken.remarks.append(f"Comment on {letters(column)}{row + 1}: {note.text}")
    book.unload_sheet(number)
    return taken


def _rows(book: Any, sheet: Any) -> Iterator[Row]:
    for number in range(sheet.nrows):
        cells = ((column, _shown(book, each)) for column, each in enumerate(sheet.row(number)))
        yield number + 1, {column: text for column, text in cells if text}


def _shown(book: Any, cell: Any) -> str:
    """Return the displayed text of a cell ([MS-XLS] 2.4.122, 2.4.353)."""
    import xlrd

    match cell.ctype:
        case xlrd.XL_CELL_TEXT:
            return str(cell.value).strip()
        case xlrd.XL_CELL_BOOLEAN:
            return "TRUE" if cell.value else "FALSE"
        case xlrd.XL_CELL_ERROR:
            return str(xlrd.error_text_from_code.get(cell.value, "#ERROR"))
        case xlrd.XL_CELL_NUMBER | xlrd.XL_CELL_DATE:
            form = _form(book, cell)
            moment = _moment(book, cell.value, form) if cell.ctype == xlrd.XL_CELL_DATE else None
            return format_cell(cell.value if moment is None else moment, form)
        case _:
            return ""


def _form(book: Any, cell: Any) -> str:
    try:
        return str(book.format_map[book.xf_list[cell.xf_index].format_key].format_str)
    except (KeyError, IndexError, TypeError):
        return "General"


def _moment(book: Any, value: float, form: str) -> dt.datetime | dt.time | dt.timedelta | None:
    import xlrd

    if "[h" in form.lower():
        return dt.timedelta(days=value)
    try:
        found = xlrd.xldate.xldate_as_datetime(value, book.datemode)
    except (ValueError, OverflowError, xlrd.xldate.XLDateError):
        return None
    return found.time().replace(microsecond=0) if 0 <= value < 1 else found
