"""A PowerPoint presentation of before 2007, record by record, as [MS-PPT] has it."""

import struct

from tests.inputs.compound import compound

SHORT = (0x0F9F, 0x0FA0, 0x0F9E)  # a text's kind, its letters, its place in the outline


def record(kind: int, content: bytes, instance: int = 0, *, holds: bool = False) -> bytes:
    """A record; one that holds others says so."""
    return struct.pack("<HHI", instance << 4 | (0xF if holds else 0), kind, len(content)) + content


def held(kind: int, *records: bytes, instance: int = 0) -> bytes:
    return record(kind, b"".join(records), instance, holds=True)


def said(words: str, kind: int = 4) -> bytes:
    """A text, with its kind."""
    return record(SHORT[0], struct.pack("<I", kind)) + record(SHORT[1], words.encode("utf-16-le"))


def shape(*records: bytes) -> bytes:
    return held(0xF004, *records)


def box(*records: bytes) -> bytes:
    return shape(held(0xF00D, *records))


def cell(left: int, top: int, words: str) -> bytes:
    return shape(record(0xF00F, struct.pack("<iiii", left, top, left + 9, top + 9)), held(0xF00D, said(words)))


def table(*cells: bytes) -> bytes:
    """A group whose first shape says that it is a table."""
    return held(0xF003, shape(record(0xF122, struct.pack("<HI", 0x039F, 1), 1)), *cells)


def link(start: int, end: int, number: int) -> bytes:
    return held(0x0FF2, record(0x0FF3, struct.pack("<II", 0, number) + bytes(8))) + record(
        0x0FDF, struct.pack("<II", start, end)
    )


def listed(place: int, key: int, *texts: bytes) -> bytes:
    return record(0x03F3, struct.pack("<IIIII", place, 0, len(texts), key, 0)) + b"".join(texts)


def old_slides(*, encrypted: bool = False, copies: int = 1) -> bytes:
    """A title of the outline, a box with a link, a table, notes, a comment, a footer, and an older save of it all."""
    target = "https://example.com/a"
    links = held(
        0x0409,
        held(0x0FD7, record(0x0FD3, struct.pack("<I", 7)), record(0x0FBA, target.encode("utf-16-le"), 1)),
    )
    outline = held(0x0FF0, listed(2, 256, said("Results", 0), said("Turnover\rgrew", 1)) * copies)
    notes = held(0x0FF0, listed(3, 512), instance=2)
    document = held(0x03E8, links, outline, notes)
    comment = held(
        0x2EE0,
        record(0x0FBA, "Ann".encode("utf-16-le"), 0),
        record(0x0FBA, "Is that so?".encode("utf-16-le"), 1),
    )
    drawing = held(
        0x040C,
        held(
            0xF002,
            held(
                0xF003,
                box(record(0x0F9E, struct.pack("<I", 0))),
                box(record(0x0F9E, struct.pack("<I", 1))),
                box(said("see here"), link(4, 8, 7)),
                table(cell(10, 10, "Year"), cell(20, 10, "Boxes"), cell(20, 20, "37"), cell(10, 20, "2026")),
            ),
        ),
    )
    footer = held(0x0FD9, record(0x0FBA, "Confidential".encode("utf-16-le"), 2))
    tags = held(0x1388, held(0x138A, record(0x138B, comment)))
    slide = held(0x03EE, record(0x03EF, bytes(24)), drawing, footer, tags)
    page = held(
        0x03F0,
        record(0x03F1, struct.pack("<II", 256, 0)),
        held(0x040C, held(0xF002, held(0xF003, box(said("Say it slowly.", 2))))),
    )
    deleted = held(0x03EE, held(0x040C, held(0xF002, held(0xF003, box(said("what was deleted"))))))
    stream, places = b"", list[int]()
    for each in (document, deleted, page, document, slide):
        places.append(len(stream))
        stream += each
    first = len(stream)
    stream += record(0x1772, struct.pack("<I3I", 3 << 20 | 1, *places[:3]))
    edit = len(stream)
    stream += record(0x0FF5, struct.pack("<IIIIIII", 0, 0, 0, first, 1, 4, 0))
    second = len(stream)
    stream += record(0x1772, struct.pack("<I2I", 2 << 20 | 1, *places[3:]))
    last = len(stream)
    stream += record(0x0FF5, struct.pack("<IIIIIII", 0, 0, edit, second, 1, 4, 0))
    token = 0xF3D1C4DF if encrypted else 0xE391C05F
    user = struct.pack("<HHIIII", 0, 0x0FF6, 20, 20, token, last)
    return compound({"PowerPoint Document": stream, "Current User": user.ljust(40, b"\0")})
