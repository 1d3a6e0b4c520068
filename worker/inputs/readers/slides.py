"""PowerPoint presentations: the text, tables, charts and notes of each slide."""

import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from xml.etree import ElementTree as ET

from worker.bounded import Refused
from worker.inputs.readers import within
from worker.inputs.readers.answer import Answer, Limits
from worker.inputs.readers.containers import BROKEN
from worker.inputs.readers.tables import as_table

MOST_POINTS = 10_000  # of one series of a chart
_CHART = "{http://schemas.openxmlformats.org/drawingml/2006/chart}"
_DIAGRAM_TEXT = "{http://schemas.openxmlformats.org/drawingml/2006/main}t"
_BLIP = "{http://schemas.openxmlformats.org/drawingml/2006/main}blip"
_EMBEDDED = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}embed"
_GROUP, _DIAGRAM_DATA = 6, "diagramData"  # MSO_SHAPE_TYPE.GROUP; the last part of a relationship's type


def read(content: bytes, limits: Limits) -> Answer:
    """Read a presentation. Raises: Refused."""
    import pptx

    try:
        presentation: Any = pptx.Presentation(io.BytesIO(content))
        answer = Answer("\n\n".join(_slide(number, each) for number, each in enumerate(presentation.slides, 1)))
        within.take(answer, _pictures(presentation), limits.pictures, limits.most)
    except Exception:  # noqa: BLE001 - a broken presentation makes the library raise almost anything
        raise Refused(BROKEN) from None
    return answer


def _pictures(presentation: Any) -> Iterator[tuple[str, bytes]]:
    """The pictures of the slides, in their order."""
    for number, slide in enumerate(presentation.slides, 1):
        for element in slide.element.iter(_BLIP):
            relation = slide.part.rels.get(element.get(_EMBEDDED))
            if relation is not None and not relation.is_external:
                part = relation.target_part
                yield f"slide {number} {str(part.partname).rpartition('/')[2]}", part.blob


def _slide(number: int, slide: Any) -> str:
    title = slide.shapes.title
    heading = " ".join(title.text_frame.text.split()) if title is not None else ""
    said = [text for shape in slide.shapes if shape != title for text in _shape(shape) if text.strip()]
    said += _diagrams(slide)
    notes = slide.notes_slide.notes_text_frame.text.strip() if _has_notes(slide) else ""
    parts = [f"## Slide {number}: {heading}" if heading else f"## Slide {number}", *said]
    return "\n\n".join([*parts, f"Notes: {notes}"] if notes else parts)


def _has_notes(slide: Any) -> bool:
    return slide.has_notes_slide and slide.notes_slide.notes_text_frame is not None


def _shape(shape: Any) -> Iterator[str]:
    if shape.shape_type == _GROUP:
        for each in shape.shapes:
            yield from _shape(each)
    elif getattr(shape, "has_table", False):
        yield as_table([[cell.text_frame.text for cell in row.cells] for row in shape.table.rows])
    elif getattr(shape, "has_chart", False):
        yield _chart(shape.chart)
    elif shape.has_text_frame:
        yield "\n".join(line for each in shape.text_frame.paragraphs if (line := _line(each)))


def _line(paragraph: Any) -> str:
    words = "".join(run.text for run in paragraph.runs) or paragraph.text
    return f"{'  ' * paragraph.level}- {words}" if words.strip() and paragraph.level else words.strip()


def _chart(chart: Any) -> str:
    """The numbers behind a chart, of any type, which it keeps beside the picture (ECMA-376, part 1, 21.2)."""
    root: Any = chart._chartSpace  # noqa: SLF001 - its plots know but some types of charts
    titles = root.findall(f"{_CHART}chart/{_CHART}title//{_DIAGRAM_TEXT}")
    title = "".join(each.text or "" for each in titles)
    series = [_Series.read(each) for each in root.iter(f"{_CHART}ser")]
    names = max((each.names for each in series), key=len, default=[])
    count = max([len(names), *(len(each.values) for each in series)], default=0)
    rows = [["", *(each.title for each in series)]]
    for place in range(count):
        name = names[place] if place < len(names) else str(place + 1)
        rows.append([name, *(each.values[place] if place < len(each.values) else "" for each in series)])
    return "\n\n".join([f"Chart: {title}" if title else "Chart:", as_table(rows)])


@dataclass
class _Series:
    """One series of a chart."""

    title: str
    names: list[str]
    values: list[str]

    @classmethod
    def read(cls, element: Any) -> "_Series":
        title = " ".join(_cached(element, "tx"))
        names = _cached(element, "cat") or _cached(element, "xVal")
        return cls(title, names, _cached(element, "val") or _cached(element, "yVal"))


def _cached(element: Any, what: str) -> list[str]:
    """The values of a reference as the chart keeps them, each at its place."""
    found: dict[int, str] = {}
    for each in element.findall(f"{_CHART}{what}//{_CHART}pt"):
        value = each.find(f"{_CHART}v")
        place = str(each.get("idx") or "")
        if value is not None and place.isdigit() and int(place) < MOST_POINTS:
            found[int(place)] = value.text or ""
    return [found.get(place, "") for place in range(max(found, default=-1) + 1)]


def _diagrams(slide: Any) -> Iterator[str]:
    """The words of SmartArt, which stand in a part of their own."""
    for each in slide.part.rels.values():
        if not each.is_external and each.reltype.rpartition("/")[2] == _DIAGRAM_DATA:
            root = ET.fromstring(each.target_part.blob)  # noqa: S314 - expat bounds entities (2.4.1)
            words = [text for node in root.iter(_DIAGRAM_TEXT) if (text := (node.text or "").strip())]
            if words:
                yield "\n".join(f"- {word}" for word in words)
