"""Display of cells according to their number formats (ECMA-376, part 1, 18.8.30)."""

import datetime as dt
import re
from collections.abc import Iterator
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from functools import cache
from typing import NamedTuple

_LITERAL = re.compile(r'"([^"]*)"|\[\$([^\]-]*)[^\]]*\]|\\(.)|([€$£¥])|(?<![*_])( )')
_UNKNOWN = re.compile(r"E[+-]|[#0?] ?/")  # exponents and fractions
_DIGITS = re.compile(r"[#0?][#0?,.]*")


def format_cell(value: object, form: str) -> str:
    """Return the displayed text of a cell.

    Args:
        value: The value of the cell.
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
            return _duration(value)
        case int() | float():
            return _number(value, form)
        case _:
            return str(value)


def _duration(value: dt.timedelta) -> str:
    """Format a duration; the hours may exceed a day's, as in sums."""
    seconds = round(value.total_seconds())
    minutes, rest = divmod(abs(seconds), 60)
    shown = f"{minutes // 60}:{minutes % 60:02}" + (f":{rest:02}" if rest else "")
    return f"-{shown}" if seconds < 0 else shown


def _moment(value: dt.datetime, form: str) -> str:
    shows_time = "h" in form.lower() or (value.hour, value.minute, value.second) != (0, 0, 0)
    return value.isoformat(" ", "seconds" if value.second else "minutes") if shows_time else value.date().isoformat()


def _number(value: float, form: str) -> str:
    shape = _shape_of(_section(value, form))
    if shape is None:
        return _plain(value)
    try:  # in decimal arithmetic, which rounds half up as Excel does
        shown = Decimal(str(value)).scaleb(shape.power).quantize(Decimal(1).scaleb(-shape.places), ROUND_HALF_UP)
    except InvalidOperation:  # a number with hundreds of digits
        return _plain(value)
    text = f"{shown:,f}" if shape.is_grouped else f"{shown:f}"
    return f"{shape.before}{text}{'%' if shape.is_percent else ''}{shape.after}".strip()


class _Shape(NamedTuple):
    """The layout of numbers in a format: decimal places, power of ten, grouping, percent sign, surrounding text."""

    places: int
    power: int
    is_grouped: bool
    is_percent: bool
    before: str
    after: str


@cache
def _shape_of(section: str) -> _Shape | None:
    """Parse a section of a format; None if it has no layout, or an unsupported one such as exponents or fractions."""
    bare = _LITERAL.sub("", section)
    digits = _DIGITS.search(bare)
    if section in {"", "General", "@"} or digits is None or _UNKNOWN.search(bare):
        return None
    thousands = len(digits.group()) - len(digits.group().rstrip(","))  # each trailing comma divides by a thousand
    whole, _, rest = digits.group().rstrip(",").partition(".")
    is_percent = "%" in bare
    before, _, after = section.partition(digits.group())
    power, around = 2 * is_percent - 3 * thousands, ("".join(_spoken(before)), "".join(_spoken(after)))
    return _Shape(len(rest.replace(",", "")), power, "," in whole, is_percent, *around)


def _section(value: float, form: str) -> str:
    """Return the section of a format for a value: formats may have separate sections for negative numbers and zero."""
    positive, _, others = form.partition(";")
    for_zero = others.partition(";")[2].partition(";")[0]
    return for_zero if value == 0 and "0" in for_zero else positive  # for negative values we write the sign ourselves


def _spoken(part: str) -> Iterator[str]:
    for quoted, currency, escaped, symbol, blank in _LITERAL.findall(part):
        yield quoted or currency or escaped or symbol or blank


def _plain(value: float) -> str:
    return str(value) if isinstance(value, int) else format(value, ".15g")
