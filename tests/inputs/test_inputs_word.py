"""What stands in a Word document beside its paragraphs: tables in tables, fields, comments, charts, other documents."""

from io import BytesIO
from typing import Any

import docx
from docx.opc.packuri import PackURI
from docx.opc.part import Part
from docx.oxml import parse_xml

from tests.inputs import documents
from tests.inputs.documents import W, saved
from tests.inputs.servers import picture
from tests.inputs.test_inputs_kinds import text

RELATIONSHIPS = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
CHART = "http://schemas.openxmlformats.org/drawingml/2006/chart"


def added(document: Any, name: str, media_type: str, content: bytes, kind: str) -> str:
    """Put a part into a document; returns the id of its relationship."""
    part = Part(PackURI(name), media_type, content, document.part.package)
    return document.part.relate_to(part, f"{RELATIONSHIPS}/{kind}")


def put(document: Any, xml: str) -> None:
    document.element.body.insert(0, parse_xml(xml.replace(">", f' xmlns:w="{W}" xmlns:r="{RELATIONSHIPS}">', 1)))


async def test_a_table_within_a_cell_is_said_once_and_merged_cells_keep_their_columns() -> None:
    document: Any = docx.Document()
    table = document.add_table(2, 3)
    for number, cell in enumerate(each for row in table.rows for each in row.cells):
        cell.text = f"cell {number}"
    table.cell(0, 0).merge(table.cell(0, 1)).text = "wide"
    inner = table.cell(1, 2).add_table(1, 2)
    inner.cell(0, 0).text, inner.cell(0, 1).text = "inner", "most"
    said = await text(saved(document), "a.docx")
    assert "| wide |  | cell 2 |\n| --- | --- | --- |\n| cell 3 | cell 4 | cell 5 inner, most |" in said


async def test_rows_and_cells_within_content_controls_are_rows_and_cells() -> None:
    document: Any = docx.Document()
    cell = "<w:tc><w:p><w:r><w:t>{}</w:t></w:r></w:p></w:tc>"
    row = f"<w:tr>{cell.format('a')}<w:sdt><w:sdtContent>{cell.format('b')}</w:sdtContent></w:sdt></w:tr>"
    put(document, f"<w:tbl>{row}<w:sdt><w:sdtContent>{row}</w:sdtContent></w:sdt></w:tbl>")
    assert "| a | b |\n| --- | --- |\n| a | b |" in await text(saved(document), "a.docx")


async def test_a_link_that_is_a_field_has_its_target_and_other_fields_their_results_alone() -> None:
    field = (
        '<w:r><w:fldChar w:fldCharType="begin"/></w:r><w:r><w:instrText>{}</w:instrText></w:r>'
        '<w:r><w:fldChar w:fldCharType="separate"/></w:r><w:r><w:t>{}</w:t></w:r>'
        '<w:r><w:fldChar w:fldCharType="end"/></w:r>'
    )
    document: Any = docx.Document()
    put(document, f"<w:p>{field.format('HYPERLINK &quot;https://example.com/a&quot;', 'here')}</w:p>")
    put(document, f"<w:p>{field.format(' PAGE ', '7')}</w:p>")
    said = await text(saved(document), "a.docx")
    assert "[here](https://example.com/a)" in said
    assert "PAGE" not in said


async def test_comments_and_what_is_said_of_pictures() -> None:
    document: Any = docx.Document()
    document.add_comment(document.add_paragraph("The price holds.").runs, text="Until when?", author="Ann")
    document.add_picture(BytesIO(picture("PNG")))
    document.inline_shapes[0]._inline.docPr.set("descr", "A lorry\nin the yard")
    said = await text(saved(document), "a.docx")
    assert "The price holds. [comment 0]" in said
    assert "[comment 0] Ann: Until when?" in said
    assert "[picture: A lorry in the yard]" in said


async def test_the_numbers_of_a_chart() -> None:
    slides = documents.unzipped(documents.slides_with_chart())
    chart = next(content for name, content in slides.items() if name.startswith("ppt/charts/chart"))
    document: Any = docx.Document()
    media_type = "application/vnd.openxmlformats-officedocument.drawingml.chart+xml"
    key = added(document, "/word/charts/chart1.xml", media_type, chart, "chart")
    put(document, f'<w:p><w:r><w:drawing><c:chart xmlns:c="{CHART}" r:id="{key}"/></w:drawing></w:r></w:p>')
    said = await text(saved(document), "a.docx")
    assert "Chart: Revenue by quarter\n\n|  | 2026 |\n| --- | --- |\n| Q1 | 10 |\n| Q2 | 20.5 |" in said


async def test_a_document_that_is_a_web_page_within() -> None:
    for media_type, content in (
        ("text/html", "<html><body><h1>Größe</h1></body></html>".encode()),
        (
            "message/rfc822",
            b"MIME-Version: 1.0\r\nContent-Type: text/html; charset=utf-8\r\n\r\n<h1>Gr\xc3\xb6\xc3\x9fe</h1>",
        ),
        ("text/plain", "# Größe".encode()),
    ):
        document: Any = docx.Document()
        put(
            document,
            f'<w:altChunk r:id="{added(document, "/word/a.bin", media_type, content, "aFChunk")}"/>'.replace(
                "/>", "></w:altChunk>"
            ),
        )
        assert "# Größe" in await text(saved(document), "a.docx")


async def test_a_box_within_a_line_leaves_no_gap_in_it() -> None:
    run = b'<w:r><w:t xml:space="preserve">%b</w:t></w:r>'
    box = b"<w:r><w:pict><w:txbxContent>" + documents.paragraph(b"boxed") + b"</w:txbxContent></w:pict></w:r>"
    body = b"<w:p>" + run % b"Nails " + box + run % b" and bolts" + b"</w:p>"
    assert (await text(documents.word_with(body), "a.docx")).endswith("Nails and bolts\n\nboxed")
