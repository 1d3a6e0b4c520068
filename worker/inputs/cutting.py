"""Truncation of texts that exceed their budget: the most useful part is kept, with an exact statement of the rest.

A table keeps its header and first rows, a workbook those of each sheet, a log its beginning and end, a document its
beginning and the headings of the rest, any other text its beginning.
"""

import csv
import re
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from worker.inputs.attachments import Attachment, Attachments
from worker.inputs.budget import SAMPLE, Length, measured, pieces, rooms
from worker.inputs.kinds import EXCEL, EXCEL_BINARY, OLD_EXCEL, OPEN_SPREADSHEET
from worker.inputs.limits import Limits
from worker.inputs.names import one_line
from worker.words.models import ModelCapabilities

TABLES = frozenset({"text/csv", "text/tab-separated-values"})
ROWS = frozenset({"application/jsonl", "application/x-ndjson"})
WORKBOOKS = frozenset({EXCEL, EXCEL_BINARY, OLD_EXCEL, OPEN_SPREADSHEET})
MAX_COLUMNS = 50  # column names listed when a table is cut
LONGEST_HEADER = 2_000  # characters; a longer first line is no header
OUTLINE_SHARE = 5  # at most a fifth of the room is for the headings of the omitted rest
HEAD_SHARE = 3  # a third of a cut log is its beginning, since the end usually matters more
LINE_SHARE = 4  # a cut moves back to the end of a line, over at most a quarter of the text
_LOGGED = re.compile(
    r"^\W{0,3}(?:\d{4}[-/]\d\d[-/]\d\d|\d\d:\d\d:\d\d|[A-Z][a-z]{2} [ \d]\d \d\d:"
    r"|(?:TRACE|DEBUG|INFO|WARN|WARNING|ERROR|FATAL|CRITICAL)\b|\S+ \S+ \S+ \[\d\d/)",
    re.MULTILINE,
)
_SAMPLED_LINES = 20
_HEADING = re.compile(r"^#{1,6} \S.*$", re.MULTILINE)
_SHEET = re.compile(r"^## ", re.MULTILINE)
_READ_ROWS = re.compile(r"^\[the first [\d,]+ rows( of about [\d,]+)?\]$", re.MULTILINE)
_PAGE = re.compile(r"^\[page (\d+) of (\d+)\]$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class _Cut:
    """The part of a text that is kept.

    Args:
        text: The text for the message.
        kept: A description of the part: ``its first 8,000 of 41,000 characters``.
        more: An addition to the description, shown at the cut.
    """

    text: str
    kept: str
    more: str = ""


@dataclass(frozen=True, slots=True)
class _Whole:
    """A text that is too long.

    Args:
        item: The file.
        length: Its length.
        head: Its beginning, up to the available room.
        room: The available room in characters.
    """

    item: Attachment
    length: Length
    head: str
    room: int

    @property
    def of_how_many(self) -> str:
        """The number of characters in words; a lower bound if the file was not read to its end."""
        return f"{'more than ' if self.item.is_cut else ''}{self.length.characters:,}"


def fit_texts(
    attachments: Attachments, capabilities: ModelCapabilities | None = None, limits: Limits | None = None
) -> Attachments:
    """Return the attachments with their texts cut to a model's context and the settings.

    Each cut text has a note that says what was kept. This takes a few milliseconds per megabyte.

    Args:
        attachments: The files of a task.
        capabilities: The model's capabilities; the default suits most models.
        limits: The limits, of which ``file_characters`` and ``total_characters`` apply.
    """
    texts = attachments.texts
    lengths = [measured(each) for each in texts]
    given = rooms(lengths, capabilities or ModelCapabilities(), limits or Limits())
    cut = {
        id(item): _fitted(item, length, room)
        for item, length, room in zip(texts, lengths, given, strict=True)
        if room < length.characters or item.is_cut
    }
    return Attachments(tuple(cut.get(id(item), item) for item in attachments.items), attachments.reservation)


def _fitted(item: Attachment, length: Length, room: int) -> Attachment:
    found = _form_of(item, length)(_Whole(item, length, item.beginning(room)[0], room))
    note = f"{item.name} is cut: the message contains {found.kept}."
    return replace(
        item,
        content=f"{found.text}\n[cut here: this is {found.kept}{found.more}]".encode("utf-8", "replace"),
        encoding="utf-8",
        note=note if item.note is None else f"{item.note} {note}",
        is_cut=True,
    )


def _form_of(item: Attachment, length: Length) -> Callable[[_Whole], _Cut]:
    if item.source in WORKBOOKS:
        return _sheets
    if item.media_type in TABLES or item.media_type in ROWS:
        return _rows
    if item.source == "application/pdf":
        return _pages
    if _is_log(item, length):
        return _ends
    return _outlined if item.media_type == "text/markdown" else _beginning


def _beginning(whole: _Whole) -> _Cut:
    text = _to_line_end(whole.head) if len(whole.head) < whole.length.characters else whole.head
    return _Cut(text, f"its first {len(text):,} of {whole.of_how_many} characters")


def _pages(whole: _Whole) -> _Cut:
    begun = _beginning(whole)
    marks = _PAGE.findall(begun.text)
    if not marks:
        return begun
    of_how_many = "" if whole.item.is_cut else f" of {whole.length.characters:,}"
    kept = f"its first {len(begun.text):,}{of_how_many} characters, up to page {marks[-1][0]} of {marks[-1][1]}"
    return _Cut(begun.text, kept)


def _rows(whole: _Whole) -> _Cut:
    """Keep whole rows: a line break within quotation marks does not end a row."""
    is_table, total = whole.item.media_type in TABLES, whole.length.rows
    if total < 0 or not is_table:
        total = whole.length.lines
    end = _last_row_end(whole.head, quoted=is_table and whole.length.rows >= 0)
    if not end:
        return _beginning(whole)
    text = whole.head[:end]
    kept = text.count("\n") + 1 if total == whole.length.lines else _row_ends(text) + 1
    columns = _columns(whole) if is_table else []
    header = int(bool(columns))
    named = f"; its {len(columns):,} columns: {_named(columns)}" if columns else ""
    first = f"its header and the first {kept - 1:,}" if columns else f"its first {kept:,}"
    return _Cut(text, f"{first} of {'more than ' if whole.item.is_cut else ''}{total - header:,} rows", named)


def _last_row_end(head: str, *, quoted: bool) -> int:
    end = head.rfind("\n")
    while quoted and end > 0 and head.count('"', 0, end) % 2:
        end = head.rfind("\n", 0, head.rfind('"', 0, end))
    return max(end, 0)


def _row_ends(text: str) -> int:
    return sum(part.count("\n") for part in text.split('"')[::2])


def _columns(whole: _Whole) -> list[str]:
    first = whole.head.partition("\n")[0].strip("\ufeff\r")
    if not first or len(first) > LONGEST_HEADER:
        return []
    try:
        separator = csv.Sniffer().sniff(first, ",;\t|").delimiter
    except csv.Error:
        separator = "\t" if "\t" in first else ","
    return [one_line(each, 60) for each in next(csv.reader([first], delimiter=separator), [])]


def _named(columns: Sequence[str]) -> str:
    more = f" and {len(columns) - MAX_COLUMNS:,} more" if len(columns) > MAX_COLUMNS else ""
    return ", ".join(columns[:MAX_COLUMNS]) + more


def _sheets(whole: _Whole) -> _Cut:
    """Keep the header and first rows of each sheet; the room is divided among the sheets."""
    text = whole.item.text or ""
    starts = [each.start() for each in _SHEET.finditer(text)]
    if not starts:
        return _beginning(whole)
    before, sheets = text[: starts[0]], [text[a:b] for a, b in zip(starts, [*starts[1:], len(text)], strict=True)]
    left, shown, cut = whole.room - len(before), dict[int, str](), 0
    for position, number in enumerate(sorted(range(len(sheets)), key=lambda each: len(sheets[each]))):
        share = max(left // (len(sheets) - position), 0)
        sheet = sheets[number]
        if len(sheet) > share or _READ_ROWS.search(sheet):
            sheet, cut = _first_rows(sheet, share), cut + 1
        shown[number] = sheet
        left -= min(len(sheet), share)
    others = ", and the other sheets completely" if cut < len(sheets) else ""
    kept = f"the first rows of {cut:,} of its {len(sheets):,} sheets{others}"
    text = before + "\n\n".join(shown[each].rstrip("\n") for each in sorted(shown))
    return _Cut(text, kept if len(sheets) > 1 else "the first rows of its sheet")


def _first_rows(sheet: str, room: int) -> str:
    rows = max(sheet.count("\n| ") - 2, 0)  # without the header and the rule below it
    head = _to_line_end(sheet[:room]) if len(sheet) > room else sheet
    title = sheet.partition("\n")[0]
    kept = max(head.count("\n| ") - 2, 0)
    read = _READ_ROWS.search(sheet)
    total = read.group(1) if read and read.group(1) else f" of {rows:,}"
    said = f"[the first {kept:,} rows{total}]"
    head = _READ_ROWS.sub("", head).rstrip("\n") if kept else title
    return f"{head}\n{said}\n"


def _is_log(item: Attachment, length: Length) -> bool:
    if item.source or item.media_type not in {"text/plain", "text/x-log"} or length.lines < _SAMPLED_LINES:
        return False
    if item.name.lower().endswith((".log", ".out", ".err")):
        return True
    lines = [line for line in item.beginning(SAMPLE)[0].splitlines() if line.strip()][:_SAMPLED_LINES]
    return sum(bool(_LOGGED.match(line)) for line in lines) * 2 > len(lines)


def _ends(whole: _Whole) -> _Cut:
    """Keep the beginning and the end, in whole lines."""
    head = _to_line_end(whole.head[: whole.room // HEAD_SHARE])
    tail = _end_of(whole.item, whole.room - len(head))
    tail = tail[tail.find("\n") + 1 :] if "\n" in tail[: len(tail) // LINE_SHARE + 1] else tail
    first, last = head.count("\n") + 1, tail.rstrip("\n").count("\n") + 1
    out = max(whole.length.lines - first - last, 0)
    text = f"{head}\n[{out:,} lines omitted]\n{tail.rstrip(chr(10))}"
    return _Cut(text, f"its first {first:,} and its last {last:,} of {whole.length.lines:,} lines")


def _end_of(item: Attachment, characters: int) -> str:
    kept, length = deque[str](), 0
    for piece in pieces(item):
        kept.append(piece)
        length += len(piece)
        while length - len(kept[0]) >= characters:
            length -= len(kept.popleft())
    return "".join(kept)[-characters:] if characters > 0 else ""


def _outlined(whole: _Whole) -> _Cut:
    """Keep the beginning, and the headings of the rest."""
    text, left = whole.item.text or "", whole.room // OUTLINE_SHARE
    begun = _to_line_end(text[: whole.room - left])
    headings = _HEADING.findall(text, len(begun))
    if not _HEADING.search(text, whole.room):
        return _beginning(whole)
    outline: list[str] = []
    for heading in headings:
        line = one_line(heading)
        left -= len(line) + 1
        if left < 0:
            break
        outline.append(line)
    more = f"\n[and {len(headings) - len(outline):,} more headings]" if len(outline) < len(headings) else ""
    listed = "\n".join(outline)
    kept = f"its first {len(begun):,} of {whole.of_how_many} characters, and the headings of the rest"
    return _Cut(f"{begun}\n\n[the headings of the rest:]\n{listed}{more}", kept)


def _to_line_end(text: str) -> str:
    """Remove an incomplete last line, unless it is too large a part of the text."""
    end = text.rfind("\n")
    return text[:end] if end >= len(text) - len(text) // LINE_SHARE and end > 0 else text
