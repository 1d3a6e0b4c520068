"""PDFs as a model's provider accepts them: so many pages, so many bytes, without protection."""

import io
from typing import Any

import pypdf
import pytest
from fpdf import FPDF
from PIL import Image
from pypdf.generic import ArrayObject, DictionaryObject, NameObject, TextStringObject

from tests.inputs.recordings import wav
from tests.inputs.servers import pdf, picture
from worker.inputs import Attachment, Attachments, Kind, adapt, to_agno_files
from worker.inputs.attachments import Fetched
from worker.inputs.causes import UnreadableError
from worker.inputs.examining import examined
from worker.inputs.pdfs import fit_pdf, pdf_text
from worker.inputs.readers import pdf as reading
from worker.inputs.recognition import NOT_INSTALLED
from worker.words.models import ModelCapabilities

MOST = 20 * 1024 * 1024
PAGES = pdf(*(f"This is page {number}." for number in range(1, 6)))
PROTECTED = pdf("Nobody may change this.", password="")


def read(*contents: bytes) -> Attachments:
    """The PDFs as they are once they were looked into."""
    items = [
        Attachment(
            f"https://a.test/{number}.pdf",
            Kind.PDF,
            "application/pdf",
            f"{number}.pdf",
            content,
            pages=len(pypdf.PdfReader(io.BytesIO(content)).pages),
        )
        for number, content in enumerate(contents)
    ]
    return Attachments(tuple(items))


def without_pdfium(_: bytes) -> None:
    """As if it were not installed."""


def taking(pages: int = 100, request: int = MOST) -> ModelCapabilities:
    return ModelCapabilities(pdfs=True, images=True, pdf_pages=pages, request=request, audio=frozenset({"audio/wav"}))


def text_of(content: Any) -> list[str]:
    reader = pypdf.PdfReader(io.BytesIO(content))
    assert not reader.is_encrypted
    return [page.extract_text().strip() for page in reader.pages]


def scans(pages: int) -> bytes:
    """A picture a page, 30 KB each."""
    document = FPDF()
    for _ in range(pages):
        document.add_page()
        noise = io.BytesIO()
        Image.effect_noise((300, 300), 90).save(noise, "PNG")
        document.image(noise, w=100)
    return bytes(document.output())


async def test_a_pdf_that_its_provider_takes_stays_as_it_is() -> None:
    attachments = Attachments(await examined("https://a.test/0.pdf", Fetched(PAGES), MOST))
    assert attachments == read(PAGES)
    assert await adapt(attachments, taking(5)) == attachments


async def test_of_too_many_pages_the_first_are_sent_and_a_note_says_so() -> None:
    fitting = await adapt(read(PAGES), taking(3))
    assert text_of(to_agno_files(fitting)[0].content) == [f"This is page {number}." for number in (1, 2, 3)]
    assert fitting.notes == ("0.pdf: the model receives only the first 3 pages of 5.",)


async def test_the_pages_of_all_pdfs_of_a_request_count() -> None:
    fitting = await adapt(read(PAGES, PAGES, PAGES), taking(6))
    assert [item.kind for item in fitting.items] == [Kind.PDF, Kind.PDF, Kind.TEXT]
    assert fitting.notes == (
        "1.pdf: the model receives only the first page of 5.",
        "2.pdf is included as text: the model's provider accepts at most 6 pages of PDFs per request.",
    )
    assert "This is page 5." in (fitting.items[2].text or "")


async def test_a_pdf_that_nobody_may_change_is_sent_without_its_protection() -> None:
    attachments = read(PROTECTED)
    fitting = await adapt(attachments, taking())
    assert text_of(to_agno_files(fitting)[0].content) == ["Nobody may change this."]
    assert fitting.notes == ()
    assert pypdf.PdfReader(io.BytesIO(attachments.items[0].content)).is_encrypted


