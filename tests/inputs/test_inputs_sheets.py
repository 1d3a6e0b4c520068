"""Workbooks: cells as they are shown, formulas that nobody has worked out, comments and boxes, and no emptiness."""

import datetime as dt
import struct
from typing import Any

import openpyxl
import pytest
import xlwt
from openpyxl.chart import BarChart, Reference
from openpyxl.comments import Comment

from tests.inputs import documents
from tests.inputs.documents import saved
from tests.inputs.test_inputs_kinds import read_all, text
from worker.inputs.causes import UnreadableError
from worker.inputs.readers import office, sheets
from worker.inputs.readers.cells import format_cell


def book(*rows: list[Any]) -> Any:
    made: Any = openpyxl.Workbook()
    for row in rows:
        made.active.append(row)
    return made


async def test_a_formula_whose_result_its_program_left_out_is_shown_itself_and_a_note_says_so() -> None:
    (read,) = await read_all(saved(book(["Price", "Twice"], [5, "=A2*2"])), "a.xlsx")
    assert "| 5 | =A2*2 |" in (read.text or "")
    assert read.note == (
        "a.xlsx: the program that wrote it left out the results of formulas, so the formulas are shown."
    )


@pytest.mark.parametrize(
    ("result", "is_wanted_anew", "shown"), [("10", "1", "10"), ("0", "0", "0"), ("0", "1", "=A2*2")]
)
async def test_a_result_that_is_there_is_shown_but_for_a_nought_that_waits_for_excel(
    result: str, is_wanted_anew: str, shown: str
) -> None:
    members = documents.unzipped(saved(book(["Price", "Twice"], [5, "=A2*2"])))
    for name, old, new in (
        ("xl/worksheets/sheet1.xml", b"<f>A2*2</f><v></v>", f"<f>A2*2</f><v>{result}</v>".encode()),
        ("xl/worksheets/sheet1.xml", b"<f>A2*2</f><v />", f"<f>A2*2</f><v>{result}</v>".encode()),
        ("xl/workbook.xml", b'fullCalcOnLoad="1"', f'fullCalcOnLoad="{is_wanted_anew}"'.encode()),
    ):
        members[name] = members[name].replace(old, new)
    assert f"| 5 | {shown} |" in await text(documents.zipped(members), "a.xlsx")


async def test_comments_and_what_stands_above_charts() -> None:
    made = book(["City", "Boxes"], ["Leeds", 37])
    made.active["B2"].comment = Comment("Counted twice.", "Ann")
    chart: Any = BarChart()
    chart.title = "Boxes by city"
    chart.add_data(Reference(made.active, min_col=2, min_row=1, max_row=2))
    made.active.add_chart(chart, "D2")
    said = await text(saved(made), "a.xlsx")
    assert said.endswith("| Leeds | 37 |\n\nComment on B2: Counted twice.\n\nChart: Boxes by city")


async def test_the_words_of_boxes_on_a_sheet() -> None:
    made = book(["City"])
    made.active.add_chart(BarChart(), "D2")  # brings a drawing
    members = documents.unzipped(saved(made))
    shape = b"<xdr:sp><xdr:txBody><a:p><a:r><a:t>Mind the gap.</a:t></a:r></a:p></xdr:txBody></xdr:sp>"
    spaces = (
        b'<xdr:wsDr xmlns:xdr="http://schemas.openxmlformats.org/drawingml/2006/spreadsheetDrawing"'
        b' xmlns:a="http://schemas.openxmlformats.org/drawingml/2006/main">'
    )
    members["xl/drawings/drawing1.xml"] = spaces + shape + b"</xdr:wsDr>"
    assert (await text(documents.zipped(members), "a.xlsx")).endswith("| City |\n| --- |\n\nText box: Mind the gap.")


@pytest.mark.parametrize(
    ("value", "form", "shown"),
    [
        (dt.timedelta(hours=26, minutes=5), "[h]:mm", "26:05"),
        (dt.timedelta(minutes=-5, seconds=-7), "[h]:mm:ss", "-0:05:07"),
    ],
)
def test_hours_are_summed_up_beyond_a_day(value: dt.timedelta, form: str, shown: str) -> None:
    assert format_cell(value, form) == shown


@pytest.mark.parametrize(
    ("value", "form", "shown"),
    [
        (0.5, "# ?/?", "0.5"),
        (1_234_567, '#,##0,"k"', "1,235k"),
        (1_234_567, '0.0,,"M"', "1.2M"),
        (12_345, "0.00E+00", "12345"),
        (1234.5, '#,##0.00 "EUR"', "1,234.50 EUR"),
        (0.575, "0%", "58%"),
        (2.5, "0", "3"),
        (-2.5, "0", "-3"),
        (1e300, "0.00", "1e+300"),
    ],
)
def test_a_number_is_shown_as_its_format_says_or_as_it_is(value: float, form: str, shown: str) -> None:
    assert format_cell(value, form) == shown


def old_book() -> bytes:
    made: Any = xlwt.Workbook()
    sheet = made.add_sheet("Zahlen")
    rows: list[list[tuple[Any, str]]] = [
        [("Größe", ""), (0.52, "0%"), (1234.5, '"€"#,##0.00')],
        [
            (dt.date(2024, 3, 5), "DD.MM.YYYY"),
            (
                dt.datetime(2024, 3, 5, 14, 30),  # noqa: DTZ001 - cells have no zone
                "DD.MM.YYYY hh:mm",
            ),
            (26.5 / 24, "[h]:mm"),
        ],
        [(dt.time(14, 30), "hh:mm"), (True, ""), (7.0, "")],
    ]
    for number, row in enumerate(rows):
        for column, (value, form) in enumerate(row):
            sheet.write(number, column, value, xlwt.easyxf(num_format_str=form) if form else xlwt.XFStyle())
    made.add_sheet("Leer")
    stray = made.add_sheet("Rest")
    stray.write(0, 0, "first")
    stray.write(60_000, 1, "last")
    stray.visibility = 1
    return saved(made)


