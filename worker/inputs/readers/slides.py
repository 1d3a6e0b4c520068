"""PowerPoint presentations: the text, tables, charts and notes of each slide."""

import io
from collections.abc import Iterator
from contextlib import suppress
from typing import Any
from xml.etree import ElementTree as ET

from worker.bounded import Refused
from worker.inputs.names import one_line
from worker.inputs.readers import charts, within
from worker.inputs.readers.answer import LONGEST_DESCRIPTION, ReaderLimits, ReadText
from worker.inputs.readers.containers import BROKEN
from worker.inputs.readers.markup import DRAWING, RELATIONSHIPS, parse_xml
from worker.inputs.readers.tables import as_table

_GROUP, _PICTURE, _DIAGRAM_DATA = 6, 13, "diagramData"  # of MSO_SHAPE_TYPE; the end of a relationship's type


def read(content: bytes, limits: ReaderLimits) -> ReadText:
    """Read a presentation."""
    import pptx

    try:
        presentation: Any = pptx.Presentation(io.BytesIO(content))
        answer = ReadText("\n\n".join(_slide(number, each) for number, each in enumerate(presentation.slides, 1)))
        within.take(answer, _pictures(presentation), limits.pictures, limits.most)
    except Exception:  # noqa: BLE001 - a broken presentation makes the library raise almost anything
        raise Refused(BROKEN) from None
    return answer


def _pictures(presentation: Any) -> Iterator[tuple[str, bytes]]:
    """Iterate over the pictures of the slides in order."""
    for number, slide in enumerate(presentation.slides, 1):
        for element in slide.element.iter(f"{DRAWING}blip"):
            relation = slide.part.rels.get(element.get(f"{RELATIONSHIPS}embed"))
            if relation is not None and not relation.is_external:
                part = relation.target_part
                yield f"slide {number} {str(part.partname).rpartition('/')[2]}", part.blob


def _slide(number: int, slide: Any) -> str:
    title = slide.shapes.title
    heading = " ".join(title.text_frame.text.split()) if title is not None and title.has_text_frame else ""
    said = [
        text for shape in slide.shapes if not heading or shape != title for text in _texts_of(shape) if text.strip()
    ]
    said += [*_diagrams(slide), *_comments(slide)]
    notes = slide.notes_slide.notes_text_frame.text.strip() if _has_notes(slide) else ""
    parts = [f"## Slide {number}: {heading}" if heading else f"## Slide {number}", *said]
    return "\n\n".join([*parts, f"Notes: {notes}"] if notes else parts)


def _has_notes(slide: Any) -> bool:
    return slide.has_notes_slide and slide.notes_slide.notes_text_frame is not None


def _texts_of(shape: Any) -> Iterator[str]:
    """Iterate over the texts of a shape; an unreadable shape does not affect the others."""
    with suppress(ValueError, TypeError, AttributeError, NotImplementedError, LookupError, ET.ParseError):
        yield from _shape(shape)


def _shape(shape: Any) -> Iterator[str]:
    kind = _type_of(shape)
    if kind == _GROUP:
        for each in shape.shapes:
            yield from _texts_of(each)
    elif getattr(shape, "has_table", False):
        yield as_table([[cell.text_frame.text for cell in row.cells] for row in shape.table.rows])
    elif getattr(shape, "has_chart", False):
        yield charts.chart(shape.chart._chartSpace)  # noqa: SLF001 - its plots support only some types of charts
    elif kind == _PICTURE:
        words = one_line(shape._element._nvXxPr.cNvPr.get("descr") or "", LONGEST_DESCRIPTION)  # noqa: SLF001 - no other way
        yield f"[picture: {words}]" if words else ""
    elif shape.has_text_frame:
        yield "\n".join(line for each in shape.text_frame.paragraphs if (line := _line(each)))


def _type_of(shape: Any) -> int | None:
    """Return the type of a shape; None if the library does not know it, as for shapes without geometry."""
    try:
        return shape.shape_type
    except NotImplementedError:
        return None


def _line(paragraph: Any) -> str:
    words = "".join(run.text for run in paragraph.runs) or paragraph.text
    return f"{'  ' * paragraph.level}- {words}" if words.strip() and paragraph.level else words.strip()


def _comments(slide: Any) -> Iterator[str]:
    """Iterate over the comments on a slide in both existing formats (19.4, and [MS-PPTX] 2.16)."""
    for each in slide.part.rels.values():
        if each.is_external or each.reltype.rpartition("/")[2] != "comments":
            continue
        root = parse_xml(each.target_part.blob)
        for comment in (node for node in root.iter() if node.tag.rpartition("}")[2] == "cm"):
            parts = (node.text or "" for node in comment.iter() if node.tag.rpartition("}")[2] in {"text", "t"})
            if words := " ".join(" ".join(parts).split()):
                yield f"Comment: {words}"


def _diagrams(slide: Any) -> Iterator[str]:
    for each in slide.part.rels.values():
        if not each.is_external and each.reltype.rpartition("/")[2] == _DIAGRAM_DATA:
            yield from charts.diagram(each.target_part.blob)
