"""Visio drawings and XPS documents: the text of each page, which is scattered over its parts."""

import re
from collections.abc import Iterator
from typing import Any

from worker.bounded import Refused
from worker.inputs.kinds import VISIO
from worker.inputs.readers.answer import ReaderLimits, ReadText
from worker.inputs.readers.containers import BROKEN, TABLE_BYTES, opened
from worker.inputs.readers.markup import parse_xml

_PAGE = re.compile(r"visio/pages/page(\d+)\.xml|.*?(?:^|/)(\d+)\.fpage", re.IGNORECASE)
_SAME_LINE = 0.5  # of the font size: the maximum vertical distance of glyphs on one line


def read(content: bytes, limits: ReaderLimits) -> ReadText:
    """Read a document."""
    archive = opened(content)
    named = {int(found[1] or found[2]): name for name in archive.namelist() if (found := _PAGE.fullmatch(name))}
    say = _of_visio if limits.media_type == VISIO else _of_xps
    parts, length = list[str](), 0
    for number, name in sorted(named.items()):
        try:
            with archive.open(name) as member:
                root: Any = parse_xml(member.read(4 * TABLE_BYTES))
        except Exception:  # noqa: BLE001, S112 - a broken page does not affect the others
            continue
        if words := "\n".join(each for each in say(root) if each.strip()):
            parts.append(f"## Page {number}\n\n{words}")
            length += len(words)
        if length > limits.characters:
            return ReadText("\n\n".join(parts), is_cut=True)
    if not named:
        raise Refused(BROKEN)
    return ReadText("\n\n".join(parts))


def _of_visio(root: Any) -> Iterator[str]:
    for each in root.iter("{http://schemas.microsoft.com/office/visio/2012/main}Text"):
        yield " ".join("".join(each.itertext()).split())


def _of_xps(root: Any) -> Iterator[str]:
    """Iterate over the lines of a page: consecutive glyphs at the same height (ECMA-388, 12.1)."""
    line, last = list[str](), None
    for each in root.iter():
        said = each.get("UnicodeString")
        if said is None:
            continue
        height, size = _number(each.get("OriginY")), _number(each.get("FontRenderingEmSize"))
        if last is not None and abs(height - last) > _SAME_LINE * size:
            yield "".join(line)
            line = []
        line.append(said.removeprefix("{}"))
        last = height
    yield "".join(line)


def _number(said: object) -> float:
    try:
        return float(str(said))
    except ValueError:
        return 0.0
