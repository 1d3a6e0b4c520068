"""Division of a text into passages, each within one section, with the headings above it and the page it starts on."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from worker.words.knowledge import Chunk

WANTED = 1_000  # characters of a passage: about 250 tokens, which any embedding model accepts
MOST = 1_400  # characters of a passage that would otherwise be cut within a paragraph
OVERLAP = 150  # characters repeated from the previous passage of a section, for matches across the boundary
LEVELS = 6  # heading levels
UNDERLINE = 3  # the fewest marks that underline a heading; fewer may be a list
HEADING = 200  # characters kept of a heading

_FENCE = re.compile(r"\s*(```|~~~)")
_PAGE = re.compile(r"\[page (\d+) of \d+\]$")
_EXTRACTED = re.compile(r"\A\[text extracted from [^\n]*\]\n\n")
_SENTENCE = re.compile(r"(?<=[.!?…。！？])\s+|(?<=[。！？])|\n")  # noqa: RUF001 - Chinese and Japanese


@dataclass(frozen=True, slots=True)
class Text:
    """The extracted text of a document.

    Args:
        content: Markdown or plain text; each page of a PDF follows a line such as ``[page 2 of 7]``.
        name: The name of a file within another file, which becomes the outermost heading.
        has_pages: Whether such lines mark pages; otherwise they are ordinary text.
        is_markdown: Whether ``#`` starts a heading.
    """

    content: str
    name: str | None = None
    has_pages: bool = False
    is_markdown: bool = True


@dataclass(slots=True)
class _Section:
    """The text under one heading, as far as it has been read."""

    heading: str | None
    page: int | None
    paragraphs: list[tuple[str, int | None]] = field(default_factory=list[tuple[str, int | None]])


def divided(text: Text) -> Iterator[Chunk]:
    """Divide a text into passages, in order."""
    for section in _sections(text):
        yield from _passages(section)


def _sections(text: Text) -> Iterator[_Section]:
    above: list[tuple[int, str]] = [] if text.name is None else [(0, text.name[:HEADING])]
    page: int | None = None
    section = _Section(_spoken(above), page)
    lines: list[str] = []
    begun: int | None = None  # the page on which the current paragraph starts
    fenced = False

    def end() -> None:
        nonlocal lines
        if any(line.strip() for line in lines):
            section.paragraphs.append(("\n".join(lines).strip("\n"), begun))
        lines = []

    for line in _lines(text):
        fence = text.is_markdown and _FENCE.match(line) is not None
        fenced ^= fence
        at = _PAGE.match(line) if text.has_pages else None
        if at is not None:
            end()
            page = int(at[1])
            continue
        heading = None if fenced or fence or not text.is_markdown else _heading(line)
        if heading is not None:
            end()
            yield section
            level, words = heading
            above = [each for each in above if each[0] < level]
            above.append((level, words[:HEADING]))
            section = _Section(_spoken(above), page)
            continue
        if not line.strip() and not fenced:
            end()
            continue
        if not lines:
            begun = page
        lines.append(line)
    end()
    yield section


def _lines(text: Text) -> Iterator[str]:
    """Iterate over the lines, with underlined headings rewritten to ``#`` headings."""
    lines = _EXTRACTED.sub("", text.content).splitlines()
    at = 0
    while at < len(lines):
        line, following = lines[at], lines[at + 1] if at + 1 < len(lines) else ""
        level = _underlined(following) if text.is_markdown and (at == 0 or not lines[at - 1].strip()) else 0
        if level and line.strip() and not line.lstrip().startswith(("#", "-", "|", ">")):
            yield f"{'#' * level} {line.strip()}"
            at += 2
            continue
        yield line
        at += 1


def _heading(line: str) -> tuple[int, str] | None:
    """Return the level and text of a heading; None for other lines. No regex is used, since lines may be hostile."""
    words = line.lstrip("#")
    level = len(line) - len(words)
    if not 0 < level <= LEVELS or not words[:1].isspace():
        return None
    return level, words.strip().rstrip("#").rstrip()


def _underlined(line: str) -> int:
    """Return the level of the heading that this line underlines; 0 if it underlines none."""
    marks = line.rstrip()
    if len(marks) < UNDERLINE or marks.strip(marks[0]):
        return 0
    return {"=": 1, "-": 2}.get(marks[0], 0)


def _is_row(line: str) -> bool:
    bare = line.strip()
    return bare.startswith("|") and bare.endswith("|")


def _is_rule(line: str) -> bool:
    """Return whether a line separates the head of a table from its rows."""
    return "-" in line and not line.strip(" \t|:-")


def _spoken(above: list[tuple[int, str]]) -> str | None:
    return " > ".join(words for _, words in above if words) or None


def _passages(section: _Section) -> Iterator[Chunk]:
    held, page = "", section.page
    for paragraph, begun in section.paragraphs:
        if held and begun != page and begun is not None:  # a passage must start on the page it names
            yield Chunk(held, section.heading, page)
            held = ""
        page = page if begun is None else begun
        for piece in _pieces(paragraph):
            if held and _is_full(held, piece):
                yield Chunk(held, section.heading, page)
                held = _end_of(held)
            held = f"{held}\n\n{piece}" if held else piece
    if held.strip():
        yield Chunk(held, section.heading, page)


def _is_full(held: str, piece: str) -> bool:
    """Return whether a passage is complete: it has the wanted size, or would become too long with another chunk."""
    together = len(held) + len(piece) + 2
    return together > MOST or (together > WANTED and len(held) >= WANTED // 2)


def _end_of(passage: str) -> str:
    """Return the last sentences of a passage up to the overlap; for a table, nothing."""
    last = passage.rstrip().rpartition("\n\n")[2]
    if _is_row(last.rpartition("\n")[2]):
        return ""
    found = ""
    for sentence in reversed([each for each in _SENTENCE.split(last) if each and each.strip()]):
        if len(found) + len(sentence) + 1 > OVERLAP:
            break
        found = f"{sentence} {found}".strip()
    return found


def _pieces(paragraph: str) -> Iterator[str]:
    """Split an overlong paragraph: a table by rows, each chunk with the table's head; other text by sentences."""
    if len(paragraph) <= MOST:
        yield paragraph
        return
    lines = paragraph.split("\n")
    head = "\n".join(lines[:2]) if len(lines) > 2 and _is_row(lines[0]) and _is_rule(lines[1]) else ""  # noqa: PLR2004
    rest = lines[2:] if head else [each for each in _SENTENCE.split(paragraph) if each]
    joint = "\n" if head or "\n" in paragraph else " "
    held = head
    for each in (part for line in rest for part in _cut(line)):
        if len(held) + len(each) > WANTED and held != head:
            yield held
            held = head
        held = f"{held}{joint}{each}" if held else each
    if held != head:
        yield held


def _cut(line: str) -> Iterator[str]:
    """Split a line that is longer than a passage, between words if possible."""
    start = 0
    while len(line) - start > WANTED:
        at = line.rfind(" ", start + WANTED // 2, start + WANTED)
        at = start + WANTED if at < 0 else at
        yield line[start:at]
        start = at + (line[at] == " ")
    if start < len(line):
        yield line[start:]
