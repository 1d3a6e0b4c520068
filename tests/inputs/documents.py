"""Real documents, made by the libraries that people make theirs with."""

import json
import zipfile
from io import BytesIO
from typing import Any

WORDS = "Turnover grew by 7 % in Übersee."
W = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"


def word() -> bytes:
    import docx

    document: Any = docx.Document()
    document.add_heading("Report", 1)
    document.add_paragraph(WORDS)
    table = document.add_table(1, 2)
    table.cell(0, 0).text, table.cell(0, 1).text = "Year", "Total"
    return saved(document)


def excel(rows: int = 2) -> bytes:
    import openpyxl

    book: Any = openpyxl.Workbook(write_only=True)
    sheet = book.create_sheet("Figures")
    sheet.append(["Year", "Total", WORDS])
    for number in range(rows):
        sheet.append([2000 + number, number * 1.5, f"row {number}"])
    return saved(book)


def powerpoint() -> bytes:
    import pptx

    slides: Any = pptx.Presentation()
    slide = slides.slides.add_slide(slides.slide_layouts[1])
    slide.shapes.title.text, slide.placeholders[1].text = "Results", WORDS
    return saved(slides)


def saved(document: Any) -> bytes:
    out = BytesIO()
    document.save(out)
    return out.getvalue()


def opendocument() -> bytes:
    return zipped(
        {
            "mimetype": b"application/vnd.oasis.opendocument.text",
            "META-INF/manifest.xml": b'<manifest xmlns="urn:oasis:names:tc:opendocument:xmlns:manifest:1.0"/>',
            "content.xml": (
                '<?xml version="1.0" encoding="UTF-8"?><office:document-content'
                ' xmlns:office="urn:oasis:names:tc:opendocument:xmlns:office:1.0"'
                ' xmlns:text="urn:oasis:names:tc:opendocument:xmlns:text:1.0"><office:body><office:text>'
                f"<text:p>{WORDS}</text:p></office:text></office:body></office:document-content>"
            ).encode(),
        }
    )


def ebook() -> bytes:
    return zipped(
        {
            "mimetype": b"application/epub+zip",
            "META-INF/container.xml": (
                b'<container version="1.0" xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><rootfiles>'
                b'<rootfile full-path="a.opf" media-type="application/oebps-package+xml"/></rootfiles></container>'
            ),
            "a.opf": (
                b'<package xmlns="http://www.idpf.org/2007/opf" version="3.0" unique-identifier="i"><metadata'
                b' xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:title>T</dc:title><dc:identifier id="i">x'
                b"</dc:identifier><dc:language>en</dc:language></metadata><manifest>"
                b'<item id="c" href="c.xhtml" media-type="application/xhtml+xml"/></manifest>'
                b'<spine><itemref idref="c"/></spine></package>'
            ),
            "c.xhtml": f'<html xmlns="http://www.w3.org/1999/xhtml"><body><p>{WORDS}</p></body></html>'.encode(),
        }
    )


def notebook() -> bytes:
    outputs: list[dict[str, Any]] = [
        {"output_type": "stream", "name": "stdout", "text": ["\x1b[31m4", "2\x1b[0m\n"]},
        {"output_type": "display_data", "metadata": {}, "data": {"image/png": "iVBORw0KGgo" * 5000}},
        {"output_type": "error", "ename": "E", "evalue": "é", "traceback": []},
    ]
    cells: list[dict[str, Any]] = [
        {"cell_type": "markdown", "metadata": {}, "source": ["# Head\n", WORDS]},
        {"cell_type": "code", "execution_count": 1, "metadata": {}, "outputs": outputs, "source": "print(42)"},
        {"cell_type": "code", "execution_count": None, "metadata": {}, "outputs": [], "source": []},
    ]
    kernel = {"kernelspec": {"name": "python3", "language": "python"}}
    return json.dumps({"cells": cells, "metadata": kernel, "nbformat": 4, "nbformat_minor": 5}).encode()


def rich_text() -> bytes:
    return rb"{\rtf1\ansi\deff0 {\fonttbl {\f0 Courier;}} Turnover \b grew\b0  by 7 % in \'dcbersee.\par}"


