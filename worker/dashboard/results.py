"""Results as people read them: Markdown without anything that runs, JSON to be unfolded."""

import json
from functools import cache
from typing import TYPE_CHECKING, Any, cast

import nh3
from markupsafe import Markup, escape

if TYPE_CHECKING:
    from markdown_it import MarkdownIt

TAGS = {
    *("p", "br", "hr", "em", "strong", "del", "s", "code", "pre", "blockquote", "ul", "ol", "li", "a"),
    *("h1", "h2", "h3", "h4", "h5", "h6", "table", "thead", "tbody", "tr", "th", "td"),
}
SCHEMES = {"http", "https", "mailto"}
LONGEST_MARKDOWN = 500_000  # characters; beyond it is shown as the text it is
NODES = 2_000  # of a JSON value, unfolded as a tree; a larger one is shown as text
OPEN_LEVELS = 2
_STEPS = 24


@cache
def _parser() -> "MarkdownIt":
    from markdown_it import MarkdownIt

    return MarkdownIt("commonmark", {"html": False, "linkify": False}).enable(["table", "strikethrough"])


def markdown(text: str) -> Markup | None:
    """Markdown as HTML, with what is harmless alone; none: it is too long."""
    if len(text) > LONGEST_MARKDOWN:
        return None
    html = nh3.clean(
        _parser().render(text),
        tags=TAGS,
        attributes={"a": {"href", "title"}, "ol": {"start"}},
        url_schemes=SCHEMES,
        link_rel="noopener noreferrer nofollow",
        generic_attribute_prefixes=set(),
    )
    return Markup(html)  # noqa: S704 - cleaned the line before


def json_tree(text: str) -> Markup | None:
    """JSON as a tree to be unfolded; none: it is no JSON, or too large."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return tree(value)


def tree(value: Any) -> Markup | None:
    """A value as a tree to be unfolded; none: it is too large or too deep."""
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
