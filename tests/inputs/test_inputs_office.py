"""Office documents, e-books and notebooks become text; what is wrong with one is a note, and nothing else."""

import asyncio
import base64
import contextlib
import subprocess
import zipfile
from collections.abc import Callable
from io import BytesIO

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.inputs import documents
from tests.inputs.documents import WORDS
from worker import bounded
from worker.inputs import Attachment, Kind, Limits, Reader, fit_texts, human_readable
from worker.inputs import documents as read_documents
from worker.inputs.attachments import Fetched
from worker.inputs.causes import UnreadableError
from worker.inputs.classify import classify
from worker.inputs.documents import Document
from worker.inputs.examining import MARKS, MIN_TEXT, examined
from worker.inputs.kinds import EXCEL, NOTEBOOK, POWERPOINT, TYPES, WORD, ZIP
from worker.inputs.readers.office import without_codes

MOST = 20 * 1024 * 1024
PASSWORD = "it is encrypted and needs a password"
BROKEN = "it is truncated or broken"
TOO_MUCH = "it unpacks to more than is allowed"
REAL: dict[str, tuple[Callable[[], bytes], str]] = {
    "a.docx": (documents.word, WORD),
    "a.xlsx": (documents.excel, EXCEL),
    "a.pptx": (documents.powerpoint, POWERPOINT),
    "a.odt": (documents.opendocument, "application/vnd.oasis.opendocument.text"),
    "a.epub": (documents.ebook, "application/epub+zip"),
    "a.ipynb": (documents.notebook, NOTEBOOK),
}


def claiming(content: bytes, size: int) -> bytes:
    """A Word document that says that its text is so large."""
    with zipfile.ZipFile(BytesIO(content)) as archive:
        real = archive.getinfo("word/document.xml").file_size
    return content.replace(real.to_bytes(4, "little"), size.to_bytes(4, "little"))


async def read(content: bytes, name: str = "a.docx", declared: str = "") -> Attachment:
    return (await examined(f"https://example.com/{name}", Fetched(content, declared), MOST))[0]


async def convert(content: bytes, most: int = MOST, seconds: float = read_documents.SECONDS) -> Document:
    return await read_documents.read(content, ZIP, "a.docx", most=most, seconds=seconds)


async def cause(content: bytes) -> str:
    with pytest.raises(UnreadableError) as raised:
        await convert(content)
    return str(raised.value)


@pytest.mark.parametrize("name", REAL)
async def test_a_document_is_a_readable_file(name: str) -> None:
    make, media_type = REAL[name]
    content = make()
    if name != "a.ipynb":
        assert (await convert(content)).media_type == media_type
    item = await read(content, name)
    assert (item.kind, item.media_type, item.name, item.note) == (Kind.TEXT, "text/markdown", name, None)
    assert item.text is not None
    assert item.text.startswith(f"[text extracted from {name}]\n\n")
    assert WORDS in item.text
    assert item.original == content
    assert item.size == len(content) + len(item.content)


async def test_rich_text_is_read_rather_than_quoted() -> None:
    item = await read(documents.rich_text(), "a.rtf")
    assert item.text == "[text extracted from a.rtf]\n\nTurnover **grew** by 7 % in Übersee."


async def test_tables_stay_tables_and_pictures_of_a_notebook_stay_out() -> None:
    sheet = (await read(documents.excel(), "a.xlsx")).text or ""
    assert "## Figures" in sheet
    assert "| 2001 | 1.5 | row 1 |" in sheet
    cells = (await read(documents.notebook(), "a.ipynb")).text or ""
    parts = ["[text extracted from a.ipynb]", f"# Head\n{WORDS}", "```python\nprint(42)\n```"]
    assert cells == "\n\n".join([*parts, "```\n42\n```", "```\nE: é\n```"])


async def test_its_text_has_the_limits_of_every_readable_file() -> None:
    content = documents.excel(rows=5000)
    reader = Reader(Limits(file_bytes=1_000_000, file_characters=300))
    url = f"data:;base64,{base64.b64encode(content).decode()}"
    with await reader.read([url]) as attachments:
        (entry,) = human_readable(fit_texts(attachments, limits=reader.limits))
        assert entry["content"].startswith("[text extracted from data:")
        assert "\n[the first 7 rows of 5,000]" in entry["content"]
        assert entry["content"].endswith("\n[cut here: this is the first rows of its sheet]")
        assert attachments.texts[0].size <= 1_000_000
        assert reader.allowance.held == attachments.texts[0].size


async def test_a_document_larger_than_what_is_held_is_cut_and_says_so() -> None:
    converted = await convert(documents.excel(rows=2000), 4000)
    assert converted.is_cut
    assert len(converted.text) == 1000
    (item,) = await examined("https://example.com/a.xlsx", Fetched(documents.excel(rows=2000)), 5000)
    assert item.is_cut
    assert len(item.content) <= MIN_TEXT + MARKS


async def test_a_document_that_claims_to_be_a_pdf_says_what_it_is() -> None:
    item = await read(documents.word(), "report.pdf", "application/pdf")
    assert item.kind is Kind.TEXT
    assert item.note == (f"report.pdf is labeled application/pdf but contains {WORD}, which is included as text.")


