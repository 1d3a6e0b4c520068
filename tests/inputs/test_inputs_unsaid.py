"""Documents that do not say their encoding, or say a wrong one: e-mails, their headers, pages, names in archives."""

import tarfile
from email.message import EmailMessage
from io import BytesIO

import pytest

from tests.inputs.documents import zipped
from tests.inputs.test_inputs_kinds import read_all, text

RUSSIAN = "Склад закрыт до понедельника, заказы принимаются по телефону."
GUESS = "does not declare its encoding; it was read as {}, which is a guess."


def mail(body: bytes, content_type: bytes = b"", subject: bytes = b"Order") -> bytes:
    headers = [b"From: a@example.com", b"To: b@example.com", b"Subject: " + subject, b"MIME-Version: 1.0"]
    if content_type:
        headers += [b"Content-Type: " + content_type, b"Content-Transfer-Encoding: 8bit"]
    return b"\r\n".join([*headers, b"", body, b""])


@pytest.mark.parametrize(
    "content_type", [b"", b"text/plain", b"text/plain; charset=us-ascii", b"text/plain; charset=x"]
)
async def test_the_text_of_an_e_mail_is_guessed_where_nothing_true_says_its_encoding(content_type: bytes) -> None:
    (read,) = await read_all(mail(RUSSIAN.encode("cp1251"), content_type), "a.eml")
    assert RUSSIAN in (read.text or "")
    assert read.note == f"a.eml: its text {GUESS.format('windows-1251')}"


async def test_utf_8_and_what_a_page_in_an_e_mail_says_need_no_guess() -> None:
    page = b"<html><head><meta charset=koi8-r></head><body>" + RUSSIAN.encode("koi8-r") + b"</body></html>"
    for content in (mail(RUSSIAN.encode()), mail(page, b"text/html")):
        (read,) = await read_all(content, "a.eml")
        assert RUSSIAN in (read.text or "")
        assert read.note is None


async def test_headers_beyond_ascii_are_read_though_they_should_have_been_encoded() -> None:
    for encoding in ("utf-8", "koi8-r"):
        assert f"Subject: {RUSSIAN}" in await text(mail(b"-", subject=RUSSIAN.encode(encoding)), "a.eml")


async def test_an_attachment_is_of_the_encoding_that_its_e_mail_says() -> None:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "a@example.com", "b@example.com", "Order"
    message.set_content("Attached.")
    declared = {"charset": "iso-8859-5"}
    message.add_attachment(
        RUSSIAN.encode("iso-8859-5"), maintype="text", subtype="plain", filename="a.txt", params=declared
    )
    _, attached = await read_all(bytes(message), "a.eml")
    assert (attached.text, attached.note) == (RUSSIAN, None)


async def test_what_decorates_a_saved_page_is_no_attachment() -> None:
    page = EmailMessage()
    page["From"], page["Subject"], page["Snapshot-Content-Location"] = (
        "<Saved by Blink>",
        "Stock",
        "https://example.com",
    )
    page.set_content("<html><body>Größe</body></html>", subtype="html")
    page.add_related(".a {}", subtype="css", cid="<a>")
    (read,) = await read_all(bytes(page), "a.mhtml")
    assert "Größe" in (read.text or "")
    assert "Attachments" not in (read.text or "")


async def test_a_page_whose_encoding_is_a_guess_says_so() -> None:
    (read,) = await read_all(b"<html><body><p>" + RUSSIAN.encode("cp1251") + b"</p></body></html>", "a.html")
    assert RUSSIAN in (read.text or "")
    assert read.note == f"a.html {GUESS.format('windows-1251')}"


@pytest.mark.parametrize(
    ("name", "encoding"),
    [
        ("Отчёт.txt", "cp866"),
        ("Größe.txt", "cp437"),
        ("請求書.txt", "cp932"),
        ("Žádost.txt", "cp852"),
        ("ünï.txt", "utf-8"),
    ],
)
async def test_names_in_a_zip_archive_are_of_the_encoding_of_their_makers_system(name: str, encoding: str) -> None:
    raw = name.encode(encoding)
    stand_in = "x" * len(raw)
    content = zipped({stand_in: b"hello", "b.txt": b"hello"}).replace(stand_in.encode(), raw)
    listing, first, _ = await read_all(content, "a.zip")
    assert f"- {name} (5 bytes)" in (listing.text or "")
    assert first.name == f"a.zip/{name}"


async def test_names_in_a_tar_archive_may_be_of_any_encoding() -> None:
    out = BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.GNU_FORMAT, encoding="cp1251") as archive:
        info = tarfile.TarInfo("Отчёт за квартал.txt")
        info.size = 5
        archive.addfile(info, BytesIO(b"hello"))
    assert "- Отчёт за квартал.txt (5 bytes)" in await text(out.getvalue(), "a.tar")
