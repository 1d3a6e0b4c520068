"""What a file says reaches the message: each kind by its own reader, known by its table of contents."""

import gzip
import tarfile
from email.message import EmailMessage
from io import BytesIO
from typing import Any

import openpyxl
import pytest

from tests.inputs import documents
from tests.inputs.servers import pdf, picture
from worker.inputs import Attachment, Kind
from worker.inputs.attachments import Fetched
from worker.inputs.causes import UnreadableError
from worker.inputs.examining import examined
from worker.inputs.kinds import DEEPEST, MAX_IN_ALL, MAX_MEMBERS
from worker.inputs.readers.cells import format_cell

MOST = 20 * 1024 * 1024


async def read_all(content: bytes, name: str, declared: str = "") -> tuple[Attachment, ...]:
    return await examined(f"https://example.com/{name}", Fetched(content, declared), MOST)


async def text(content: bytes, name: str, declared: str = "") -> str:
    first = (await read_all(content, name, declared))[0]
    assert first.kind is Kind.TEXT, first.note
    return first.text or ""


# documents


async def test_a_deck_with_a_chart_is_a_deck_though_a_workbook_is_in_it() -> None:
    said = await text(documents.slides_with_chart(), "deck.bin")
    assert "## Slide 1: Quarterly revenue" in said
    assert "Chart: Revenue by quarter" in said
    assert "| Q2 | 20.5 |" in said
    assert "|  | Leeds |" in said
    assert "in a group" in said
    assert "Notes: Say it slowly." in said


async def test_a_document_is_known_by_its_relationships_whatever_its_parts_are_called() -> None:
    content = documents.renamed(documents.word(), {"word/document.xml": "word/document2.xml"})
    assert documents.WORDS in await text(content, "a.bin")


async def test_of_a_word_document_nothing_that_people_see_is_left_out() -> None:
    said = await text(documents.word_with_everything(), "offer.docx")
    for words in ("in a text box", "in a control", "come", "## Offer", "- first", "CONFIDENTIAL", "Page footer"):
        assert words in said
    assert "gone" not in said


async def test_an_opendocument_need_not_begin_with_its_type() -> None:
    members = {
        "content.xml": documents.unzipped(documents.opendocument())["content.xml"],
        "META-INF/manifest.xml": b"<manifest xmlns='urn:oasis:names:tc:opendocument:xmlns:manifest:1.0'/>",
        "mimetype": b"application/vnd.oasis.opendocument.text",
    }
    assert documents.WORDS in await text(documents.zipped(members), "a")


async def test_an_opendocument_presentation_is_read_slide_by_slide() -> None:
    body = (
        '<office:document-content xmlns:office="urn:oasis:names:tc:opendocument:xmlns:office:1.0"'
        ' xmlns:draw="urn:oasis:names:tc:opendocument:xmlns:drawing:1.0"'
        ' xmlns:presentation="urn:oasis:names:tc:opendocument:xmlns:presentation:1.0"'
        ' xmlns:text="urn:oasis:names:tc:opendocument:xmlns:text:1.0"><office:body><office:presentation>'
        "<draw:page><text:p>Ducks</text:p><presentation:notes><text:p>slowly</text:p></presentation:notes></draw:page>"
        "</office:presentation></office:body></office:document-content>"
    )
    members = {"mimetype": b"application/vnd.oasis.opendocument.presentation", "content.xml": body.encode()}
    assert "## Slide 1\n\nDucks\n\nNotes:\n\nslowly" in await text(documents.zipped(members), "a.odp")


def workbook(**cells: Any) -> bytes:
    book: Any = openpyxl.Workbook()
    sheet = book.active
    sheet.title = "Sales"
    sheet.append(["Region", "Share", "Day"])
    for number in range(20):
        sheet.append([f"West {number}", 0.5 + number / 100, None])
    for row in range(2, 22):
        sheet.cell(row, 2).number_format = "0%"
    for place, value in cells.items():
        sheet[place] = value
    book.create_sheet("Summary")["A1"] = "all is well"
    return documents.saved(book)


@pytest.mark.parametrize("stray", ["A150000", "ZZ1", "ZZ150000", None])
async def test_a_stray_cell_hides_nothing(stray: str | None) -> None:
    said = await text(workbook(**({stray: "stray"} if stray else {})), "sales.xlsx")
    assert "Sheets: Sales, Summary" in said
    assert "all is well" in said
    assert said.count("West") == 20
    assert "| West 2 | 52% |" in said
    assert len(said) < 2000
    assert ("stray" in said) == (stray is not None)