async def test_a_broken_notebook_is_included_as_it_is() -> None:
    item = await read(b'{"nbformat": 4, "cells": [', "a.ipynb")
    assert (item.kind, item.text) == (Kind.TEXT, '{"nbformat": 4, "cells": [')
    assert item.note is not None
    assert item.note.startswith("a.ipynb is included unconverted: it cannot be converted (it ")


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (lambda: documents.word()[:-500], BROKEN),
        (lambda: documents.word()[:-500] + b"PK\x05\x06" + b"\0" * 18, BROKEN),
        (lambda: documents.word()[:-500] + b"PK\x05\x06" + b"\xff" * 18, "it is truncated or broken"),
        (lambda: documents.word_with(b""), "it contains no text"),
        (lambda: documents.word_with(documents.paragraph(b" ")), "it contains no text"),
        (
            lambda: documents.zipped(
                {
                    "mimetype": b"application/vnd.oasis.opendocument.text",
                    "META-INF/manifest.xml": b"<manifest><encryption-data/></manifest>",
                }
            ),
            PASSWORD,
        ),
        (lambda: documents.zipped({f"{n}.txt": b"" for n in range(10_001)}), "it holds more than 10,000 files"),
        (lambda: claiming(documents.word(), 300 * 1024 * 1024), TOO_MUCH),
    ],
    ids=[
        "cut",
        "cut inside",
        "wrong end",
        "empty",
        "blank",
        "encrypted odf",
        "many",
        "bomb",
    ],
)
async def test_what_is_wrong_with_a_document_is_said(make: Callable[[], bytes], expected: str) -> None:
    assert await cause(make()) == expected


def lying_bomb() -> bytes:
    """An archive whose table of contents says that its entries are small."""
    return claiming(documents.word_with(documents.paragraph(b"A" * (110 * 1024 * 1024))), 1000)


ENTITIES = b'<!DOCTYPE l [<!ENTITY a "aaaaaaaaaaaaaaaaaaaa">' + b"".join(
    b'<!ENTITY %c "%b">' % (98 + n, b"&%c;" % (97 + n) * 20) for n in range(12)
)


@pytest.mark.parametrize(
    ("make", "kept_out"),
    [
        (lying_bomb, b"AAAA"),
        (lambda: documents.word_with(documents.paragraph(b"hello &m;"), before=ENTITIES + b"]>"), b"aaaa"),
        (
            lambda: documents.word_with(
                documents.paragraph(b"hello &x;"), before=b'<!DOCTYPE l [<!ENTITY x SYSTEM "file:///etc/passwd">]>'
            ),
            b"root",
        ),
        (lambda: documents.word_with(b"<w:p>" * 100_000 + b"x" + b"</w:p>" * 100_000), b"<w:p>"),
    ],
    ids=["archive that lies", "entities", "external entity", "deep"],
)
async def test_a_trap_costs_little_and_brings_nothing_in(make: Callable[[], bytes], kept_out: bytes) -> None:
    content = make()
    async with asyncio.timeout(30):
        try:
            converted = await convert(content)
        except UnreadableError:
            return
    assert kept_out.decode() not in converted.text[:5000]
    assert len(converted.text) <= read_documents.CHARACTERS


async def test_a_huge_sheet_is_cut_within_its_bounds() -> None:
    converted = await convert(documents.excel(rows=5_000), 40_000)
    assert converted.is_cut
    assert "[the first " in converted.text


ENDS = {
    "sleeps": "opening it takes longer than 1 seconds",
    "dies": "opening it takes too much memory or breaks the converter",
    "floods": "opening it takes too much memory or breaks the converter",
    "babbles": "it breaks the converter",
}


@pytest.mark.parametrize("name", ENDS)
async def test_whatever_the_process_does_is_a_cause(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(read_documents, "_READ", f"tests.bounded.work:{name}")
    with pytest.raises(UnreadableError) as raised:
        await convert(documents.word(), seconds=1 if name == "sleeps" else 20)
    assert str(raised.value) == ENDS[name]


async def test_a_machine_with_no_process_left_is_a_cause(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise BlockingIOError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(bounded, "documents", bounded.Pool("none", size=1))
    monkeypatch.setattr(subprocess, "Popen", refuse)
    assert await cause(documents.word()) == (
        "no process could be started to open it ([Errno 11] Resource temporarily unavailable)"
    )


@settings(max_examples=12, deadline=None)
@given(
    name=st.sampled_from(sorted(REAL)),
    cuts=st.lists(st.tuples(st.floats(0, 1), st.binary(min_size=1, max_size=8)), min_size=1, max_size=4),
)
def test_a_damaged_document_is_a_text_or_has_a_cause(name: str, cuts: list[tuple[float, bytes]]) -> None:
    content = bytearray(REAL[name][0]())
    for place, wrong in cuts:
        at = int(place * (len(content) - 1))
        content[at : at + len(wrong)] = wrong
    found = classify(bytes(content), "", name)
    assert found.kind is not Kind.DOCUMENT or found.media_type in TYPES
    with contextlib.suppress(UnreadableError):
        read_as = asyncio.run(read(bytes(content), name)).kind
        assert read_as in {Kind.TEXT, Kind.OTHER, found.kind}  # with another beginning it may be a recording, or so
        assert read_as is not Kind.DOCUMENT


def test_every_kind_of_document_has_a_name() -> None:
    assert all(each.words.startswith(("a ", "an ")) for each in TYPES.values())


def test_links_of_old_documents_are_no_field_codes() -> None:
    text = 'See HYPERLINK "https://a.test/x" our page, and HYPERLINK \\l "part" there. HYPERLINKS stay.'
    assert without_codes(text) == "See (https://a.test/x) our page, and (part) there. HYPERLINKS stay."
