"""Office documents that are one XML file, and others that hold their words in parts: drawings, pages, mailboxes."""

import base64

import pytest

from tests.inputs import documents
from tests.inputs.documents import W, zipped
from tests.inputs.test_inputs_kinds import message, read_all, text
from worker.inputs import Kind
from worker.inputs.causes import UnreadableError

SHEETS = """<?xml version="1.0"?>
<?mso-application progid="Excel.Sheet"?>
<Workbook xmlns="urn:schemas-microsoft-com:office:spreadsheet" xmlns:ss="urn:schemas-microsoft-com:office:spreadsheet"
  xmlns:x="urn:schemas-microsoft-com:office:excel">
<Styles><Style ss:ID="s1"><NumberFormat ss:Format="Percent"/></Style></Styles>
<Worksheet ss:Name="Sales"><Table>
<Row><Cell><Data ss:Type="String">City</Data></Cell><Cell><Data ss:Type="String">Share</Data></Cell></Row>
<Row ss:Index="3"><Cell><Data ss:Type="String">Leeds</Data><Comment><Data>Counted twice.</Data></Comment></Cell>
<Cell ss:StyleID="s1"><Data ss:Type="Number">0.525</Data></Cell></Row>
<Row><Cell ss:Index="2"><Data ss:Type="DateTime">2026-03-01T00:00:00.000</Data></Cell></Row>
</Table></Worksheet>
<Worksheet ss:Name="Draft"><Table><Row><Cell><Data ss:Type="Boolean">1</Data></Cell></Row></Table>
<x:WorksheetOptions><x:Visible>SheetHidden</x:Visible></x:WorksheetOptions></Worksheet></Workbook>"""

OLD_WORD = """<?xml version="1.0"?><?mso-application progid="Word.Document"?>
<w:wordDocument xmlns:w="http://schemas.microsoft.com/office/word/2003/wordml"
  xmlns:aml="http://schemas.microsoft.com/aml/2001/core">
<w:styles><w:style w:type="paragraph" w:styleId="H"><w:name w:val="heading 2"/></w:style></w:styles>
<w:body><w:p><w:pPr><w:pStyle w:val="H"/></w:pPr><w:r><w:t>Offer</w:t></w:r></w:p>
<w:p><w:pPr><w:listPr><w:ilvl w:val="0"/></w:listPr></w:pPr><w:r><w:t>first</w:t></w:r></w:p>
<w:p><w:hlink w:dest="https://example.com/?a=1&amp;b=2"><w:r><w:t>here</w:t></w:r></w:hlink>
<w:r><w:footnote><w:p><w:r><w:t>a note</w:t></w:r></w:p></w:footnote></w:r>
<aml:annotation w:type="Word.Deletion"><aml:content><w:r><w:t>gone</w:t></w:r></aml:content></aml:annotation></w:p>
<w:tbl><w:tr><w:tc><w:p><w:r><w:t>Year</w:t></w:r></w:p></w:tc><w:tc><w:p><w:r><w:t>37</w:t></w:r></w:p></w:tc></w:tr>
</w:tbl></w:body></w:wordDocument>"""


async def test_a_workbook_of_2003_in_xml_is_a_table_a_sheet() -> None:
    said = await text(SHEETS.encode(), "export.xls")
    assert said == (
        "[text extracted from export.xls]\n\nSheets: Sales, Draft (hidden)\n\n## Sales\n\n| City | Share |\n"
        "| --- | --- |\n| Leeds | 52.50% |\n|  | 2026-03-01 |\n\nComment on A3: Counted twice.\n\n"
        "## Draft\n\n| TRUE |\n| --- |"
    )


async def test_a_word_document_of_2003_in_xml_is_read_as_later_ones_are() -> None:
    said = await text(OLD_WORD.encode(), "a.xml")
    assert said == (
        "[text extracted from a.xml]\n\n## Offer\n\n- first\n\n[here](https://example.com/?a=1&b=2) [a note]\n\n"
        "| Year | 37 |\n| --- | --- |"
    )


def flat(content: bytes) -> bytes:
    """A package as one XML file."""
    parts = documents.unzipped(content)
    word = "application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"
    kinds = {"word/document.xml": word, "_rels/.rels": "application/vnd.openxmlformats-package.relationships+xml"}
    written = [
        f'<pkg:part pkg:name="/{name}" pkg:contentType="{kind}"><pkg:xmlData>'
        f"{parts[name].decode().partition('?>')[2]}</pkg:xmlData></pkg:part>"
        for name, kind in kinds.items()
    ]
    picture = base64.b64encode(b"any").decode()
    written.append(
        f'<pkg:part pkg:name="/word/a.png" pkg:contentType="image/png"><pkg:binaryData>{picture}</pkg:binaryData>'
        "</pkg:part>"
    )
    space = "http://schemas.microsoft.com/office/2006/xmlPackage"
    return f'<?xml version="1.0"?><pkg:package xmlns:pkg="{space}">{"".join(written)}</pkg:package>'.encode()


