"""Word documents from before 2007 as Markdown, according to [MS-DOC].

The general library joins paragraphs and tables, shows field codes and deleted text, and omits boxes, headers and
comments.
"""

import io
import re
import struct
from bisect import bisect_right
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import NamedTuple

from worker.bounded import Refused
from worker.inputs.readers import office, word95
from worker.inputs.readers.answer import DEEPEST_HEADING, PASSWORD, ReaderLimits, ReadText
from worker.inputs.readers.markup import FIELD_LINK
from worker.inputs.readers.tables import as_table

MAX_CHARACTERS = 8_000_000  # of all parts together, since pieces may repeat the same text
MAX_PAGES = 5_000  # of formatting, each for about 50 paragraphs
_WORD, _ENCRYPTED, _SECOND_TABLE, _WORD_97 = 0xA5EC, 0x0100, 0x0200, 0x00C1  # 2.5.2
_LENGTHS = (0x4C, 0x50, 0x54, 0x58, 0x5C, 0x60, 0x64, 0x68)  # offsets of the lengths of the parts in order, 2.5.4
_STYLES = range(1, 10)  # the styles of headings, whatever their names, 2.4.6.5
_IN_TABLE, _ROW_END, _LIST, _LEVEL, _DELETED, _HIDDEN = 0x2416, 0x2417, 0x460B, 0x260A, 0x0800, 0x083C  # 2.6
_OPERANDS = (1, 1, 2, 4, 2, 2, -1, 3)  # bytes by the highest bits of a property's number, 2.2.5.1; -1: variable
_TABLE_DEFINITION = 0xD608
_PARAGRAPH = re.compile(r"[^\r\x07\x0c]*[\r\x07\x0c]|[^\r\x07\x0c]+\Z")
_SIGNS = {"\x0b": "\n", "\x0e": "\n", "\x1e": "-", "\xa0": " ", "\t": "\t"}
_BEGIN, _SEPARATE, _END, _NOTE, _COMMENT = "\x13", "\x14", "\x15", "\x02", "\x05"


class _Run(NamedTuple):
    """A range of the text's bytes with common properties."""

    start: int
    end: int
    style: int
    properties: dict[int, int]


class _Piece(NamedTuple):
    """A part of the text: its first character, the end, the offset of its bytes, and the bytes per character."""

    start: int
    end: int
    offset: int
    width: int


@office.reads_the_rest
def read(content: bytes, limits: ReaderLimits) -> ReadText:
    """Read a document."""
    document = _Document(content)
    if document.is_of_95:
        return word95.read(document.main, PASSWORD)
    text = document.text()
    return ReadText(text) if text.strip() else office.read(content, limits)


_Read = Callable[[bytes, int, int], tuple[int, dict[int, int]]]
"""Reads the style and properties of a run, given its page, the offset after the positions, and its index."""


