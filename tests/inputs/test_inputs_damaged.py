"""Documents of which a part is odd, missing or of an old version: the rest is read, and nothing untrue is said."""

# ruff: noqa: RUF001 - the letters of other scripts look like those of Latin

import struct
from typing import Any

import pytest

from tests.inputs import documents
from tests.inputs.compound import compound
from tests.inputs.documents import WORDS, saved, unzipped, zipped
from tests.inputs.test_inputs_kinds import read_all, text
from worker.inputs.causes import UnreadableError
from worker.inputs.classify import classify


def missing(content: bytes, listed: str, *, with_end: bool = False) -> bytes:
    """A document that refers to a picture that is not there."""
    members = unzipped(content)
    end = "></Relationship>" if with_end else "/>"
    kind = "http://schemas.openxmlformats.org/officeDocument/2006/relationships/image"
    lost = f'<Relationship Target="media/lost.png" Id="rId901" Type="{kind}"{end}'
    members[listed] = members[listed].replace(b"</Relationships>", lost.encode() + b"</Relationships>")
    return zipped(members)


@pytest.mark.parametrize("with_end", [True, False])
@pytest.mark.parametrize(
    ("content", "listed", "name"),
    [
        (documents.word(), "word/_rels/document.xml.rels", "a.docx"),
        (documents.powerpoint(), "ppt/slides/_rels/slide1.xml.rels", "a.pptx"),
        (documents.excel(), "xl/_rels/workbook.xml.rels", "a.xlsx"),
    ],
)
async def test_a_part_that_is_not_there_does_not_hide_the_others(
    content: bytes, listed: str, name: str, with_end: bool
) -> None:
    (read,) = await read_all(missing(content, listed, with_end=with_end), name)
    assert WORDS in (read.text or "")
    assert read.note is None


@pytest.mark.parametrize(
    ("part", "old", "new"),
    [
        ("xl/worksheets/sheet1.xml", b"<c ", b'<c s="99" '),
        ("xl/styles.xml", b'<cellStyle name="Normal"', b'<cellStyle surprise="1" name="Normal"'),
    ],
)
async def test_a_workbook_with_an_odd_style_is_read_and_a_note_says_what_is_lost(
    part: str, old: bytes, new: bytes
) -> None:
    members = unzipped(documents.excel())
    assert old in members[part]
    members[part] = members[part].replace(old, new)
    (read,) = await read_all(zipped(members), "a.xlsx")
    assert WORDS in (read.text or "")
    assert read.note == "a.xlsx: it is damaged in part, so its cells are shown without their formats."


async def test_a_shape_of_a_type_that_nobody_knows_is_read_with_the_others() -> None:
    members = unzipped(documents.powerpoint())
    part = "ppt/slides/slide1.xml"
    shape = (
        '<p:sp><p:nvSpPr><p:cNvPr id="9" name="x"/><p:cNvSpPr/><p:nvPr/></p:nvSpPr><p:spPr/><p:txBody><a:bodyPr/>'
        "<a:p><a:r><a:t>without a form</a:t></a:r></a:p></p:txBody></p:sp></p:spTree>"
    )
    members[part] = members[part].replace(b"</p:spTree>", shape.encode())
    said = await text(zipped(members), "a.pptx")
    assert "without a form" in said
    assert WORDS in said


async def test_an_empty_text_as_the_result_of_a_formula_is_empty_and_no_note_says_otherwise() -> None:
    members = unzipped(documents.excel())
    part = "xl/worksheets/sheet1.xml"
    row = '<row r="9"><c r="A9" t="str"><f>IF(B9="","","y")</f><v></v></c><c r="B9"><v>5</v></c></row></sheetData>'
    members[part] = members[part].replace(b"</sheetData>", row.encode())
    (read,) = await read_all(zipped(members), "a.xlsx")
    assert "IF(" not in (read.text or "")
    assert read.note is None


async def test_tables_beside_each_other_are_tables_each() -> None:
    import openpyxl

    book: Any = openpyxl.Workbook()
    for row in range(10):
        book.active.cell(row + 1, 1, f"note {row}")
        for column in range(4):
            book.active.cell(row + 1, 12 + column, f"{row}/{column}")
    book.active["C3"] = "near"
    book.active["AZ1"] = "far"
    said = await text(saved(book), "a.xlsx")
    assert "Columns L to O:\n\n| 0/0 | 0/1 | 0/2 | 0/3 |" in said or "\n\n| 0/0 | 0/1 | 0/2 | 0/3 |" in said
    assert "| 9/0 | 9/1 | 9/2 | 9/3 |" in said
    assert "AZ1 = far" in said
    assert "note 9" in said


