"""PowerPoint presentations from before 2007, according to [MS-PPT]: text, tables, notes, comments and pictures.

The general library omits tables, boxes and notes, and shows deleted text.
"""

import io
import struct
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import NamedTuple

from worker.bounded import Refused
from worker.inputs.names import one_line
from worker.inputs.readers import office, within
from worker.inputs.readers.answer import LONGEST_DESCRIPTION, PASSWORD, ReaderLimits, ReadText
from worker.inputs.readers.tables import as_table

MAX_EDITS = 10_000  # saves of a file, each with a list of its changes
DEEPEST = 40  # the maximum nesting of groups
_IS_CONTAINER = 0xF  # the version of a record that contains others, 2.3.1
_ENCRYPTED_TOKEN, _ENCRYPTED_EDIT = 0xF3D1C4DF, 0x20  # 2.3.2; the length of an edit with a key, 2.3.3
# Types of records, 2.13.24
_DOCUMENT, _SLIDE, _NOTES, _NOTES_ATOM, _EDIT, _DIRECTORY = 0x03E8, 0x03EE, 0x03F0, 0x03F1, 0x0FF5, 0x1772
_LISTED, _PERSIST, _HEADER, _CHARS, _BYTES, _OUTLINE = 0x0FF0, 0x03F3, 0x0F9F, 0x0FA0, 0x0FA8, 0x0F9E
_STRING, _LINK, _LINK_ATOM, _INTERACTION, _RANGE = 0x0FBA, 0x0FD7, 0x0FD3, 0x0FF3, 0x0FDF
_FOOTERS, _COMMENT = 0x0FD9, 0x2EE0
_GROUP, _SHAPE, _TEXT, _ANCHOR, _PROPERTIES, _MORE_PROPERTIES = 0xF003, 0xF004, 0xF00D, 0xF00F, 0xF00B, 0xF122
_IS_TABLE, _DESCRIPTION = 0x039F, 0x0381  # properties of shapes, [MS-ODRAW] 2.3.4
_TITLES = {0, 6}  # types of texts, 2.13.33
_PICTURES = {0xF01D: "jpg", 0xF01E: "png"}  # [MS-ODRAW] 2.2.23
_TWO_MARKS = {0x46B, 0x6E3, 0x6E1}  # instances of pictures with two identifiers of 16 bytes before their content


class _Record(NamedTuple):
    """A record: its type, instance and content, and whether it contains records."""

    type: int
    instance: int
    content: memoryview
    holds_records: bool


@dataclass
class _Text:
    """A text: its type, its words, and the positions of links in it."""

    kind: int = 4
    words: str = ""
    links: list[tuple[int, int, int]] = field(default_factory=list[tuple[int, int, int]])


@office.reads_the_rest  # of PowerPoint 95, too
def read(content: bytes, limits: ReaderLimits) -> ReadText:
    """Read a presentation."""
    presentation = _Presentation(content)
    slides, length, is_cut = list[str](), 0, False
    for each in presentation.slides():
        if is_cut := length > limits.characters:  # many may be the same slide
            break
        slides.append(each)
        length += len(each)
    if not any("\n" in each or ": " in each for each in slides):  # no text was found
        with suppress(Refused):
            return office.read(content, limits)
    answer = ReadText("\n\n".join(slides), is_cut=is_cut)
    within.take(answer, presentation.pictures(), limits.pictures, limits.most)
    return answer


