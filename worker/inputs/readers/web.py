"""Web pages as Markdown: the visible text, without scripts and styles."""

import base64
import binascii
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice, zip_longest
from typing import Any, cast

from bs4 import BeautifulSoup
from bs4.element import CData, PreformattedString, Tag
from bs4.exceptions import ParserRejectedMarkup
from markdownify import MarkdownConverter

from worker.inputs.readers import within
from worker.inputs.readers.answer import ReaderLimits, ReadText

MAX_PICTURES = 100  # pictures of a page that are examined
_HELD = re.compile(rb"""["'(]data:image/(png|jpe?g|gif|webp);base64,([A-Za-z0-9+/=\s]+)["')]""")
_TABLE_TAGS = ("table", "caption", "thead", "tbody", "tfoot", "tr", "td", "th")
_HEADINGS = ("h1", "h2", "h3", "h4", "h5", "h6")
_EMPTY_ROW = re.compile(r"\|[\s|]*\|")
CHARACTERS = 4_000_000  # of markup that are read; the largest pages in practice have 2 million, mostly scripts
_UNSEEN = ("script", "style", "noscript", "template", "svg", "iframe", "object", "canvas", "head")


def read(content: bytes, limits: ReaderLimits) -> ReadText:
    """Read a web page."""
    markup = content.decode(limits.encoding or "utf-8", "replace")
    answer = ReadText(markdown(markup[:CHARACTERS]), is_cut=len(markup) > CHARACTERS)
    within.take(answer, islice(_pictures(content), MAX_PICTURES), limits.pictures, limits.most)
    return answer


def _pictures(content: bytes) -> Iterator[tuple[str, bytes]]:
    """Iterate over the pictures embedded in a page as ``data:`` URLs."""
    for number, found in enumerate(_HELD.finditer(content), 1):
        with suppress(binascii.Error, ValueError):
            yield f"picture {number}.{found.group(1).decode()}", base64.b64decode(found.group(2))


def markdown(markup: str, *, titled: bool = True) -> str:
    """Convert HTML to Markdown: title, headings, lists, tables, links; pictures become their alternative text."""
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
    _dissolve_layout_tables(page)
    converter: Any = _Converter(heading_style="ATX", bullets="-", wrap=False, table_infer_header=True)
    try:
        text = cast("str", converter.convert_soup(page))
    except RecursionError:  # nested deeper than any real page
        text = _words(page)
    text = _without_gaps(text)
    return text if not title or f"# {title}" in text else f"# {title}\n\n{text}"


_Base: Any = MarkdownConverter


class _Converter(_Base):
    """The library's converter, with vertical bars in table cells escaped."""

    def convert_td(self, element: Any, text: str, parent_tags: Any) -> str:
        return str(super().convert_td(element, text.replace("|", "\\|"), parent_tags))

    def convert_th(self, element: Any, text: str, parent_tags: Any) -> str:
        return str(super().convert_th(element, text.replace("|", "\\|"), parent_tags))


@dataclass(eq=False)
class _Table:
    """A table of a page: its enclosing table, tags and cells, and the characters in it and in its nested tables."""

    outer: "_Table | None"
    parts: list[Any] = field(default_factory=list[Any])
    cells: int = 0
    own: int = 0
    inner: int = 0
    has_headings: bool = False
    is_data: bool = False
    is_within_data: bool = False

    def take(self, part: Any) -> None:
        """Add a tag that is in this table, but not in a nested one."""
        self.has_headings |= part.name in _HEADINGS
        self.cells += part.name in {"td", "th"}
        if part.name in _TABLE_TAGS:
            self.parts.append(part)


def _dissolve_layout_tables(page: Any) -> None:
    """Dissolve layout tables: those with a single cell, with headings, or with most of their text in nested tables.

    Tables nested in data tables are dissolved as well.
    """
    for each in page.find_all(["col", "colgroup"]):
        each.unwrap()
    tables = _tables(page)
    for each in reversed(tables):
        if each.outer is not None:
            each.outer.inner += each.own + each.inner
    for each in tables:
        each.is_within_data = each.outer is not None and (each.outer.is_data or each.outer.is_within_data)
        places = each.cells <= 1 or each.inner > each.own or (each.inner > 0 and each.has_headings)
        each.is_data = not places and not each.is_within_data
        for part in each.parts if not each.is_data else ():
            part.name = "div"


def _tables(page: Any) -> list[_Table]:
    """Return the tables of a page, outer ones first, in a single walk: the library's searches slow down with depth."""
    tables: list[_Table] = []
    waiting: list[tuple[Any, _Table | None]] = [(page, None)]
    while waiting:
        element, table = waiting.pop()
        for child in element.children:
            of = table
            if isinstance(child, Tag):
                if child.name == "table":
                    of = _Table(table)
                    tables.append(of)
                if of is not None:
                    of.take(child)
                waiting.append((child, of))
            elif of is not None:
                of.own += len(str(child).strip())
    return tables


def _is_unseen(tag: Any) -> bool:
    if tag.name in _UNSEEN or tag.has_attr("hidden"):
        return True
    style = str(tag.get("style") or "").replace(" ", "").lower()
    return "display:none" in style or "visibility:hidden" in style


def _is_no_text(words: Any) -> bool:
    """Return whether a string is an instruction or declaration, such as those at the beginning of XML."""
    return isinstance(words, PreformattedString) and not isinstance(words, CData)


def _describe_pictures(page: Any) -> None:
    for picture in page.find_all("img"):
        words = str(picture.get("alt") or "").strip()
        picture.replace_with(f"[picture: {words}]" if words else "")
    for link in page.find_all("a", href=True):
        if str(link["href"]).lower().startswith(("javascript:", "data:")):
            del link["href"]


def _words(page: Any) -> str:
    """Return the text alone, without recursion."""
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
