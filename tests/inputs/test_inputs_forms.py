"""Office documents of rarer forms: strict ones, shows, templates, with macros; and remarks on slides."""

import re
from typing import Any
from xml.etree import ElementTree as ET

import pptx
import pytest
from pptx.opc.package import Part
from pptx.opc.packuri import PackURI

from tests.inputs import documents
from tests.inputs.test_inputs_kinds import read_all, text
from worker.inputs.readers import charts

COMMON = re.compile(rb"http://schemas\.openxmlformats\.org/(officeDocument|\w+ml)/2006/(\w+)")


def strict(content: bytes) -> bytes:
    members = documents.unzipped(content).items()
    return documents.zipped({name: COMMON.sub(rb"http://purl.oclc.org/ooxml/\1/\2", held) for name, held in members})


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (documents.word_with_everything(), ("## Offer", "in a text box", "CONFIDENTIAL", "Page footer")),
        (documents.excel(), ("| 2001 | 1.5 | row 1 |",)),
        (documents.slides_with_chart(), ("## Slide 1: Quarterly revenue", "| Q2 | 20.5 |", "Notes: Say it slowly.")),
    ],
    ids=["word", "excel", "powerpoint"],
)
async def test_a_document_of_the_strict_form_says_what_it_says_in_the_other(
    content: bytes, words: tuple[str, ...]
) -> None:
    said = await text(strict(content), "a.bin")
    assert said == await text(content, "a.bin")
    for each in words:
        assert each in said


OF_2007 = "<p:cm><p:text>Why?</p:text></p:cm>"
OF_2018 = "<x:cm><x:txBody><a:p><a:r><a:t>Why?</a:t></a:r></a:p></x:txBody></x:cm>"


@pytest.mark.parametrize("comment", [OF_2007, OF_2018], ids=["of 2007", "of 2018"])
async def test_remarks_on_slides_are_read(comment: str) -> None:
    spaces = "".join(f' xmlns:{each}="http://schemas.openxmlformats.org/{each}"' for each in "pax")
    xml = f"<p:cmLst{spaces}>{comment}</p:cmLst>"
    deck: Any = pptx.Presentation()
    slide = deck.slides.add_slide(deck.slide_layouts[5])
    slide.shapes.title.text = "Results"
    part = Part(PackURI("/ppt/comments/comment1.xml"), "application/xml", deck.part.package, xml.encode())
    slide.part.relate_to(part, "http://schemas.openxmlformats.org/officeDocument/2006/relationships/comments")
    assert (await text(documents.saved(deck), "a.pptx")).endswith("## Slide 1: Results\n\nComment: Why?")


OPEN = b"openxmlformats-officedocument"
MAIN = b".main+xml"


@pytest.mark.parametrize(
    ("content", "common", "rare"),
    [
        (documents.powerpoint(), OPEN + b".presentationml.presentation", OPEN + b".presentationml.slideshow"),
        (documents.powerpoint(), OPEN + b".presentationml.presentation", OPEN + b".presentationml.template"),
        (documents.powerpoint(), OPEN + b".presentationml.presentation", b"ms-powerpoint.slideshow.macroEnabled"),
        (documents.excel(), OPEN + b".spreadsheetml.sheet", OPEN + b".spreadsheetml.template"),
        (documents.excel(), OPEN + b".spreadsheetml.sheet", b"ms-excel.addin.macroEnabled"),
        (documents.word(), OPEN + b".wordprocessingml.document", OPEN + b".wordprocessingml.template"),
        (documents.word(), OPEN + b".wordprocessingml.document", b"ms-word.document.macroEnabled"),
    ],
    ids=["ppsx", "potx", "ppsm", "xltx", "xlam", "dotx", "docm"],
)
async def test_shows_templates_and_documents_with_macros_are_read(content: bytes, common: bytes, rare: bytes) -> None:
    members = documents.unzipped(content)
    types = members["[Content_Types].xml"]
    assert common + MAIN in types
    members["[Content_Types].xml"] = types.replace(common + MAIN, rare + MAIN)
    assert documents.WORDS in await text(documents.zipped(members), "a.bin")


async def test_a_document_whose_parts_have_names_with_backslashes_is_read() -> None:
    members = documents.unzipped(documents.word()).items()
    content = documents.zipped({name.replace("/", "\\"): held for name, held in members})
    assert documents.WORDS in await text(content, "a.bin")


async def test_a_table_that_a_program_calls_a_workbook_is_no_page_of_signing_in() -> None:
    (read,) = await read_all(b"<html><body><table><tr><td>City</td><td>37</td></tr></table></body></html>", "a.xls")
    assert "| City | 37 |" in (read.text or "")
    assert read.note == (
        "a.xls is named like application/vnd.ms-excel but contains text/html, which is included as text."
    )


def test_a_chart_says_how_many_points_of_how_many_are_shown() -> None:
    space = 'xmlns:c="http://schemas.openxmlformats.org/drawingml/2006/chart"'
    points = "".join(f'<c:pt idx="{place}"><c:v>{place}</c:v></c:pt>' for place in range(charts.MAX_POINTS + 5))
    series = f"<c:ser><c:val><c:numRef>{points}</c:numRef></c:val></c:ser>"
    root = ET.fromstring(f"<c:chartSpace {space}><c:chart>{series}</c:chart></c:chartSpace>")  # noqa: S314 - the test has written it
    text = charts.chart(root)
    assert text.endswith("(Of the 10,005 points of this chart the first 10,000 are shown.)")
    assert "| 10000 | 9999 |" in text
    assert "| 10001 |" not in text
