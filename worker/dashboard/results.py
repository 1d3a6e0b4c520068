"""Readable display of results: Markdown as safe HTML, JSON as a collapsible tree."""

import json
from typing import Any, cast

from markupsafe import Markup, escape

from worker import bounded
from worker.bounded import BoundedError, Bounds

LONGEST_MARKDOWN = 500_000  # characters; longer texts are shown as plain text
LONGEST_JSON = 1_000_000  # characters, parsed in about 20 ms; longer texts are shown as plain text
MARKDOWN_BOUNDS = Bounds(seconds=2)  # an ordinary document of 100 KB takes 0.1 s; nested brackets take forever
PATIENCE = 3.0  # seconds to wait for a free child process, after which the page shows plain text
NODES = 2_000  # most nodes of a JSON value shown as a tree; larger ones are shown as plain text
OPEN_LEVELS = 2
_STEPS = 24
_RENDERED = "worker.dashboard.markdown_process:rendered"


async def markdown(text: str) -> Markup | None:
    """Return Markdown as sanitized HTML, or None if it is too long or takes too long."""
    if len(text) > LONGEST_MARKDOWN:
        return None
    try:
        html = await bounded.checks.run(_RENDERED, text, bounds=MARKDOWN_BOUNDS, patience=PATIENCE)
    except BoundedError:
        return None
    return Markup(html)  # noqa: S704 - cleaned by nh3


def json_tree(text: str) -> Markup | None:
    """Return JSON as a collapsible tree, or None if it is invalid or too large."""
    if len(text) > LONGEST_JSON:
        return None
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return tree(value)


def tree(value: Any) -> Markup | None:
    """Return a value as a collapsible tree, or None if it is too large or too deep."""
    pieces: list[Markup] = []
    counter = [NODES]
    if not _grow(value, None, 0, pieces, counter):
        return None
    return Markup('<ul class="tree">{}</ul>').format(Markup("").join(pieces))


def _grow(value: Any, name: str | None, level: int, pieces: list[Markup], left: list[int]) -> bool:
    left[0] -= 1
    if left[0] < 0 or level > _STEPS:
        return False
    label = Markup('<span class="key">{}</span> ').format(name) if name is not None else Markup("")
    if not isinstance(value, dict | list) or not value:
        pieces.append(Markup("<li>{}{}</li>").format(label, _leaf(value)))
        return True
    items = list(cast("dict[str, Any]", value).items()) if isinstance(value, dict) else list(enumerate(value))
    what = f"{{{len(items)}}}" if isinstance(value, dict) else f"[{len(items)}]"
    is_open = " open" if level < OPEN_LEVELS else ""
    pieces.append(Markup("<li><details{}><summary>{}<i>{}</i></summary><ul>").format(is_open, label, what))
    for key, each in items:
        if not _grow(each, str(key), level + 1, pieces, left):
            return False
    pieces.append(Markup("</ul></details></li>"))
    return True


def _leaf(value: Any) -> Markup:
    kind = "text" if isinstance(value, str) else "word" if value is None or isinstance(value, bool) else "number"
    said = value if isinstance(value, str) else json.dumps(value)
    return Markup('<span class="{}">{}</span>').format(kind, escape(said))