@pytest.mark.parametrize(
    ("value", "form", "shown"),
    [
        (0.52, "0%", "52%"),
        (0.525, "0.0%", "52.5%"),
        (1234.5, "#,##0.00", "1,234.50"),
        (-3, "0;-0", "-3"),
        (12, '"$"#,##0', "$12"),
        (12.5, "#,##0.00\\ [$€-407]", "12.50 €"),
        (0.1 + 0.2, "General", "0.3"),
        (3, "General", "3"),
        (True, "General", "TRUE"),
        (None, "General", ""),
        ("0%", "0%", "0%"),
        (7, '0" items"', "7 items"),
    ],
)
def test_a_cell_is_shown_as_a_reader_of_the_sheet_sees_it(value: object, form: str, shown: str) -> None:
    assert format_cell(value, form) == shown


# pages


async def test_of_a_page_the_words_that_people_read() -> None:
    style = "<style>" + ".a{color:red}" * 3000 + "</style><script>" + "var a=[1];" * 3000 + "</script>"
    page = (
        f"<!doctype html><html><head><title>Stock</title>{style}</head><body>"
        "<h2>Leeds</h2><p hidden>secret</p>"
        "<div style='display: none'>unseen</div>"
        "<table><tr><th>item</th><th>boxes</th></tr><tr><td>nails</td><td>37</td></tr></table>"
        "<ul><li>one</li></ul><a href='https://example.com/x'>more</a><a href='javascript:alert(1)'>do</a>"
        "<img src='data:image/png;base64,AAAA' alt='a map'></body></html>"
    )
    said = await text(page.encode(), "page")
    for words in (
        "# Stock",
        "## Leeds",
        "| nails | 37 |",
        "- one",
        "[more](https://example.com/x)",
        "[picture: a map]",
    ):
        assert words in said
    for unseen in ("color", "var a", "secret", "unseen", "javascript", "AAAA"):
        assert unseen not in said


async def test_a_page_that_is_nested_without_end_is_still_read() -> None:
    page = "<html><body>" + "<div>" * 5000 + "words" + "</div>" * 5000
    assert "words" in await text(page.encode(), "a.html")


async def test_an_xml_file_is_not_taken_for_a_page() -> None:
    (item,) = await read_all(b"<?xml version='1.0'?><report><line>words</line></report>", "a.xml")
    assert (item.media_type, item.text) == ("text/xml", "<?xml version='1.0'?><report><line>words</line></report>")


# e-mails


def message(*, html: str = "", attached: dict[str, bytes] | None = None) -> EmailMessage:
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = "a@example.com", "Büro <b@example.com>", "Lieferung für März"
    mail["Date"], mail["X-Spam"] = "Fri, 16 Dec 2022 17:04:16 -0500", "no"
    mail.set_content("Die Lieferung kommt am Montag. Größe: 3.")
    if html:
        mail.set_content(html, subtype="html")
    for name, content in (attached or {}).items():
        mail.add_attachment(content, maintype="application", subtype="octet-stream", filename=name)
    return mail


async def test_an_e_mail_is_its_headers_its_body_and_its_attachments() -> None:
    attached = {"stock.csv": b"item;boxes\nnails;37\n", "offer.pdf": pdf("An offer."), "p.png": picture("PNG")}
    mail = message(attached=attached)
    first, *rest = await read_all(mail.as_bytes(), "mail.eml", "message/rfc822")
    said = first.text or ""
    for words in ("Subject: Lieferung für März", "To: Büro <b@example.com>", "Größe: 3.", "- stock.csv (20 bytes)"):
        assert words in said
    assert "X-Spam" not in said
    assert [(each.name, each.kind) for each in rest] == [
        ("mail.eml/stock.csv", Kind.TEXT),
        ("mail.eml/offer.pdf", Kind.PDF),
        ("mail.eml/p.png", Kind.IMAGE),
    ]
    assert rest[0].text == "item;boxes\nnails;37\n"


async def test_a_page_in_an_e_mail_is_read_as_a_page() -> None:
    said = await text(message(html="<h1>Angebot</h1><p>37 Kisten</p>").as_bytes(), "noname")
    assert "# Angebot\n\n37 Kisten" in said


async def test_an_e_mail_within_an_e_mail_is_a_file_of_its_own() -> None:
    mail = message()
    mail.add_attachment(message(attached={"a.txt": b"inner words"}))
    names = {each.name: each.text for each in await read_all(mail.as_bytes(), "mail.eml")}
    assert names["mail.eml/message.eml/a.txt"] == "inner words"


