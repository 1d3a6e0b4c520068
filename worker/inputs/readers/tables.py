"""Markdown tables."""

from collections.abc import Sequence

WIDE = 20  # columns; rows of wider tables end with their last non-empty cell, as Markdown allows, to save characters


def as_table(rows: Sequence[Sequence[str]]) -> str:
    """Write rows as a table with the first row as its header. Trailing empty columns and empty rows are omitted."""
    filled = [[_cell(each) for each in row] for row in rows]
    filled = [row for row in filled if any(row)]
    if not filled:
        return ""
    width = max(last_filled(row) for row in filled) + 1
    lines = [_line(row, width if width <= WIDE else last_filled(row) + 1) for row in filled[1:]]
    return "\n".join([_line(filled[0], width), "|" + " --- |" * width, *lines])


def last_filled(row: Sequence[str]) -> int:
    """Return the index of the last non-empty cell; -1 if all are empty."""
    return max((place for place, each in enumerate(row) if each), default=-1)


def _line(row: Sequence[str], width: int) -> str:
    return "| " + " | ".join([*row[:width], *[""] * (width - len(row))]) + " |"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