def zipped(members: dict[str, bytes], *, flags: int = 0) -> bytes:
    """An archive; `mimetype` is not compressed, as its standards want it."""
    out = BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content, zipfile.ZIP_STORED if name == "mimetype" else zipfile.ZIP_DEFLATED)
    start, marked = b"PK\x01\x02\x14\x03\x14\0", flags.to_bytes(2, "little")  # of an entry in the table of contents
    return out.getvalue().replace(start + b"\0\0", start + marked)


def unzipped(content: bytes) -> dict[str, bytes]:
    """The members of an archive."""
    with zipfile.ZipFile(BytesIO(content)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def encrypted(content: bytes) -> bytes:
    """A document whose members are marked as encrypted."""
    return zipped(unzipped(content), flags=1)


def renamed(content: bytes, changes: dict[str, str]) -> bytes:
    """A document whose parts have other names, as other programs give them."""
    members = unzipped(content)
    for old, new in changes.items():
        members = {
            (new if name == old else name): data.replace(old.encode(), new.encode()) for name, data in members.items()
        }
    return zipped(members)


def slides_with_chart() -> bytes:
    """A presentation whose chart holds a workbook, with a group, a table and notes."""
    import pptx
    from pptx.chart.data import CategoryChartData
    from pptx.enum.chart import XL_CHART_TYPE
    from pptx.util import Inches

    presentation: Any = pptx.Presentation()
    slide = presentation.slides.add_slide(presentation.slide_layouts[5])
    slide.shapes.title.text = "Quarterly revenue"
    numbers: Any = CategoryChartData()
    numbers.categories = ["Q1", "Q2"]
    numbers.add_series("2026", (10, 20.5))
    place = (Inches(1), Inches(2), Inches(4), Inches(3))
    chart = slide.shapes.add_chart(XL_CHART_TYPE.COLUMN_CLUSTERED, *place, numbers).chart
    chart.has_title = True
    chart.chart_title.text_frame.text = "Revenue by quarter"
    table = slide.shapes.add_table(2, 2, *place).table
    table.cell(0, 0).text, table.cell(1, 1).text = "City", "Leeds"
    group = slide.shapes.add_group_shape()
    group.shapes.add_textbox(*place).text_frame.text = "in a group"
    slide.notes_slide.notes_text_frame.text = "Say it slowly."
    members = unzipped(saved(presentation))  # the library writes no three-dimensional ones
    return zipped({name: data.replace(b"c:barChart", b"c:bar3DChart") for name, data in members.items()})


def word_with_everything() -> bytes:
    """A document with a text box, a content control, a link, a header, a footer, a footnote, and a deletion."""
    import docx

    document: Any = docx.Document()
    document.add_heading("Offer", 2)
    document.add_paragraph("first", style="List Bullet")
    document.sections[0].header.paragraphs[0].text = "CONFIDENTIAL"
    document.sections[0].footer.paragraphs[0].text = "Page footer"
    box = (
        f'<w:p xmlns:w="{W}"><w:r><w:pict><v:shape xmlns:v="urn:schemas-microsoft-com:vml"><v:textbox><w:txbxContent>'
        "<w:p><w:r><w:t>in a text box</w:t></w:r></w:p></w:txbxContent></v:textbox></v:shape></w:pict></w:r></w:p>"
    )
    control = (
        f'<w:sdt xmlns:w="{W}"><w:sdtPr/><w:sdtContent><w:p><w:r><w:t>in a control</w:t></w:r></w:p></w:sdtContent>'
        "</w:sdt>"
    )
    changed = (
        f'<w:p xmlns:w="{W}"><w:del><w:r><w:delText>gone</w:delText></w:r></w:del>'
        "<w:ins><w:r><w:t>come</w:t></w:r></w:ins></w:p>"
    )
    from docx.oxml import parse_xml

    for each in (box, control, changed):
        document.element.body.insert(0, parse_xml(each))
    return saved(document)


def word_with(body: bytes, *, before: bytes = b"") -> bytes:
    """A Word document whose text is given, as XML."""
    members = unzipped(word())
    xml = b'<?xml version="1.0"?>%b<w:document xmlns:w="%b"><w:body>%b</w:body></w:document>'
    members["word/document.xml"] = xml % (before, W.encode(), body)
    return zipped(members)


def paragraph(text: bytes) -> bytes:
    return b"<w:p><w:r><w:t>" + text + b"</w:t></w:r></w:p>"
