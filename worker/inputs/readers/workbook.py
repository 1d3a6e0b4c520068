"""Excel workbooks: each sheet as a table of its cells as they are shown, without the emptiness between them."""

import datetime as dt
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from typing import Any, NamedTuple

from worker.bounded import Refused
from worker.inputs.readers.answer import Answer, Limits
from worker.inputs.readers.containers import BROKEN
from worker.inputs.readers.tables import as_table

GAP = 5  # empty columns or more: what comes behind them is beside the table, not a part of it
_LITERAL = re.compile(r'"([^"]*)"|\[\$([^\]-]*)[^\]]*\]|\\(.)|([€$£¥])')
_DIGITS = re.compile(r"[#0?][#0?,.]*")


@dataclass
class _Sheet:
    """A sheet while it is read.

    Arguments:
        rows: number and cells of each row that holds anything; a cell's place is its column, from 0.
        is_cut: whether there are more rows than were wanted.
    """

    rows: list[tuple[int, dict[int, str]]] = field(default_factory=list[tuple[int, dict[int, str]]])
    is_cut: bool = False


def read(content: bytes, limits: Limits) -> Answer:
    """Read a workbook. Raises: Refused."""
    import openpyxl

    try:
        book: Any = openpyxl.load_workbook(io.BytesIO(content), read_only=True, data_only=True, keep_links=False)
        sheets = list(book.worksheets)
        names = ", ".join(f"{each.title}{'' if each.sheet_state == 'visible' else ' (hidden)'}" for each in sheets)
        answer = Answer(f"Sheets: {names}" if len(sheets) > 1 else "")
        room = limits.characters
        share = max(room // max(len(sheets), 1), 1)
        parts = [answer.text]
        for sheet in sheets:
            last_row = sheet.max_row
            sheet.reset_dimensions()  # else every row is filled up to the last column of any
            taken = _taken(sheet, share)
            answer.is_cut |= taken.is_cut
            parts.append(_written(sheet.title, taken, last_row))
    except Refused:
        raise
    except Exception:  # noqa: BLE001 - a broken workbook makes the library raise almost anything
        raise Refused(BROKEN) from None
    answer.text = "\n\n".join(each for each in parts if each)
    return answer if any(parts[1:]) else Answer("")


def displayed(value: object, form: str) -> str:
    """A cell as it is shown.

    Args:
        value: What it holds.
        form: Its number format (ECMA-376, part 1, 18.8.30).
    """
    match value:
        case None:
            return ""
        case bool():
            return "TRUE" if value else "FALSE"
        case dt.datetime():
            return _moment(value, form)
        case dt.date() | dt.time():
            return value.isoformat()
        case dt.timedelta():
            return str(value)
        case int() | float():
            return _number(value, form)
        case _:
            return str(value)


def _taken(sheet: Any, characters: int) -> _Sheet:
    taken, length = _Sheet(), 0
    for number, row in enumerate(sheet.iter_rows(), 1):
        cells = {
            column: text
            for column, each in enumerate(row)
            if each.value is not None and (text := displayed(each.value, str(each.number_format)).strip())
        }
        if not cells:
            continue
        if length > characters:
            taken.is_cut = True
            break
        taken.rows.append((number, cells))
        length += sum(map(len, cells.values())) + 3 * len(cells)
    return taken


def _written(title: str, sheet: _Sheet, last_row: int | None) -> str:
    if not sheet.rows:
        return ""
    columns = _main_columns(sheet)
    main, beside = _parted(sheet, columns)
    of_how_many = f" of about {last_row:,}" if last_row else ""
    lines = [
        f"## {title}",
        f"[the first {len(sheet.rows):,} rows{of_how_many}]" if sheet.is_cut else "",
        "Beside the table: " + "; ".join(beside) if beside else "",
        as_table(main),
    ]
    return "\n\n".join(each for each in lines if each)


def _main_columns(sheet: _Sheet) -> range:
    """The columns of the table: from the first that holds anything to the first wide gap."""
    used = sorted({column for _, cells in sheet.rows for column in cells})
    last = used[0]
    for column in used:
        if column - last > GAP:
            break
        last = column
    return range(used[0], last + 1)


def _parted(sheet: _Sheet, columns: range) -> tuple[list[list[str]], list[str]]:
    """The rows of the table, and the cells that are not in it."""
    main = [[cells.get(column, "") for column in columns] for _, cells in sheet.rows]
    beside = [
        f"{_letters(column)}{number} = {text}"
        for number, cells in sheet.rows
        for column, text in cells.items()
        if column not in columns
    ]
    return main, beside[:100]


def _letters(column: int) -> str:
    letters = ""
    column += 1
    while column:
        column, rest = divmod(column - 1, 26)
        letters = chr(ord("A") + rest) + letters
    return letters


def _moment(value: dt.datetime, form: str) -> str:
    shows_time = "h" in form.lower() or (value.hour, value.minute, value.second) != (0, 0, 0)
    return value.isoformat(" ", "seconds" if value.second else "minutes") if shows_time else value.date().isoformat()


def _number(value: float, form: str) -> str:
    shape = _shape_of(_section(value, form))
    if shape is None:
        return _plain(value)
    shown = value * 100 if shape.is_percent else value
    text = f"{shown:,.{shape.places}f}" if shape.is_grouped else f"{shown:.{shape.places}f}"
    return f"{shape.before}{text}{'%' if shape.is_percent else ''}{shape.after}"


class _Shape(NamedTuple):
    """How a format writes numbers: decimal places, thousands apart, and what stands around them."""

    places: int
    is_grouped: bool
    is_percent: bool
    before: str
    after: str


@cache
def _shape_of(section: str) -> _Shape | None:
    """None for a format that says nothing of it, or more than is known here, such as an exponent."""
    digits = _DIGITS.search(_LITERAL.sub("", section))
    if section in {"", "General", "@"} or "E" in section or digits is None:
        return None
    whole, _, rest = digits.group().partition(".")
    before, _, after = section.partition(digits.group())
    return _Shape(
        len(rest.replace(",", "")), "," in whole, "%" in section, "".join(_spoken(before)), "".join(_spoken(after))
    )


def _section(value: float, form: str) -> str:
    """The part of a format that counts for a value: some have one for negative numbers, and one for zero."""
    positive, _, others = form.partition(";")
    for_zero = others.partition(";")[2].partition(";")[0]
    return for_zero if value == 0 and "0" in for_zero else positive  # the sign is written by us


def _spoken(part: str) -> Iterator[str]:
    for quoted, currency, escaped, symbol in _LITERAL.findall(part):
        yield quoted or currency or escaped or symbol


def _plain(value: float) -> str:
    return str(value) if isinstance(value, int) else format(value, ".15g")
