"""Web pages as Markdown: the words that a reader sees, not their scripts and styles."""

import base64
import binascii
import re
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from importlib.util import find_spec
from itertools import islice, zip_longest
from typing import Any, cast

from bs4 import BeautifulSoup
from bs4.element import CData, PreformattedString, Tag
from bs4.exceptions import ParserRejectedMarkup
from markdownify import MarkdownConverter

from worker.inputs.readers.answer import Answer, Limits

MOST_PICTURES = 100  # of a page that are looked at
_HELD = re.compile(rb"""["'(]data:image/(png|jpe?g|gif|webp);base64,([A-Za-z0-9+/=\s]+)["')]""")
_TABLE_TAGS = ("table", "caption", "thead", "tbody", "tfoot", "tr", "td", "th")
_EMPTY_ROW = re.compile(r"\|[\s|]*\|")
CHARACTERS = 4_000_000  # of markup that are looked at: the largest pages people attach have 2 million, mostly script
_UNSEEN = ("script", "style", "noscript", "template", "svg", "iframe", "object", "canvas", "head")


def read(content: bytes, limits: Limits) -> Answer:
    """Read a page."""
    markup = content.decode(limits.encoding or "utf-8", "replace")
    answer = Answer(markdown(markup[:CHARACTERS]), is_cut=len(markup) > CHARACTERS)
    pictures = list(islice(_pictures(content), MOST_PICTURES))
    if pictures and find_spec("PIL") is not None:
        from worker.inputs.readers import within

        within.take(answer, pictures, limits.pictures, limits.most)
    return answer


def _pictures(content: bytes) -> Iterator[tuple[str, bytes]]:
    """The pictures that a page holds itself."""
    for number, found in enumerate(_HELD.finditer(content), 1):
        with suppress(binascii.Error, ValueError):
            yield f"picture {number}.{found.group(1).decode()}", base64.b64decode(found.group(2))


def markdown(markup: str, *, titled: bool = True) -> str:
    """HTML as Markdown: title, headings, lists, tables, links; pictures by their alternative text."""
    try:
        page: Any = BeautifulSoup(markup, "html.parser")
    except (ParserRejectedMarkup, RecursionError):
        return markup
    title = page.title.get_text(" ", strip=True) if titled and page.title is not None else ""
    for unseen in page.find_all(_is_unseen):
        unseen.decompose()
    for unsaid in page.find_all(string=_is_no_text):
        unsaid.extract()
    _describe_pictures(page)
    _lay_out(page)
    converter: Any = _Converter(heading_style="ATX", bullets="-", wrap=False, table_infer_header=True)
    try:
        text = cast("str", converter.convert_soup(page))
    except RecursionError:  # nested deeper than any page that people write
        text = _words(page)
    text = _without_gaps(text)
    return text if not title or f"# {title}" in text else f"# {title}\n\n{text}"


_Base: Any = MarkdownConverter


class _Converter(_Base):
    """The library's, with bars in cells that are no ends of cells."""

    def convert_td(self, element: Any, text: str, parent_tags: Any) -> str:
        return str(super().convert_td(element, text.replace("|", "\\|"), parent_tags))

    def convert_th(self, element: Any, text: str, parent_tags: Any) -> str:
        return str(super().convert_th(element, text.replace("|", "\\|"), parent_tags))


def _lay_out(page: Any) -> None:
    """Take tables for what they are that only place things on the page: those that hold others, or a single cell.

    One walk for all: the library's own searches take a time that grows with depth.
    """
    placing, cells = set[int](), Counter[int]()
    parts: list[tuple[Any, int]] = []  # of tables, with the table that each is of
    waiting: list[tuple[Any, int]] = [(page, 0)]
    while waiting:
        element, table = waiting.pop()
        for child in (each for each in element.children if isinstance(each, Tag)):
            of = table
            if child.name == "table":
                placing.add(table)
                of = id(child)
            if child.name in _TABLE_TAGS:
                parts.append((child, of))
                cells[of] += child.name in {"td", "th"}
            waiting.append((child, of))
    for part, table in parts:
        if table in placing or cells[table] <= 1:
            part.name = "div"


def _is_unseen(tag: Any) -> bool:
    if tag.name in _UNSEEN or tag.has_attr("hidden"):
        return True
    style = str(tag.get("style") or "").replace(" ", "").lower()
    return "display:none" in style or "visibility:hidden" in style


def _is_no_text(words: Any) -> bool:
    """Whether it is an instruction or a declaration, such as those with which XML begins."""
    return isinstance(words, PreformattedString) and not isinstance(words, CData)


def _describe_pictures(page: Any) -> None:
    for picture in page.find_all("img"):
        words = str(picture.get("alt") or "").strip()
        picture.replace_with(f"[picture: {words}]" if words else "")
    for link in page.find_all("a", href=True):
        if str(link["href"]).lower().startswith(("javascript:", "data:")):
            del link["href"]


def _words(page: Any) -> str:
    """The text alone, without recursion."""
    return "\n".join(line for each in page.find_all(string=True) if (line := str(each).strip()))


def _without_gaps(text: str) -> str:
    lines: list[str] = []
    given = text.splitlines()
    for line, following in zip_longest(given, given[1:], fillvalue=""):
        if _EMPTY_ROW.fullmatch(line) and not following.startswith("| ---"):
            continue
        if line.strip() or (lines and lines[-1]):
            lines.append(line.rstrip())
    return "\n".join(lines).strip()
