"""Rendering of templates, and formatting of times, durations and sizes. Values are escaped in templates."""

import hashlib
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from importlib import resources
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from markupsafe import Markup

from worker.dashboard.results import tree
from worker.inputs.names import size_words

MINUTE, HOUR, DAY = 60, 3600, 86_400
SHORT_ID = 8
NOTHING = "\N{EN DASH}"


def render(template: str, values: Mapping[str, Any]) -> str:
    """Render a template."""
    return _environment().get_template(template).render(values)


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("worker.dashboard"),
        autoescape=select_autoescape(default=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        ago=ago, moment=moment, seconds=seconds, size=size_words, pretty=pretty, count=count, short=short
    )
    functions: dict[str, Any] = {"static": static, "tree": tree}
    environment.globals.update(functions)
    return environment


@cache
def static(name: str) -> str:
    """Return the URL of a static file, with a hash of its content so that browsers can cache it permanently."""
    content = (resources.files("worker.dashboard") / "static" / name).read_bytes()
    return f"/ui/static/{name}?{hashlib.sha256(content).hexdigest()[:12]}"


def ago(then: datetime | None) -> Markup:
    """Return the time since a moment, as an element that a script keeps up to date."""
    if then is None:
        return Markup("{}").format(NOTHING)
    said = f"{seconds((datetime.now(UTC) - then).total_seconds(), coarse=True)} ago"
    return Markup('<time datetime="{}" title="{}" data-ago>{}</time>').format(then.isoformat(), moment(then), said)


def moment(then: datetime | None) -> str:
    """Return a point in time, to the second."""
    return then.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC") if then is not None else NOTHING


def seconds(amount: float | None, *, coarse: bool = False) -> str:
    """Format a duration: ``340 ms``, ``2.4 s``, ``3 min``, ``5 h``, ``2 d``."""
    if amount is None:
        return NOTHING
    amount = max(0.0, amount)
    if coarse and amount < MINUTE:
        return f"{amount:.0f} s"
    if amount < 1:
        return f"{amount * 1000:.0f} ms"
    if amount < MINUTE:
        return f"{amount:.1f} s"
    for unit, length in (("d", DAY), ("h", HOUR), ("min", MINUTE)):
        if amount >= length:
            rest = "" if coarse or unit == "d" else _rest(amount % length, unit)
            return f"{int(amount // length)} {unit}{rest}"
    raise AssertionError("a minute or longer was dealt with")


def _rest(amount: float, unit: str) -> str:
    return f" {int(amount // MINUTE)} min" if unit == "h" else f" {int(amount)} s"


def pretty(value: Any) -> str:
    """Return a value as indented JSON."""
    return json.dumps(value, indent=2, ensure_ascii=False, default=str)


def count(number: int, most: int = 10_000) -> str:
    """Format a number; a number that has reached the counting limit gets a plus sign."""
    return f"{most:,}+" if number >= most else f"{number:,}"


def short(text: str) -> str:
    """Return the end of an identifier, in which ids differ; a short identifier is returned whole."""
    return text if len(text) <= SHORT_ID * 2 else "…" + text[-SHORT_ID:]