class _Document:
    """A document being read."""

    def __init__(self, content: bytes) -> None:
        import olefile

        with olefile.OleFileIO(io.BytesIO(content)) as storage:
            self.main: bytes = storage.openstream("WordDocument").read()
            kind, version, flags = *struct.unpack_from("<HH", self.main), self._number(0x0A, "<H")
            self.is_of_95 = kind in word95.WORDS
            if self.is_of_95:
                return
            if kind != _WORD or version < _WORD_97:
                raise ValueError
            if flags & _ENCRYPTED:
                raise Refused(PASSWORD)
            self._table: bytes = storage.openstream("1Table" if flags & _SECOND_TABLE else "0Table").read()
        self._pieces = list(self._read_pieces())
        self._beginnings = [each.start for each in self._pieces]
        self._paragraphs = sorted(self._runs(13, self._paragraph_properties))
        self._starts = [each.start for each in self._paragraphs]
        self._letters = self._read_text()
        self._notes = {place: number for number, place in enumerate(self._places(2, 2), 1)}
        self._ends = {place: number for number, place in enumerate(self._places(46, 2), 1)}
        self._comments = {place: number for number, place in enumerate(self._places(4, 30), 1)}
        self._fields: list[str] = []

    def text(self) -> str:
        """Return the body, followed by boxes, notes, comments, headers and footers."""
        parts, start = list[range](), 0
        for offset in _LENGTHS:
            end = min(start + max(self._number(offset, "<i"), 0), len(self._letters))
            parts.append(range(start, end))
            start = end
        body, notes, around, _, comments, ends, boxes, boxes_around = parts
        said = [*self._blocks(body), *self._blocks(boxes)]
        said += self._apart(notes, 3, "[^{}]: ")
        said += self._apart(ends, 47, "[^e{}]: ")
        said += self._apart(comments, 5, "[comment {}] ")
        beside = list(dict.fromkeys([*self._blocks(around), *self._blocks(boxes_around)]))
        said += ["Headers and footers:", *beside] if beside else []
        return "\n\n".join(said)

    def _number(self, offset: int, form: str) -> int:
        return int(struct.unpack_from(form, self.main, offset)[0])

    def _entry(self, index: int) -> bytes:
        """A part of the table stream, by its number in the header (2.5.5)."""
        offset, length = struct.unpack_from("<II", self.main, 0x9A + 8 * index)
        return self._table[offset : offset + length]

    def _places(self, index: int, size: int) -> list[int]:
        """Return the character positions of an entry (2.2.2) whose items have the given size in bytes."""
        entry = self._entry(index)
        count = max((len(entry) - 4) // (4 + size), 0)
        return list(struct.unpack_from(f"<{count}I", entry)) if count else []

    def _read_pieces(self) -> Iterator[_Piece]:
        """Iterate over the piece table (2.9.38)."""
        entry, at = self._entry(33), 0
        while entry[at] == 1:
            at += 3 + struct.unpack_from("<H", entry, at + 1)[0]
        length = struct.unpack_from("<I", entry, at + 1)[0]
        count = (length - 4) // 12
        places = struct.unpack_from(f"<{count + 1}I", entry, at + 5)
        for number, (start, end) in enumerate(pairwise(places)):
            offset = struct.unpack_from("<I", entry, at + 5 + 4 * (count + 1) + 8 * number + 2)[0]
            is_narrow = bool(offset & 0x40000000)
            offset &= 0x3FFFFFFF
            yield _Piece(start, end, offset // 2 if is_narrow else offset, 1 if is_narrow else 2)

    def _read_text(self) -> list[str]:
        """Return all characters; deleted and hidden ones are U+0000."""
        gone = [each for each in self._runs(12, self._letter_properties) if _is_gone(each.properties)]
        letters: list[str] = []
        for piece in self._pieces:
            if len(letters) != piece.start or piece.end - piece.start > MAX_CHARACTERS - len(letters):
                break
            size = (piece.end - piece.start) * piece.width
            content = self.main[piece.offset : piece.offset + size]
            text = content.decode("cp1252" if piece.width == 1 else "utf-16-le", "replace")
            found = list(text.ljust(piece.end - piece.start, "\0")[: piece.end - piece.start])
            for run in gone:
                first = max(run.start - piece.offset, 0) // piece.width
                last = min(run.end - piece.offset, size) // piece.width
                found[first:last] = "\0" * max(last - first, 0)
            letters += found
        return letters

    def _runs(self, index: int, properties: _Read) -> Iterator[_Run]:
        """Iterate over the properties of all paragraphs or characters, kept in pages of 512 bytes (2.9.31, 2.9.175)."""
        entry = self._entry(index)
        count = max((len(entry) - 4) // 8, 0)
        for number in struct.unpack_from(f"<{count}I", entry, 4 * (count + 1))[:MAX_PAGES]:
            page = self.main[512 * (number & 0x3FFFFF) :][:512]
            runs = page[511] if len(page) == 512 else 0  # noqa: PLR2004 - a page
            places = struct.unpack_from(f"<{runs + 1}I", page) if runs else ()
            for place, (start, end) in enumerate(pairwise(places)):
                style, found = properties(page, 4 * (runs + 1), place)
                yield _Run(start, end, style, found)

    @staticmethod
    def _paragraph_properties(page: bytes, base: int, place: int) -> tuple[int, dict[int, int]]:
        at = 2 * page[base + 13 * place]
        if not at:
            return 0, {}
        length = 2 * page[at] - 1 if page[at] else 2 * page[at + 1]
        at += 1 if page[at] else 2
        return struct.unpack_from("<H", page, at)[0], dict(_properties(page[at + 2 : at + length]))

    @staticmethod
    def _letter_properties(page: bytes, base: int, place: int) -> tuple[int, dict[int, int]]:
        at = 2 * page[base + place]
        return 0, dict(_properties(page[at + 1 : at + 1 + page[at]])) if at else {}

    def _of_paragraph(self, place: int) -> _Run:
        """Return the run of the paragraph that contains a character."""
        piece = self._pieces[bisect_right(self._beginnings, place) - 1]
        offset = piece.offset + (place - piece.start) * piece.width
        found = bisect_right(self._starts, offset) - 1
        return self._paragraphs[found] if found >= 0 else _Run(0, 0, 0, {})

    def _blocks(self, part: range) -> Iterator[str]:
        """Iterate over paragraphs and tables as Markdown."""
        rows, cells, cell = list[list[str]](), list[str](), list[str]()
        text = "".join(self._letters[part.start : part.stop])
        self._fields = []
        for found in _PARAGRAPH.finditer(text):
            run = self._of_paragraph(part.start + found.end() - 1)
            words = "".join(self._shown(found.group(), part.start + found.start())).strip()
            if found.group().endswith("\x07") or run.properties.get(_IN_TABLE):
                cell += [words] if words else []
                if run.properties.get(_ROW_END):
                    rows, cells, cell = [*rows, cells], [], []
                elif found.group().endswith("\x07"):
                    cells, cell = [*cells, " ".join(cell)], []
                continue
            if rows:
                yield as_table(rows)
                rows = []
            if words:
                yield f"{_mark(run)}{words}"
        if rows or cells:
            yield as_table([*rows, cells])

    def _apart(self, part: range, index: int, mark: str) -> Iterator[str]:
        """Iterate over notes or comments, each after its number."""
        places = self._entry(index)
        ends = struct.unpack(f"<{len(places) // 4}I", places[: len(places) // 4 * 4])
        for number, (start, end) in enumerate(pairwise(ends), 1):
            words = " ".join(self._blocks(range(part.start + start, min(part.start + end, part.stop)))).strip()
            if words:
                yield f"{mark.format(number)}{words}"

    def _shown(self, text: str, start: int) -> Iterator[str]:
        for place, letter in enumerate(text, start):
            if letter == _BEGIN:
                self._fields.append("")
            elif letter in {_SEPARATE, _END}:
                yield self._field(letter)
            elif self._fields and not self._fields[-1].endswith(_SEPARATE):
                self._fields[-1] += letter
            elif letter == _NOTE and place in self._notes:
                yield f"[^{self._notes[place]}]"
            elif letter == _NOTE and place in self._ends:
                yield f"[^e{self._ends[place]}]"
            elif letter == _COMMENT and place in self._comments:
                yield f" [comment {self._comments[place]}]"
            else:
                yield _SIGNS.get(letter) or (letter if letter >= " " else "")

    def _field(self, mark: str) -> str:
        """Return the text at a field's mark (2.8.25): a field shows its result; the code of a link has the target."""
        if not self._fields:
            return ""
        link = FIELD_LINK.match(self._fields[-1])
        is_open = self._fields[-1].endswith(_SEPARATE)
        if mark == _SEPARATE:
            self._fields[-1] += _SEPARATE
            return "[" if link else ""
        self._fields.pop()
        return f"]({link.group(1)})" if link and is_open else ""


def _is_gone(properties: dict[int, int]) -> bool:
    return bool(properties.get(_DELETED) or properties.get(_HIDDEN))


def _mark(run: _Run) -> str:
    if run.style in _STYLES:
        return "#" * min(run.style, DEEPEST_HEADING) + " "
    return "  " * min(run.properties.get(_LEVEL, 0), 8) + "- " if run.properties.get(_LIST) else ""


def _properties(content: bytes) -> Iterator[tuple[int, int]]:
    """Iterate over properties; operands of more than two bytes are returned as 0 (2.6)."""
    at = 0
    while at + 2 < len(content):
        number = struct.unpack_from("<H", content, at)[0]
        size = _OPERANDS[number >> 13]
        at += 2
        if size < 0 and number == _TABLE_DEFINITION:
            size = struct.unpack_from("<H", content, at)[0] + 1 if at + 2 <= len(content) else 0
        elif size < 0:
            size = content[at] + 1
        yield number, int.from_bytes(content[at : at + size], "little") if size in {1, 2} else 0
        at += max(size, 1)