async def test_a_workbook_of_before_2007_is_shown_in_the_same_way() -> None:
    said = await text(old_book(), "a.xls")
    assert said.partition("\n\n")[2] == (
        "Sheets: Zahlen, Leer, Rest (hidden)\n\n"
        "## Zahlen\n\n"
        "| Größe | 52% | €1,234.50 |\n| --- | --- | --- |\n"
        "| 2024-03-05 | 2024-03-05 14:30 | 26:30 |\n| 14:30:00 | TRUE | 7 |\n\n"
        "## Rest\n\n| first |  |\n| --- | --- |\n|  | last |"
    )


async def test_an_old_workbook_that_is_damaged_is_a_note() -> None:
    content = old_book()
    start = content.index(b"\x09\x08\x10\0")  # where the workbook begins
    with pytest.raises(UnreadableError, match="it is broken"):
        await read_all(content[:start] + b"\xff" * 2000 + content[start + 2000 :], "a.xls")


def test_of_a_workbook_that_another_library_reads_the_empty_rows_are_left_out() -> None:
    markdown = (
        "## Figures\n\n| Name | Date |\n| --- | --- |\n|  |  |\n| a \\| b | 2024-03-05 00:00:00 |\n|  |  |\n\n"
        "## Leer\n\n|  |\n| --- |\n"
    )
    assert sheets.answer(list(office._sheets(markdown))).text == (
        "Sheets: Figures, Leer\n\n## Figures\n\n| Name | Date |\n| --- | --- |\n| a \\| b | 2024-03-05 |"
    )


def test_of_many_comments_their_number_is_said() -> None:
    sheet = sheets.Sheet("A", rows=[(1, {0: "x"})], remarks=[f"Comment on A{number}: y" for number in range(500)])
    said = sheets.answer([sheet]).text
    assert said.endswith("Comment on A199: y\n\n[and 300 more comments and boxes]")


def record(kind: int, content: bytes = b"") -> bytes:
    """A record of a binary workbook ([MS-XLSB] 2.1.4)."""
    number = bytes([kind]) if kind < 0x80 else bytes([kind & 0x7F | 0x80, kind >> 7])
    return number + bytes([len(content)]) + content


def string(text: str) -> bytes:
    return len(text).to_bytes(4, "little") + text.encode("utf-16-le")


def binary_book() -> bytes:
    styles = (
        record(44, (164).to_bytes(2, "little") + string("[h]:mm"))
        + record(617)
        + b"".join(record(47, b"\0\0" + form.to_bytes(2, "little") + bytes(12)) for form in (0, 9, 14, 164))
        + record(618)
    )

    def cell(kind: int, column: int, value: bytes, style: int = 0) -> bytes:
        return record(kind, struct.pack("<II", column, style) + value)

    def row(number: int, *cells: bytes) -> bytes:
        return record(0, struct.pack("<I", number) + bytes(21)) + b"".join(cells)

    figures = record(145) + row(
        0, cell(7, 0, struct.pack("<I", 1)), cell(6, 1, string("Share")), cell(6, 2, string("Date"))
    )
    figures += row(
        1, cell(4, 0, b"\1"), cell(5, 1, struct.pack("<d", 0.52), 1), cell(2, 2, struct.pack("<I", 45356 << 2 | 2), 2)
    )
    figures += row(
        70_000,
        cell(3, 0, b"\7"),
        cell(2, 1, struct.pack("<I", 1234 << 2 | 3)),
        cell(9, 2, struct.pack("<d", 26.5 / 24), 3),
    )
    sheets_ = (("rId1", "Figures", 0), ("rId2", "Empty", 0), ("rId3", "Old", 1))
    book = b"".join(
        record(156, struct.pack("<II", state, 1) + string(key) + string(name)) for key, name, state in sheets_
    )
    related = "".join(f'<Relationship Id="rId{number}" Target="worksheets/sheet{number}.bin"/>' for number in (1, 2, 3))
    kind = "application/vnd.ms-excel.sheet.binary.macroEnabled.main"
    declared = f'<Override PartName="/xl/workbook.bin" ContentType="{kind}"/>'
    main = '<Relationship Type="x/officeDocument" Target="xl/workbook.bin"/>'
    return documents.zipped(
        {
            "[Content_Types].xml": f"<Types>{declared}</Types>".encode(),
            "_rels/.rels": f"<Relationships>{main}</Relationships>".encode(),
            "xl/workbook.bin": record(153, bytes(12)) + book,
            "xl/_rels/workbook.bin.rels": f"<Relationships>{related}</Relationships>".encode(),
            "xl/styles.bin": styles,
            "xl/sharedStrings.bin": record(19, b"\0" + string("other")) + record(19, b"\0" + string("Größe")),
            "xl/worksheets/sheet1.bin": figures,
            "xl/worksheets/sheet2.bin": record(145),
            "xl/worksheets/sheet3.bin": row(0, cell(8, 0, string("x"))),
        }
    )


async def test_a_binary_workbook_is_shown_in_the_same_way() -> None:
    said = await text(binary_book(), "a.xlsb")
    assert said.partition("\n\n")[2] == (
        "Sheets: Figures, Empty, Old (hidden)\n\n"
        "## Figures\n\n"
        "| Größe | Share | Date |\n| --- | --- | --- |\n| TRUE | 52% | 2024-03-05 |\n| #DIV/0! | 12.34 | 26:30 |\n\n"
        "## Old\n\n| x |\n| --- |"
    )
