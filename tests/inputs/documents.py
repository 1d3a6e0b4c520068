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


def word_with(body: bytes, *, before: bytes = b"") -> bytes:
    """A Word document whose text is given, as XML."""
    with zipfile.ZipFile(BytesIO(word())) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    xml = b'<?xml version="1.0"?>%b<w:document xmlns:w="%b"><w:body>%b</w:body></w:document>'
    members["word/document.xml"] = xml % (before, W.encode(), body)
    return zipped(members)


def paragraph(text: bytes) -> bytes:
    return b"<w:p><w:r><w:t>" + text + b"</w:t></w:r></w:p>"
