"""Word 6 and Word 95 documents: their text in the order of the file, with table rows as lines."""

import re
import struct
from collections.abc import Iterator
from itertools import pairwise

from worker.bounded import Refused
from worker.inputs.decoding import Encoding, text_encoding
from worker.inputs.readers.answer import ReadText

WORDS = (0xA5DC, 0xA697, 0xA698, 0xA699)  # the first word of the stream: the common one, and East Asian ones
_ENCRYPTED, _COMPLEX = 0x0100, 0x0004
_FLAGS, _FIRST, _LENGTHS, _PIECES = 0x0A, 0x18, (0x34, 0x38, 0x3C, 0x44, 0x48, 0x4C, 0x50), 0x160
_SIGNS = {
    "\x07": "\x07",
    "\t": "\t",
    "\x0b": "\n",
    "\x0c": "\n\n",
    "\r": "\n\n",
    "\x0e": "\n",
    "\x1e": "-",
    "\xa0": " ",
}
_GAP = re.compile(r"\n{3,}")
_BEGIN, _SEPARATE, _END = "\x13\x14\x15"


def read(main: bytes, password: str) -> ReadText:
    """Read the main stream of a document.

    Raises:
        Refused: It is encrypted.
        struct.error, IndexError: It is broken.
    """
    flags = struct.unpack_from("<H", main, _FLAGS)[0]
    if flags & _ENCRYPTED:
        raise Refused(password)
    length = sum(max(struct.unpack_from("<i", main, at)[0], 0) for at in _LENGTHS)
    content = (
        b"".join(_pieces(main)) if flags & _COMPLEX else main[struct.unpack_from("<I", main, _FIRST)[0] :][:length]
    )
    found = text_encoding(content.translate(None, bytes(range(32)))) or Encoding("cp1252", is_guess=True)
    answer = ReadText(_tidy("".join(_shown(content.decode(found.name, "replace")))))
    if found.is_guess:
        answer.notes.append(f"it does not declare its encoding; it was read as {found.spoken}, which is a guess")
    return answer


def _pieces(main: bytes) -> Iterator[bytes]:
    """Iterate over the chunks of a fast-saved document, in the order of its piece table."""
    at, length = struct.unpack_from("<II", main, _PIECES)
    entry, at = main[at : at + length], 0
    while entry[at] == 1:
        at += 3 + struct.unpack_from("<H", entry, at + 1)[0]
    count = (struct.unpack_from("<I", entry, at + 1)[0] - 4) // 12
    places = struct.unpack_from(f"<{count + 1}I", entry, at + 5)
    for number, (start, end) in enumerate(pairwise(places)):
        offset = struct.unpack_from("<I", entry, at + 5 + 4 * (count + 1) + 8 * number + 2)[0]
        yield main[offset : offset + max(end - start, 0)]


def _shown(text: str) -> Iterator[str]:
    """Iterate over the visible characters: for a field, its result rather than its code."""
    codes = list[bool]()
    for letter in text:
        if letter == _BEGIN:
            codes.append(True)
        elif letter == _SEPARATE and codes:
            codes[-1] = False
        elif letter == _END and codes:
            codes.pop()
        elif not any(codes[-1:]):
            yield _SIGNS.get(letter) or (letter if letter >= " " else "")


def _tidy(text: str) -> str:
    """Write table rows as lines: each cell ends with a mark, and so does the row."""
    *cells, rest = text.split("\x07")
    lines, row = list[str](), list[str]()
    for each in cells:
        if words := each.strip():
            row.append(words)
        elif row:
            lines.append(" | ".join(row))
            row = []
    return _GAP.sub("\n\n", "\n".join([*lines, *([" | ".join(row)] if row else []), rest]))
