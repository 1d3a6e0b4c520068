"""Charts and diagrams in office documents: their numbers and words (ECMA-376, part 1, 21)."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from worker.inputs.readers.markup import DRAWING, parse_xml
from worker.inputs.readers.tables import as_table

MAX_POINTS = 10_000  # per series of a chart
_CHART = "{http://schemas.openxmlformats.org/drawingml/2006/chart}"
_TEXT = f"{DRAWING}t"


def chart(root: Any) -> str:
    """Return the numbers of a chart of any type, which are stored alongside its picture.

    Args:
        root: The element ``chartSpace``.
    """
    title = title_of(root)
    series = [_Series.read(each) for each in root.iter(f"{_CHART}ser")]
    names = max((each.names for each in series), key=len, default=[])
    count = max([len(names), *(len(each.values) for each in series)], default=0)
    rows = [["", *(each.title for each in series)]]
    for place in range(count):
        name = names[place] if place < len(names) else str(place + 1)
        rows.append([name, *(each.values[place] if place < len(each.values) else "" for each in series)])
    parts = [f"Chart: {title}" if title else "Chart:", as_table(rows)]
    whole = max((each.points for each in series), default=0)
    if whole > MAX_POINTS:
        parts.append(f"(Of the {whole:,} points of this chart the first {MAX_POINTS:,} are shown.)")
    return "\n\n".join(parts)


def title_of(root: Any) -> str:
    """Return the title of a chart; empty if it has none."""
    return "".join(each.text or "" for each in root.findall(f"{_CHART}chart/{_CHART}title//{_TEXT}"))


def diagram(blob: bytes) -> Iterator[str]:
    """Return the words of SmartArt as a list; nothing if there are none."""
    root = parse_xml(blob)
    words = [text for node in root.iter(_TEXT) if (text := (node.text or "").strip())]
    if words:
        yield "\n".join(f"- {word}" for word in words)


@dataclass
class _Series:
    """A series of a chart."""

    title: str
    names: list[str]
    values: list[str]
    points: int  # the total number, including points that are not read

    @classmethod
    def read(cls, element: Any) -> "_Series":
        title = " ".join(_cached(element, "tx"))
        names = _names(element)
        points = max(len(element.findall(f"{_CHART}{what}//{_CHART}pt")) for what in ("val", "yVal"))
        return cls(title, names, _cached(element, "val") or _cached(element, "yVal"), points)


def _names(element: Any) -> list[str]:
    """Return the labels of the categories. With several levels, a label combines them all, the outer level first."""
    levels = element.findall(f"{_CHART}cat//{_CHART}lvl")
    if not levels:
        return _cached(element, "cat") or _cached(element, "xVal")
    read = [_points(each) for each in levels]
    names: list[str] = []
    current = [""] * len(read)
    for place in range(max(map(len, read))):
        current = [
            level[place] if place < len(level) and level[place] else last
            for level, last in zip(read, current, strict=True)
        ]
        names.append(" / ".join(each for each in reversed(current) if each))
    return names


def _cached(element: Any, what: str) -> list[str]:
    """Return the cached values of a reference, each at its index."""
    return _points(element.find(f"{_CHART}{what}"))


def _points(element: Any) -> list[str]:
    found: dict[int, str] = {}
    for each in element.iter(f"{_CHART}pt") if element is not None else ():
        value = each.find(f"{_CHART}v")
        place = str(each.get("idx") or "")
        if value is not None and place.isdigit() and int(place) < MAX_POINTS:
            found[int(place)] = value.text or ""
    return [found.get(place, "") for place in range(max(found, default=-1) + 1)]