async def test_of_too_many_bytes_the_first_pages_are_sent() -> None:
    content = scans(4)
    fitting = await adapt(read(content), taking(request=len(content) * 6 // 10))
    (file,) = to_agno_files(fitting)
    assert len(file.content or b"") <= len(content) * 6 // 10
    assert fitting.notes == ("0.pdf: the model receives only the first 2 pages of 4.",)


@pytest.mark.usefixtures("no_tesseract")
async def test_a_page_too_large_is_a_note_and_what_comes_after_it_is_sent() -> None:
    sound = Attachment("https://a.test/a.wav", Kind.AUDIO, "audio/wav", "a.wav", wav())
    scan = (read(scans(1))).items[0]
    fitting = await adapt(Attachments((scan, sound)), taking(request=10_000))
    assert [item.kind for item in fitting.items] == [Kind.OTHER, Kind.AUDIO]
    (note,) = fitting.notes
    why = "its first page alone exceeds 10,000 bytes, and this one contains no text (it may be a scan)"
    assert note == f"0.pdf could not be attached: {why}; {NOT_INSTALLED}."


async def test_what_was_sent_before_leaves_no_room() -> None:
    chart = Attachment("https://a.test/c.png", Kind.IMAGE, "image/png", "c.png", picture("PNG"))
    fitting = await adapt(Attachments((chart, *(read(PAGES)).items)), taking(request=len(chart.content) + 100))
    assert [item.kind for item in fitting.items] == [Kind.IMAGE, Kind.TEXT]
    assert "0.pdf is included as text: with it, the files would exceed" in fitting.notes[0]


@pytest.mark.parametrize("content", [PAGES, PROTECTED])
@pytest.mark.parametrize("by", ["PDFium", "pypdf"])
def test_the_same_pdf_gives_the_same_one_each_time(content: bytes, by: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if by == "pypdf":
        monkeypatch.setattr(reading, "opened_by_pdfium", without_pdfium)
    for pages in (2, 100):
        first, second = reading.fit(content, pages, MOST), reading.fit(content, pages, MOST)
        assert first == second
        assert text_of(first.partition(b"\n")[2])


@pytest.mark.parametrize("content", [PAGES, PROTECTED])
def test_it_is_done_without_pdfium_too(content: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "opened_by_pdfium", without_pdfium)
    head, _, fitted = reading.fit(content, 2, MOST).partition(b"\n")
    assert len(text_of(fitted)) == int(head) <= 2


async def test_what_is_no_pdf_has_a_cause() -> None:
    with pytest.raises(UnreadableError, match="it is not a valid PDF"):
        await fit_pdf(b"%PDF-1.4 /Encrypt nothing %%EOF", 10, MOST)


async def test_a_damaged_trailer_is_mended_and_a_truncated_pdf_is_not() -> None:
    body, _, _ = PAGES.rpartition(b"trailer")
    root = PAGES[PAGES.rindex(b"/Root") :].partition(b"\n")[0]
    damaged = body + b"trailer\n<< " + root + b" /ID [<904e\xa4I\x9e"
    (item,) = await examined("https://a.test/a.pdf", Fetched(damaged), MOST)
    assert item.pages == 5
    (file,) = to_agno_files(await adapt(Attachments((item,)), taking()))
    assert text_of(file.content) == text_of(PAGES)
    with pytest.raises(UnreadableError, match="truncated"):
        await examined("https://a.test/a.pdf", Fetched(body[: len(body) // 2] + root), MOST)


async def test_pages_count_against_the_context_too_by_how_much_text_they_have() -> None:
    dense = pdf(*["word " * 900] * 20)
    small = ModelCapabilities(context=32_000)
    (item,) = (await adapt(read(dense), small)).items
    assert item.note == "0.pdf: the model receives only the first 10 pages of 20."
    assert (await adapt(read(pdf(*["a few words"] * 20)), small)).notes == ()
    assert (await adapt(read(dense), ModelCapabilities(context=200_000))).notes == ()
    table = Attachment("https://a.test/a.txt", Kind.TEXT, "text/plain", "a.txt", b"word " * 9_000, "utf-8")
    both = Attachments((*read(dense).items, table))
    fitting = await adapt(both, small)
    assert fitting.notes[0] == item.note
    assert len(fitting.items[1].content) < 3_000


async def test_what_is_written_on_a_page_is_said_and_a_cut_says_how_much_there_is() -> None:
    document, longest = FPDF(), reading.LONGEST_VALUE
    document.set_font("Helvetica")
    document.add_page()
    document.text(20, 20, "Please check.")
    document.text_annotation(10, 10, "y" * (longest + 7))
    for number in range(reading.MAX_FIELDS + 2):
        document.text_annotation(10, 10, f"Remark {number}")
    said = (await pdf_text(bytes(document.output()), 1_000_000)).text
    assert "[annotation] Remark 498\n[and 3 more fields and annotations]" in said
    assert f"y [cut here: this is its first {longest:,} of {longest + 7:,} characters]" in said


@pytest.mark.parametrize("is_isolated", [False, True])
async def test_the_values_of_a_form_are_said_with_the_names_of_their_fields(*, is_isolated: bool) -> None:
    writer = pypdf.PdfWriter(pypdf.PdfReader(io.BytesIO(pdf("Order"))))
    parent = DictionaryObject({NameObject("/T"): TextStringObject("city"), NameObject("/V"): TextStringObject("Łódź")})
    fields = [
        {"/T": TextStringObject("name"), "/V": TextStringObject("Ann")},
        {"/Parent": writer._add_object(parent)},
        {"/T": TextStringObject("paid"), "/V": NameObject("/Off")},
    ]
    widgets = ArrayObject()
    for field in fields:
        entries = {NameObject(key): value for key, value in field.items()}
        entries[NameObject("/Subtype")] = NameObject("/Widget")
        widgets.append(writer._add_object(DictionaryObject(entries)))
    writer.pages[0][NameObject("/Annots")] = writer._add_object(widgets) if is_isolated else widgets
    target = io.BytesIO()
    writer.write(target)
    assert (
        await pdf_text(target.getvalue(), 1_000)
    ).text == "[page 1 of 1]\nOrder\n[field name] Ann\n[field city] Łódź"


def written(*texts: tuple[float, str]) -> bytes:
    """A page with texts, each at its distance from the left edge."""
    document = FPDF()
    document.set_font("Helvetica")
    document.add_page()
    for number, (left, words) in enumerate(texts):
        document.text(left, 20 + 10 * number, words)
    return bytes(document.output())


async def test_words_at_the_edge_of_a_page_are_whole_and_those_far_outside_are_not_on_it() -> None:
    seen = "Turnover grew by seven percent in the third quarter."
    found = await pdf_text(written((20, seen), (195, "unbelievable"), (-300, "hidden " * 10)), 10_000)
    assert seen in found.text
    found = await pdf_text(written((20, seen), (200, "unbelievable")), 10_000)
    assert "unbelievable" in found.text


async def test_letters_that_the_font_of_a_page_does_not_name_are_no_text() -> None:
    found = await pdf_text(written((20, "\x01\x02\x03\x04\x05 \x06\x07\x08" * 5)), 10_000)
    assert (found.texts, found.scans) == ((), (1,))
    found = await pdf_text(written((20, "Turnover\x04grew by seven percent.")), 10_000)
    assert "Turnover grew by seven percent." in found.text
