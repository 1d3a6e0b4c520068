"""Cells as they are shown: by their number formats (ECMA-376, part 1, 18.8.30)."""

import datetime as dt
import re
from collections.abc import Iterator
from functools import cache
from typing import NamedTuple

_LITERAL = re.compile(r'"([^"]*)"|\[\$([^\]-]*)[^\]]*\]|\\(.)|([€$£¥])')
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