class _Presentation:
    """A presentation being read."""

    def __init__(self, content: bytes) -> None:
        import olefile

        with olefile.OleFileIO(io.BytesIO(content)) as storage:
            current: bytes = storage.openstream("Current User").read()
            self._main = memoryview(storage.openstream("PowerPoint Document").read())
            has_pictures = storage.exists("Pictures")
            self._pictures = memoryview(storage.openstream("Pictures").read() if has_pictures else b"")
        token, edit = struct.unpack_from("<II", current, 12)
        if token == _ENCRYPTED_TOKEN:
            raise Refused(PASSWORD)
        self._places = dict[int, int]()
        document = self._at(self._places[self._follow(edit)])
        if document.type != _DOCUMENT:
            raise ValueError
        self._document = document.content
        self._links = dict(self._read_links())

    def slides(self) -> Iterator[str]:
        """Iterate over the slides, each with its comments and notes."""
        notes = dict(self._notes())
        for number, (key, place, outline) in enumerate(self._listed(0), 1):
            slide = self._at(self._places.get(place, -1))
            said = list(self._page_texts(slide.content, outline))
            titles = [words for kind, words in said if kind in _TITLES]
            heading = " ".join(" ".join(titles[:1]).split())
            parts = [f"## Slide {number}: {heading}" if heading else f"## Slide {number}"]
            parts += [words for kind, words in said if kind not in _TITLES] + titles[1:]
            parts += [*self._comments(slide.content), *_footers(slide.content)]
            yield "\n\n".join([*parts, *([f"Notes: {notes[key]}"] if notes.get(key) else [])])

    def pictures(self) -> Iterator[tuple[str, bytes]]:
        """Iterate over the pictures of types that models accept."""
        for number, each in enumerate(_records(self._pictures), 1):
            if each.type in _PICTURES:
                marks = 33 if each.instance in _TWO_MARKS else 17
                yield f"picture {number}.{_PICTURES[each.type]}", bytes(each.content[marks:])

    def _at(self, place: int) -> _Record:
        return next(
            _records(self._main[place:] if place >= 0 else memoryview(b"")), _Record(0, 0, memoryview(b""), False)
        )

    def _follow(self, edit: int) -> int:
        """Read the offsets of all objects, from last save to first (2.3.3, 2.3.4); return the id of the document."""
        document, seen = 0, set[int]()
        edit = edit if self._at(edit).type == _EDIT else self._last_edit()
        while edit and edit not in seen and len(seen) < MAX_EDITS:
            seen.add(edit)
            found = self._at(edit)
            if found.type != _EDIT:
                raise ValueError
            if len(found.content) >= _ENCRYPTED_EDIT:
                raise Refused(PASSWORD)
            edit, directory, number = struct.unpack_from("<III", found.content, 8)
            document = document or number
            self._read_directory(self._at(directory).content)
        return document

    def _last_edit(self) -> int:
        at = last = 0
        for each in _raw(self._main):
            last = at if struct.unpack_from("<H", each, 2)[0] == _EDIT else last
            at += len(each)
        return last

    def _read_directory(self, content: memoryview) -> None:
        at = 0
        while at + 4 <= len(content):
            head = struct.unpack_from("<I", content, at)[0]
            first, count = head & 0xFFFFF, min(head >> 20, (len(content) - at - 4) // 4)
            for place, offset in enumerate(struct.unpack_from(f"<{count}I", content, at + 4)):
                self._places.setdefault(first + place, offset)
            at += 4 + 4 * count

    def _listed(self, instance: int) -> Iterator[tuple[int, int, list[_Text]]]:
        """Iterate over slides or notes in order: identifier, reference to the record, and texts in the outline."""
        for found in _records(self._document):
            if found.type != _LISTED or found.instance != instance:
                continue
            current: tuple[int, int, list[memoryview]] | None = None
            for each in _raw(found.content):
                record = next(_records(each))
                if record.type == _PERSIST:
                    if current is not None:
                        yield current[0], current[1], _texts(memoryview(b"".join(current[2])))
                    place, _, _, key = struct.unpack_from("<IIII", record.content)
                    current = (key, place, [])
                elif current is not None:
                    current[2].append(each)
            if current is not None:
                yield current[0], current[1], _texts(memoryview(b"".join(current[2])))

    def _notes(self) -> Iterator[tuple[int, str]]:
        """Iterate over the notes with the identifiers of their slides."""
        for _, place, outline in self._listed(2):
            page = self._at(self._places.get(place, -1))
            atom = next((each for each in _records(page.content) if each.type == _NOTES_ATOM), None)
            if page.type == _NOTES and atom is not None:
                key = struct.unpack_from("<I", atom.content)[0]
                yield key, "\n\n".join(words for _, words in self._page_texts(page.content, outline))

    def _page_texts(self, page: memoryview, outline: list[_Text]) -> Iterator[tuple[int, str]]:
        """Iterate over the texts and tables of a page in order, each with its type."""
        waiting = [(each, 0) for each in reversed(list(_records(page)))]
        while waiting:
            each, depth = waiting.pop()
            if each.type == _GROUP and (table := self._table(each.content)):
                yield 4, table
            elif each.type == _SHAPE:
                yield from self._shape(each.content, outline)
            elif each.holds_records and depth < DEEPEST and each.type not in {_LISTED, _FOOTERS, _COMMENT}:
                waiting += [(inner, depth + 1) for inner in reversed(list(_records(each.content)))]

    def _shape(self, shape: memoryview, outline: list[_Text]) -> Iterator[tuple[int, str]]:
        for each in _records(shape):
            if each.type == _TEXT:
                for text in self._texts_of(each.content, outline):
                    words = self._written(text)
                    if words not in {"", "*"}:  # a placeholder for a number or a date
                        yield text.kind, words
            elif each.type == _PROPERTIES:
                words = one_line(_described(each), LONGEST_DESCRIPTION)
                if words:
                    yield 4, f"[picture: {words}]"

    def _texts_of(self, box: memoryview, outline: list[_Text]) -> list[_Text]:
        """Return the texts of a shape, which may refer to the outline."""
        for each in _records(box):
            if each.type == _OUTLINE:
                number = struct.unpack_from("<I", each.content)[0]
                return outline[number : number + 1]
        return _texts(box)

    def _table(self, group: memoryview) -> str:
        """Return a table, which is a group marked by its first shape; its cells are identified by their positions."""
        shapes = [each.content for each in _records(group) if each.type == _SHAPE]
        if not shapes or not any(_is_table(each) for each in _records(shapes[0])):
            return ""
        cells = dict[tuple[int, int], str]()
        for shape in shapes[1:]:
            anchor = next((each.content for each in _records(shape) if each.type == _ANCHOR), None)
            if anchor is not None:
                left, top = struct.unpack_from("<ii", anchor)
                said = " ".join(words for _, words in self._shape(shape, []))
                cells[top, left] = said or cells.get((top, left), "")
        columns = sorted({left for _, left in cells})
        rows = sorted({top for top, _ in cells})
        return as_table([[cells.get((top, left), "") for left in columns] for top in rows])

    def _comments(self, slide: memoryview) -> Iterator[str]:
        for each in _within(slide, _COMMENT):
            said = {part.instance: _wide(part.content) for part in _records(each) if part.type == _STRING}
            if words := " ".join(said.get(1, "").split()):
                yield f"Comment: {words}"

    def _read_links(self) -> Iterator[tuple[int, str]]:
        """Iterate over the identifiers and targets of links."""
        for each in _within(self._document, _LINK):
            parts = list(_records(each))
            number = next(
                (struct.unpack_from("<I", part.content)[0] for part in parts if part.type == _LINK_ATOM), None
            )
            target = next((_wide(part.content) for part in parts if part.type == _STRING and part.instance == 1), "")
            if number is not None and target:
                yield number, target

    def _written(self, text: _Text) -> str:
        words = text.words
        for start, end, number in sorted(text.links, reverse=True):
            target = self._links.get(number)
            if target and words[start:end].strip() not in {"", target}:
                words = f"{words[:start]}[{words[start:end]}]({target}){words[end:]}"
        lines = (line.strip() for line in words.replace("\r", "\n").replace("\x0b", "\n").splitlines())
        return "\n".join(each for each in lines if each)


def _raw(content: memoryview) -> Iterator[memoryview]:
    """Iterate over the records of a part, headers included; a truncated one is omitted."""
    at = 0
    while at + 8 <= len(content):
        end = at + 8 + struct.unpack_from("<I", content, at + 4)[0]
        if end > len(content):
            return
        yield content[at:end]
        at = end


def _records(content: memoryview) -> Iterator[_Record]:
    at = 0
    while at + 8 <= len(content):
        head, kind, length = struct.unpack_from("<HHI", content, at)
        yield _Record(kind, head >> 4, content[at + 8 : at + 8 + length], head & 0xF == _IS_CONTAINER)
        at += 8 + length


def _within(content: memoryview, kind: int) -> Iterator[memoryview]:
    """Iterate over the contents of all records of a type, at any depth."""
    waiting = [(each, 0) for each in reversed(list(_records(content)))]
    while waiting:
        each, depth = waiting.pop()
        if each.type == kind:
            yield each.content
        elif (each.holds_records or each.type == 0x138B) and depth < DEEPEST:  # noqa: PLR2004 - unmarked container
            waiting += [(inner, depth + 1) for inner in reversed(list(_records(each.content)))]


def _texts(content: memoryview) -> list[_Text]:
    """Return consecutive texts, each preceded by its type, with their links (2.9.76)."""
    found: list[_Text] = []
    link = 0
    for each in _records(content):
        if each.type == _HEADER:
            found.append(_Text(struct.unpack_from("<I", each.content)[0]))
        elif each.type in {_CHARS, _BYTES}:
            if not found or found[-1].words:
                found.append(_Text())
            found[-1].words = _wide(each.content) if each.type == _CHARS else bytes(each.content).decode("latin-1")
        elif each.holds_records:
            atom = next((part for part in _records(each.content) if part.type == _INTERACTION), None)
            link = struct.unpack_from("<I", atom.content, 4)[0] if atom is not None else 0
        elif each.type == _RANGE and found:
            with suppress(struct.error):
                start, end = struct.unpack_from("<II", each.content)
                found[-1].links.append((start, end, link))
    return found


def _wide(content: memoryview) -> str:
    return bytes(content).decode("utf-16-le", "replace").rstrip("\0")


def _footers(slide: memoryview) -> Iterator[str]:
    for part in _records(slide):
        if part.type == _FOOTERS:
            yield from (
                words for each in _records(part.content) if each.type == _STRING and (words := _wide(each.content))
            )


def _properties(record: _Record) -> Iterator[tuple[int, int, memoryview]]:
    """Iterate over the properties of a shape ([MS-ODRAW] 2.2.9): number, value and additional data of each."""
    kept = 6 * record.instance
    for place in range(min(record.instance, len(record.content) // 6)):
        head, value = struct.unpack_from("<HI", record.content, 6 * place)
        is_complex = bool(head & 0x8000)
        yield head & 0x3FFF, value, record.content[kept : kept + value] if is_complex else memoryview(b"")
        kept += value if is_complex else 0


def _is_table(record: _Record) -> bool:
    if record.type not in {_PROPERTIES, _MORE_PROPERTIES}:
        return False
    return any(number == _IS_TABLE and value & 1 for number, value, _ in _properties(record))


def _described(record: _Record) -> str:
    return next((_wide(kept) for number, _, kept in _properties(record) if number == _DESCRIPTION), "")