async def test_a_chart_whose_names_have_levels_shows_all_of_them() -> None:
    import pptx
    from pptx.chart.data import CategoryChartData
    from pptx.enum.chart import XL_CHART_TYPE
    from pptx.util import Inches

    numbers: Any = CategoryChartData()
    for country, cities in {"US": ["LA", "NY"], "UK": ["London"]}.items():
        category = numbers.add_category(country)
        for each in cities:
            category.add_sub_category(each)
    numbers.add_series("Boxes", (1, 2, 3))
    made: Any = pptx.Presentation()
    slide = made.slides.add_slide(made.slide_layouts[6])
    slide.shapes.add_chart(XL_CHART_TYPE.COLUMN_CLUSTERED, *(Inches(2),) * 4, numbers)
    said = await text(saved(made), "a.pptx")
    assert said.endswith("| US / LA | 1 |\n| US / NY | 2 |\n| UK / London | 3 |")


def word_95(words: bytes, *, in_pieces: bool) -> bytes:
    """The main stream of a document of Word 95."""
    start = 0x200
    head = bytearray(start)
    struct.pack_into("<HH", head, 0, 0xA5DC, 0x68)
    struct.pack_into("<H", head, 0x0A, 0x4 if in_pieces else 0)
    struct.pack_into("<II", head, 0x18, start, start + len(words))
    struct.pack_into("<i", head, 0x34, len(words))
    if not in_pieces:
        return bytes(head) + words
    half = len(words) // 2
    places = struct.pack("<III", 0, half, len(words))
    pieces = b"".join(struct.pack("<HIH", 0, at, 0) for at in (start + len(words) - half, start))
    entry = b"\1" + struct.pack("<H", 2) + b"xx" + b"\2" + struct.pack("<I", len(places + pieces)) + places + pieces
    struct.pack_into("<II", head, 0x160, start + len(words), len(entry))
    return bytes(head) + words[half:] + words[:half] + entry


@pytest.mark.parametrize("in_pieces", [True, False])
async def test_documents_of_word_95_are_read(in_pieces: bool) -> None:
    words = "Склад закрыт до \x13 PAGE \x14понедельника\x15.\rГод\x07Ящики\x07\x07Лидс\x0737\x07\x07Конец".encode(
        "cp1251"
    )
    content = compound({"WordDocument": word_95(words + b" " * (len(words) % 2), in_pieces=in_pieces)})
    (read,) = await read_all(content, "old.doc")
    said = (read.text or "").partition("\n\n")[2]
    assert said.split("\n") == ["Склад закрыт до понедельника.", "", "Год | Ящики", "Лидс | 37", "Конец"]
    assert "windows-1251, which is a guess" in (read.note or "")


@pytest.mark.parametrize(
    ("streams", "said"),
    [
        ({"VisioDocument": b"x"}, "a Visio drawing from before 2013"),
        ({"Quill": {"QuillSub": {"CONTENTS": b"x"}}}, "a Publisher document"),
        ({"PP40": b"x"}, "a PowerPoint presentation from before 1997"),
        ({"StarWriterDocument": b"x"}, "a StarOffice document"),
        ({"BodyText": {"Section0": b"x"}}, "a Hangul document"),
        ({"Nobody knows": b"x"}, "an OLE file of an unknown program"),
    ],
)
async def test_a_document_that_cannot_be_read_is_called_what_it_is(streams: Any, said: str) -> None:
    with pytest.raises(UnreadableError, match=f"^it is {said}$"):
        await read_all(compound(streams), "a.bin")


@pytest.mark.parametrize(
    ("start", "media_type"),
    [
        (b"\1\0\0\0" + bytes(36) + b" EMF", "image/emf"),
        (b"\xd7\xcd\xc6\x9a", "image/wmf"),
        (b"\xe4\x52\x5c\x7b\x8c\xd8\xa7\x4d", "application/onenote"),
        (b"\xffWPC", "application/vnd.wordperfect"),
        (b"\x78\x9f\x3e\x22", "application/vnd.ms-tnef"),
        (b"\x30\x82\x01\x00\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02", "application/pkcs7-mime"),
        (b"7z\xbc\xaf\x27\x1c", "application/x-7z-compressed"),
        (b"Rar!\x1a\x07", "application/vnd.rar"),
        (b"PAR1", "application/vnd.apache.parquet"),
        (b"MZ", "application/vnd.microsoft.portable-executable"),
    ],
)
def test_a_file_that_nothing_reads_has_its_true_type(start: bytes, media_type: str) -> None:
    found = classify(start + bytes(range(256)) * 4, "application/octet-stream", "a.bin")
    assert (str(found.kind), found.media_type) == ("other", media_type)
