"""Cells as they are shown: by their number formats (ECMA-376, part 1, 18.8.30)."""

import datetime as dt
import re
from collections.abc import Iterator
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from functools import cache
from typing import NamedTuple

_LITERAL = re.compile(r'"([^"]*)"|\[\$([^\]-]*)[^\]]*\]|\\(.)|([€$£¥])|(?<![*_])( )')
_UNKNOWN = re.compile(r"E[+-]|[#0?] ?/")  # exponents and fractions
_DIGITS = re.compile(r"[#0?][#0?,.]*")


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
            return _duration(value)
        case int() | float():
            return _number(value, form)
        case _:
            return str(value)


def _duration(value: dt.timedelta) -> str:
    """Hours may be more than a day's, as where they are summed up."""
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
    try:  # in decimals, since half of the last place is rounded up there
        shown = Decimal(str(value)).scaleb(shape.power).quantize(Decimal(1).scaleb(-shape.places), ROUND_HALF_UP)
    except InvalidOperation:  # of hundreds of digits
        return _plain(value)
    text = f"{shown:,f}" if shape.is_grouped else f"{shown:f}"
    return f"{shape.before}{text}{'%' if shape.is_percent else ''}{shape.after}".strip()


class _Shape(NamedTuple):
    """How a format writes numbers: decimal places, times a power of ten, thousands apart, and what stands around."""

    places: int
    power: int
    is_grouped: bool
    is_percent: bool
    before: str
    after: str


@cache
def _shape_of(section: str) -> _Shape | None:
    """None for a format that says nothing of it, or more than is known here, such as an exponent or a fraction."""
    bare = _LITERAL.sub("", section)
    digits = _DIGITS.search(bare)
    if section in {"", "General", "@"} or digits is None or _UNKNOWN.search(bare):
        return None
    thousands = len(digits.group()) - len(digits.group().rstrip(","))  # commas at the end stand for three digits each
    whole, _, rest = digits.group().rstrip(",").partition(".")
    is_percent = "%" in bare
    before, _, after = section.partition(digits.group())
    power, around = 2 * is_percent - 3 * thousands, ("".join(_spoken(before)), "".join(_spoken(after)))
    return _Shape(len(rest.replace(",", "")), power, "," in whole, is_percent, *around)


def _section(value: float, form: str) -> str:
    """The part of a format that counts for a value: some have one for negative numbers, and one for zero."""
    positive, _, others = form.partition(";")
    for_zero = others.partition(";")[2].partition(";")[0]
    return for_zero if value == 0 and "0" in for_zero else positive  # the sign is written by us


def _spoken(part: str) -> Iterator[str]:
    for quoted, currency, escaped, symbol, blank in _LITERAL.findall(part):
        yield quoted or currency or escaped or symbol or blank


def _plain(value: float) -> str:
    return str(value) if isinstance(value, int) else format(value, ".15g")
