"""OpenDocuments: what people see in them, whether they are packed or not."""

import base64
from collections.abc import Callable

import pytest

from tests.inputs.opendocuments import flat, packed, xml
from tests.inputs.test_inputs_kinds import read_all, text
from tests.inputs.test_inputs_within import picture
from worker.inputs.attachments import Fetched, Kind
from worker.inputs.examining import examined

BODY = (
    "<text:tracked-changes><text:p>deleted</text:p></text:tracked-changes>"
    '<text:h text:outline-level="2">Offer</text:h>'
    '<text:p>Good<text:s text:c="2"/>day'
    "<text:note><text:note-body><text:p>At noon.</text:p></text:note-body></text:note>"
    '<text:tab/><text:a xlink:href="https://example.com">here</text:a>'
    "<office:annotation><dc:creator>Ann</dc:creator><text:p>Until when?</text:p></office:annotation></text:p>"
    "<text:list><text:list-item><text:p>one</text:p>"
    "<text:list><text:list-item><text:p>two</text:p></text:list-item></text:list></text:list-item></text:list>"
    "<table:table><table:table-row><table:table-cell><text:p>a</text:p></table:table-cell>"
    "<table:covered-table-cell/><table:table-cell><text:p>b</text:p><table:table><table:table-row>"
    "<table:table-cell><text:p>inner</text:p></table:table-cell></table:table-row></table:table>"
    "</table:table-cell></table:table-row></table:table>"
    "<text:p><draw:frame><draw:text-box><text:p>in a box</text:p></draw:text-box></draw:frame></text:p>"
    "<text:p><draw:frame><draw:image/><svg:desc>A lorry</svg:desc></draw:frame></text:p>"
)
SAID = (
    *("## Offer", "Good  day[^1]\t[here](https://example.com) [comment 1]", "[^1]: At noon."),
    *("[comment 1] Ann: Until when?", "- one\n  - two", "| a |  | b inner |", "in a box", "[picture: A lorry]"),
)


def paragraph(words: str) -> str:
    return f"<text:p>{words}</text:p>"


def cell(shown: str, more: str = "") -> str:
    return f"<table:table-cell {more}>{paragraph(shown) if shown else ''}</table:table-cell>"


def row(*cells: str, times: int = 1) -> str:
    return f'<table:table-row table:number-rows-repeated="{times}">{"".join(cells)}</table:table-row>'


def sheet(name: str, inside: str, more: str = "") -> str:
    return f'<table:table table:name="{name}" {more}>{inside}</table:table>'


def box(words: str, kind: str = "outline") -> str:
    inside = f"<draw:text-box>{paragraph(words)}</draw:text-box>"
    return f'<draw:frame presentation:class="{kind}">{inside}</draw:frame>'


@pytest.mark.parametrize("make", [packed, flat], ids=["packed", "flat"])
async def test_of_a_text_nothing_that_people_see_is_left_out(make: Callable[[str, str], bytes]) -> None:
    said = await text(make("text", BODY), "a.odt")
    for words in SAID:
        assert words in said
    assert "deleted" not in said


async def test_headers_and_footers() -> None:
    around = f"<style:header>{paragraph('CONFIDENTIAL')}</style:header><style:footer>{paragraph('Page')}</style:footer>"
    styles = xml("document-styles", f"<office:master-styles>{around}</office:master-styles>").encode()
    said = await text(packed("text", paragraph("hello"), parts={"styles.xml": styles}), "a.odt")
    assert said.endswith("hello\n\nHeaders and footers:\n\nCONFIDENTIAL\n\nPage")