async def test_a_text_about_headers_is_no_e_mail() -> None:
    (item,) = await read_all(b"From: here to there\n\nA story about a journey.", "story.txt")
    assert item.media_type == "text/plain"


# archives


async def test_a_zip_is_a_listing_and_its_files() -> None:
    content = documents.zipped({"q1.docx": documents.word(), "notes/readme.txt": b"hello", "__MACOSX/x": b"x"})
    first, *rest = await read_all(content, "reports.zip")
    assert first.text is not None
    assert "a zip archive (2 files)" in first.text
    assert [(each.name, each.kind) for each in rest] == [
        ("reports.zip/q1.docx", Kind.TEXT),
        ("reports.zip/notes/readme.txt", Kind.TEXT),
    ]
    assert documents.WORDS in (rest[0].text or "")


def tarred(members: dict[str, bytes]) -> bytes:
    out = BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, BytesIO(content))
    return out.getvalue()


@pytest.mark.parametrize(("name", "pack"), [("a.tar", bytes), ("a.tgz", gzip.compress)])
async def test_a_tar_is_a_listing_and_its_files(name: str, pack: Any) -> None:
    first, inner = await read_all(pack(tarred({"etc/a.txt": b"words"})), name)
    assert "a tar archive (1 file)" in (first.text or "")
    assert (inner.name, inner.text) == (f"{name}/etc/a.txt", "words")


async def test_what_gzip_has_packed_is_the_file_in_it() -> None:
    _, inner = await read_all(gzip.compress(b"12:00 all is well"), "server.log.gz")
    assert (inner.name, inner.text) == ("server.log.gz/server.log", "12:00 all is well")


async def test_archives_are_opened_to_a_depth_and_no_deeper() -> None:
    content = documents.zipped({"a.txt": b"deep words"})
    for number in range(DEEPEST + 1):
        content = documents.zipped({f"{number}.zip": content})
    items = await read_all(content, "nest.zip")
    assert items[-1].kind is Kind.UNREADABLE
    assert f"nested deeper than {DEEPEST} files" in (items[-1].note or "")


async def test_of_many_files_the_first_are_read_and_a_note_says_so() -> None:
    content = documents.zipped({f"{number}.txt": b"words" for number in range(MAX_MEMBERS + 30)})
    first, *rest = await read_all(content, "many.zip")
    assert len(rest) == MAX_MEMBERS
    assert first.note == f"many.zip: only the first {MAX_MEMBERS} of its {MAX_MEMBERS + 30} files were read."


async def test_a_zip_bomb_is_left_out_and_a_note_says_so() -> None:
    content = documents.zipped({"zeros.txt": b"0" * 50_000_000, "a.txt": b"words"})
    first, inner = await read_all(content, "bomb.zip")
    assert (inner.name, inner.text) == ("bomb.zip/a.txt", "words")
    assert str(first.note).startswith("bomb.zip: zeros.txt in it has ")
    assert str(first.note).endswith(", and was omitted.")


async def test_a_file_in_an_archive_that_cannot_be_read_is_a_note_of_its_own() -> None:
    _, broken = await read_all(documents.zipped({"a.pdf": b"%PDF-1.4 nothing"}), "a.zip")
    assert broken.note == "a.zip/a.pdf could not be read: it is truncated: its end is missing."


async def test_an_encrypted_zip_is_listed() -> None:
    (item,) = await read_all(documents.zipped({"a.txt": b"x"}, flags=1), "a.zip")
    assert "- a.txt (1 bytes)" in (item.text or "")
    assert item.note == "a.zip: its files are encrypted and need a password."


# what they really are


async def test_an_ole_file_is_called_what_it_is() -> None:
    with pytest.raises(UnreadableError, match="truncated or broken"):
        await read_all(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 2000, "a.doc")


async def test_archives_in_archives_have_a_number_of_files_in_all() -> None:
    inner = documents.zipped({f"{number}.txt": b"hello" for number in range(MAX_MEMBERS)})
    outer = documents.zipped({f"{number}.zip": inner for number in range(MAX_MEMBERS)})
    found = await read_all(documents.zipped({f"{number}.zip": outer for number in range(MAX_MEMBERS)}), "a.zip")
    read = [each for each in found if each.kind is Kind.TEXT]
    assert len(read) == MAX_IN_ALL + 1
    assert "a.zip/0.zip/1.zip: only 47 of the 50 files in it were read: at most 100 nested files are read in all." in [
        each.note for each in found
    ]