async def test_a_package_that_is_written_as_one_file_is_read_as_a_packed_one_is() -> None:
    assert documents.WORDS in await text(flat(documents.word()), "a.xml")


async def test_of_a_visio_drawing_the_words_of_each_page() -> None:
    visio = "http://schemas.microsoft.com/visio/2010/relationships/document"
    page = b'<PageContents xmlns="http://schemas.microsoft.com/office/visio/2012/main"><Shapes><Shape><Text>%b</Text>'
    drawing = {
        "[Content_Types].xml": (
            b'<Types><Override PartName="/visio/document.xml" '
            b'ContentType="application/vnd.ms-visio.drawing.main+xml"/></Types>'
        ),
        "_rels/.rels": (
            f'<Relationships><Relationship Type="{visio}" Target="visio/document.xml"/></Relationships>'.encode()
        ),
        **{
            f"visio/pages/page{number}.xml": page % words + b"</Shape></Shapes></PageContents>"
            for number, words in ((10, b"last"), (2, b"Router <cp/>here"))
        },
    }
    assert (await text(zipped(drawing), "a.vsdx")).endswith("## Page 2\n\nRouter here\n\n## Page 10\n\nlast")


async def test_of_an_xps_document_the_words_of_each_page_line_by_line() -> None:
    glyphs = "".join(
        f'<Glyphs UnicodeString="{words}" OriginY="{height}" FontRenderingEmSize="12"/>'
        for words, height in (("Turnover ", 10), ("grew", 10.5), ("by 7 %", 30))
    )
    document = {
        "[Content_Types].xml": b"<Types/>",
        "FixedDocumentSequence.fdseq": b"<a/>",
        "Documents/1/Pages/1.fpage": f"<FixedPage>{glyphs}</FixedPage>".encode("utf-16"),
    }
    assert (await text(zipped(document), "a.xps")).endswith("## Page 1\n\nTurnover grew\nby 7 %")


async def test_of_an_iwork_document_its_preview_is_read_and_a_note_says_so() -> None:
    document = zipped({"Index/Document.iwa": b"\0", "preview.jpg": b"\xff\xd8\xff\xe0 no whole picture"})
    read, preview = await read_all(document, "plan.pages")
    assert "only its preview can be read (a picture of its first page)" in (read.note or "")
    assert preview.name == "plan.pages/preview.jpg"
    with pytest.raises(UnreadableError, match=r"iWork document.*export it as a PDF"):
        await read_all(zipped({"Index/Document.iwa": b"\0"}), "plan.pages")


async def test_a_fiction_book_has_its_title_its_author_and_no_pictures_in_base64() -> None:
    book = (
        '<?xml version="1.0"?><FictionBook xmlns="http://www.gribuser.ru/xml/fictionbook/2.0"><description><title-info>'
        "<author><first-name>Ann</first-name><last-name>Lee</last-name></author><book-title>Boxes</book-title>"
        "</title-info></description><body><section><p>It was a dark warehouse.</p></section></body>"
        '<binary id="a.png" content-type="image/png">AAAABBBB</binary></FictionBook>'
    )
    said = await text(book.encode(), "a.fb2")
    assert "by Ann Lee\n\n# Boxes\n\n" in said
    assert "It was a dark warehouse." in said
    assert "AAAABBBB" not in said


async def test_a_mailbox_is_its_messages_and_what_is_attached_to_them() -> None:
    first = message(html="<p>Boxes <b>arrived</b>.</p>", attached={"stock.csv": b"item,boxes\nnails,37\n"})
    second = message()
    second.set_content("Thanks.\n>From here on I count them.\nFrom Monday 09:30 we are open.\n")
    box = b"".join(
        b"From a@example.com Mon Jan  5 10:00:00 2026\n" + each.as_bytes() + b"\n" for each in (first, second)
    )
    read, attached = await read_all(box, "all.mbox")
    said = read.text or ""
    assert "a mailbox (2 messages)\n\n## Message 1\n\nFrom: " in said
    assert "Attachment: stock.csv (20 bytes)" in said
    assert said.endswith("Thanks.\nFrom here on I count them.\nFrom Monday 09:30 we are open.")
    assert (attached.kind, attached.name) == (Kind.TEXT, "all.mbox/stock.csv")


def test_words_of_documents_are_those_of_their_standard() -> None:
    assert W.encode() not in OLD_WORD.encode()  # else it would prove nothing