async def test_cells_are_those_that_are_shown_and_repeated_emptiness_is_left_out() -> None:
    hidden = (
        '<office:automatic-styles><style:style style:name="h" style:family="table"><style:table-properties'
        ' table:display="false"/></style:style></office:automatic-styles>'
    )
    asked = f"<table:table-cell><office:annotation>{paragraph('Why?')}</office:annotation></table:table-cell>"
    rows = (
        row(cell("Share"), cell("Date")),
        row(cell("52 %", 'office:value="0.52"'), cell("5 March", 'office:date-value="2024-03-05"')),
        row(cell("", 'office:value="7"'), asked, times=2),
        row(cell("", 'table:number-columns-repeated="16384"'), times=1_048_000),
        row(cell("last")),
    )
    figures = sheet("Figures", f"<table:shapes>{box('in a box')}</table:shapes>{''.join(rows)}")
    old = sheet("Old", row(cell("x")), 'table:style-name="h"')
    said = await text(packed("spreadsheet", figures + sheet("Empty", "") + old, styles=hidden), "a.ods")
    assert "Sheets: Figures, Empty, Old (hidden)" in said
    table = "| Share | Date |\n| --- | --- |\n| 52 % | 5 March |\n| 7 |  |\n| 7 |  |\n| last |  |"
    assert f"## Figures\n\n{table}\n\nComment on B3: Why?\n\nText box: in a box" in said


async def test_a_sheet_that_says_it_has_a_thousand_million_cells_is_cut() -> None:
    wide = cell("x" * 1000, 'table:number-columns-repeated="1000000000"')
    content = packed("spreadsheet", sheet("Huge", row(wide, times=1_000_000_000)))
    (read,) = await examined("https://example.com/a.ods", Fetched(content), 400_000)
    assert read.is_cut
    assert len(read.content) < 500_000


async def test_slides_have_titles_tables_notes_and_the_numbers_of_charts() -> None:
    title = f"<chart:title>{paragraph('Revenue')}</chart:title>"
    numbers = sheet("local", row(cell("Q1"), cell("10")))
    chart = f"<office:body><office:chart><chart:chart>{title}{numbers}</chart:chart></office:chart></office:body>"
    page = (
        box("Results", "title"),
        '<draw:frame><draw:object xlink:href="./Object 1"/></draw:frame>',
        f"<draw:g><draw:custom-shape>{paragraph('in a group')}</draw:custom-shape></draw:g>",
        f"<presentation:notes>{box('Slowly.')}{box('1', 'page-number')}</presentation:notes>",
    )
    parts = {"Object 1/content.xml": xml("document-content", chart).encode()}
    body = f"<draw:page>{''.join(page)}</draw:page><draw:page/>"
    said = await text(packed("presentation", body, parts=parts), "a.odp")
    assert said.partition("\n\n")[2] == (
        "## Slide 1: Results\n\nChart: Revenue\n\n| Q1 | 10 |\n| --- | --- |\n\nin a group\n\n"
        "Notes:\n\nSlowly.\n\n## Slide 2"
    )


@pytest.mark.parametrize("kind", ["text", "spreadsheet", "presentation"])
async def test_pictures_become_images_where_they_are_wanted(kind: str) -> None:
    frame = '<draw:frame><draw:image xlink:href="Pictures/a.png"/></draw:frame>'
    body = {
        "text": paragraph(f"hello{frame}"),
        "spreadsheet": sheet("A", f"{row(cell('hello'))}<table:shapes>{frame}</table:shapes>"),
        "presentation": f"<draw:page>{box('hello')}{frame}</draw:page>",
    }[kind]
    content = picture(7)
    document = packed(kind, body, parts={"Pictures/a.png": content})
    (alone,) = await read_all(document, "a.bin")
    assert "1 picture in it is left out" in str(alone.note)
    _, image = await examined("https://example.com/a.bin", Fetched(document), 20_000_000, pictures=5)
    assert (image.kind, image.content) == (Kind.IMAGE, content)


async def test_a_picture_of_a_flat_document_is_within_it() -> None:
    content = picture(7)
    held = f"<office:binary-data>{base64.b64encode(content).decode()}</office:binary-data>"
    document = flat("text", paragraph(f"hello<draw:frame><draw:image>{held}</draw:image></draw:frame>"))
    _, image = await examined("https://example.com/a.fodt", Fetched(document), 20_000_000, pictures=5)
    assert (image.kind, image.content) == (Kind.IMAGE, content)


@pytest.mark.parametrize("body", ["<text:p>", "<text:list>" * 3000 + "</text:list>" * 3000])
async def test_a_broken_flat_document_is_included_as_it_is(body: str) -> None:
    (read,) = await read_all(flat("text", body), "a.fodt")
    assert (read.kind, read.media_type) == (Kind.TEXT, "application/vnd.oasis.opendocument.text")
    assert "it cannot be converted" in str(read.note)
