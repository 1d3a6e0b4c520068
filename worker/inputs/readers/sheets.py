"""Sheets of a workbook of any format, written as tables without the empty space between cells."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from worker.inputs.names import one_line
from worker.inputs.readers.answer import ReadText
from worker.inputs.readers.tables import as_table

GAP = 5  # the column distance within a table; a larger one separates tables
MAX_REMARKS = 200  # comments and boxes of a sheet that are shown; of further ones only the number is given
LONGEST_REMARK = 2_000  # characters
MIN_TABLE = 20  # cells after a gap; with more, they form a table of their own
MAX_COLUMNS = 16_384  # of a spreadsheet; a cell may claim to be repeated, or to span, more
MAX_BESIDE = 100  # cells outside tables that are shown; of further ones only the number is given

Row = tuple[int, dict[int, str]]
"""The number of a row, from 1, and the text of its non-empty cells as displayed by column, from 0."""


@dataclass
class Sheet:
    """A sheet of a workbook.

    Args:
        title: Its name.
        is_hidden: Whether the workbook hides it.
        rows: Its non-empty rows, in order.
        is_cut: Whether there are more rows than were wanted.
        last_row: The number of its last row, if the workbook says so.
        remarks: Content outside its cells, such as comments and text boxes, one line each.
    """

    title: str
    is_hidden: bool = False
    rows: list[Row] = field(default_factory=list[Row])
    is_cut: bool = False
    last_row: int | None = None
    remarks: list[str] = field(default_factory=list[str])

    def take(self, rows: Iterable[Row], characters: int) -> None:
        """Add rows until they have the given number of characters."""
        length = 0
        for number, cells in rows:
            if not cells:
                continue
            if length > characters:
                self.is_cut = True
                return
            self.rows.append((number, cells))
            length += sum(map(len, cells.values())) + 3 * len(cells)


def answer(sheets: list[Sheet]) -> ReadText:
    """Return a workbook as Markdown: the names of its sheets, and a table for each non-empty sheet."""
    names = ", ".join(f"{each.title}{' (hidden)' if each.is_hidden else ''}" for each in sheets)
    tables = [written for each in sheets if (written := _written(each))]
    if not tables:
        return ReadText("")
    parts = [f"Sheets: {names}"] if len(sheets) > 1 else []
    return ReadText("\n\n".join([*parts, *tables]), is_cut=any(each.is_cut for each in sheets))


def _written(sheet: Sheet) -> str:
    remarks = [one_line(each, LONGEST_REMARK) for each in sheet.remarks[:MAX_REMARKS]]
    if len(sheet.remarks) > MAX_REMARKS:
        remarks.append(f"[and {len(sheet.remarks) - MAX_REMARKS:,} more comments and boxes]")
    if not sheet.rows:
        return "\n\n".join([f"## {sheet.title}", *remarks]) if remarks else ""
    tables, beside = _parted(sheet)
    of_how_many = f" of about {sheet.last_row:,}" if sheet.last_row else ""
    lines = [
        f"## {sheet.title}",
        f"[the first {len(sheet.rows):,} rows{of_how_many}]" if sheet.is_cut else "",
        f"Beside the table: {'; '.join(beside)}" if beside else "",
        *tables,
        *remarks,
    ]
    return "\n\n".join(each for each in lines if each)


def _parted(sheet: Sheet) -> tuple[list[str], list[str]]:
    """Return the tables, separated by wide gaps, and the cells of groups that are too small to be a table."""
    counts = Counter(column for _, cells in sheet.rows for column in cells)
    parts = list(_parts(sorted(counts)))
    sizes = [sum(counts[column] for column in part) for part in parts]
    main = sizes.index(max(sizes)) if max(sizes) > MIN_TABLE else 0
    chosen = [part for place, part in enumerate(parts) if place == main or sizes[place] > MIN_TABLE]
    tables = [as_table([[cells.get(column, "") for column in part] for _, cells in sheet.rows]) for part in chosen]
    if len(tables) > 1:
        spans = [f"Columns {letters(part.start)} to {letters(part.stop - 1)}:" for part in chosen]
        tables = [f"{span}\n\n{table}" for span, table in zip(spans, tables, strict=True)]
    beside = [
        f"{letters(column)}{number} = {text}"
        for number, cells in sheet.rows
        for column, text in cells.items()
        if not any(column in part for part in chosen)
    ]
    more = [f"and {len(beside) - MAX_BESIDE:,} more cells"] if len(beside) > MAX_BESIDE else []
    return tables, [*beside[:MAX_BESIDE], *more]


def _parts(used: list[int]) -> Iterator[range]:
    """Iterate over the ranges of columns between wide gaps."""
    start = last = used[0]
    for column in used:
        if column - last > GAP:
            yield range(start, last + 1)
            start = column
        last = column
    yield range(start, last + 1)


def letters(column: int) -> str:
    """Return the name of a column, counted from 0: ``A``, …, ``Z``, ``AA``."""
    name = ""
    column += 1
    while column:
        column, rest = divmod(column - 1, 26)
        name = chr(ord("A") + rest) + name
    return name
