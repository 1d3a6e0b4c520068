"""The text in pictures and scans, recognized by a real Tesseract for models that see neither."""

import io

import pytest
from fpdf import FPDF
from PIL import Image, ImageDraw, ImageFont

from tests.inputs.servers import picture
from worker.inputs import Attachment, Attachments, Kind, adapt, recognition
from worker.inputs.causes import UnreadableError
from worker.inputs.library import Library
from worker.inputs.pdf_words import words_of_pdf
from worker.words.models import ModelCapabilities

TEXT_ONLY = ModelCapabilities(pdfs=False, images=False)
LINES = ("Invoice of the harbour office", "Total due on Tuesday")

needs_tesseract = pytest.mark.skipif(
    not recognition.is_installed(), reason="needs tesserocr and Tesseract's data: apt-get install tesseract-ocr-eng"
)


def letters(*lines: str) -> Image.Image:
    made = Image.new("RGB", (1240, 700), "white")
    for number, line in enumerate(lines):
        ImageDraw.Draw(made).text((60, 80 + 120 * number), line, "black", ImageFont.load_default(56))
    return made


def encoded(image: Image.Image, form: str = "PNG") -> bytes:
    out = io.BytesIO()
    image.save(out, form)
    return out.getvalue()


def scan(*pages: Image.Image) -> bytes:
    document = FPDF()
    for page in pages:
        document.add_page()
        document.image(page, w=190)
    return bytes(document.output())


def image_file(content: bytes) -> Attachment:
    return Attachment("https://a.test/a.png", Kind.IMAGE, "image/png", "a.png", content)


def scan_file(content: bytes) -> Attachment:
    return Attachment("https://a.test/scan.pdf", Kind.PDF, "application/pdf", "scan.pdf", content)


@needs_tesseract
async def test_a_picture_becomes_the_text_in_it_and_says_so() -> None:
    (item,) = (await adapt(Attachments((image_file(encoded(letters(*LINES))),)), TEXT_ONLY)).items
    assert item.text == "[text recognized in the picture a.png]\n\n" + "\n\n".join(LINES)
    assert item.note == "a.png is included as recognized text (OCR), which may contain errors."


@needs_tesseract
async def test_of_a_fax_each_page_is_recognized() -> None:
    out = io.BytesIO()
    letters(LINES[0]).save(out, "TIFF", save_all=True, append_images=[letters(), letters(LINES[1])])
    fax = Attachment("https://a.test/a.tiff", Kind.IMAGE, "image/tiff", "a.tiff", out.getvalue())
    (item,) = (await adapt(Attachments((fax,)), TEXT_ONLY)).items
    assert (item.text or "").endswith(f"[page 1 of 3]\n{LINES[0]}\n\n[page 3 of 3]\n{LINES[1]}")


@needs_tesseract
async def test_a_scan_becomes_text_page_by_page_and_a_page_without_any_is_left_out() -> None:
    content = scan(letters(LINES[0]), letters(), letters(LINES[1]))
    attachments = Attachments((scan_file(content),))
    (item,) = (await adapt(attachments, TEXT_ONLY)).items
    pages = f"[page 1 of 3]\n{LINES[0]}\n\n[page 3 of 3]\n{LINES[1]}"
    assert item.text == f"[text recognized in the PDF scan.pdf]\n\n{pages}"
    assert item.note == "scan.pdf is included as recognized text (OCR), which may contain errors."
    assert pages in await Library(["https://a.test/scan.pdf"], attachments).read("scan.pdf", 0, None)


def mixed(*, stamp: str = "") -> bytes:
    """Pages of text, of a scan, and with nothing on them."""
    document = FPDF()
    document.set_font("Helvetica")
    for each in ("Pages one and five are text.", letters(LINES[0]), None, letters(LINES[1]), "This is the last."):
        document.add_page()
        if isinstance(each, Image.Image):
            document.image(each, x=0, y=0, w=210, h=290)
            document.text(5, 295, stamp)
        elif each:
            document.text(20, 20, each)
    return bytes(document.output())


@needs_tesseract
@pytest.mark.parametrize("stamp", ["", "Scanned 7"])
async def test_of_a_pdf_with_scanned_pages_each_of_them_is_recognized(stamp: str) -> None:
    attachments = Attachments((scan_file(mixed(stamp=stamp)),))
    (item,) = (await adapt(attachments, TEXT_ONLY)).items
    said = item.text or ""
    assert said.startswith("[text extracted from the PDF scan.pdf]\n\n[page 1 of 5]\nPages one and five are text.")
    for number, words in ((2, LINES[0]), (4, LINES[1]), (5, "This is the last.")):
        assert f"[page {number} of 5]\n{words}" in said
    assert "[page 3 of 5]" not in said
    assert item.note == (
        "scan.pdf: pages 2 and 4 of 5 are included as recognized text (OCR), which may contain errors."
    )
    assert LINES[1] in await Library(["https://a.test/scan.pdf"], attachments).read("scan.pdf", 0, None)


@pytest.mark.usefixtures("no_tesseract")
async def test_scanned_pages_that_nobody_recognizes_are_a_note_that_says_which() -> None:
    (item,) = (await adapt(Attachments((scan_file(mixed()),)), TEXT_ONLY)).items
    assert "This is the last." in (item.text or "")
    assert item.note == (f"scan.pdf: pages 2 and 4 of 5 have no text (perhaps a scan); {recognition.NOT_INSTALLED}.")
    assert not item.is_cut


@needs_tesseract
async def test_scanned_pages_beyond_the_time_are_counted() -> None:
    document, picture_of_all = FPDF(), letters(*LINES * 2)
    document.set_font("Helvetica")
    document.add_page()
    document.text(20, 20, "Text.")
    for _ in range(300):
        document.add_page()
        document.image(picture_of_all, x=0, y=0, w=210, h=290)
    found = await words_of_pdf(bytes(document.output()), 100_000, scan_seconds=8)
    looked_at = len(found.recognized)
    assert 0 < looked_at < 300
    assert found.notes[-1] == f"of its 300 pages without text, only the first {looked_at} were examined"


@needs_tesseract
async def test_a_picture_without_letters_and_a_broken_one_are_notes() -> None:
    plain = image_file(encoded(Image.linear_gradient("L").resize((640, 480))))
    broken = image_file(picture("PNG")[:-30])
    items = (await adapt(Attachments((plain, broken)), TEXT_ONLY)).items
    assert [each.kind for each in items] == [Kind.OTHER, Kind.OTHER]
    assert items[0].note == (
        "a.png could not be attached: the model does not accept pictures, and no text was recognized in it."
    )
    assert (items[1].note or "").startswith("a.png could not be attached: the model does not accept pictures, and ")


@needs_tesseract
async def test_a_scan_that_takes_too_long_is_a_cause() -> None:
    content = scan(*[letters(*LINES * 2)] * 3)
    with pytest.raises(UnreadableError, match="takes too long, or too much memory"):
        await recognition.scan_text(content, 10_000, seconds=0.05)
    read = await recognition.scan_text(content, 10)
    assert (read.pages, read.read) == (3, 1)


@pytest.mark.usefixtures("no_tesseract")
async def test_where_it_is_not_installed_a_note_says_what_to_install() -> None:
    assert not recognition.is_installed()
    items = (await adapt(Attachments((image_file(picture("PNG")), scan_file(scan(letters())))), TEXT_ONLY)).items
    install = "to have the text in it recognized, install agno-worker[ocr] and Tesseract's data (tesseract-ocr-eng)"
    no_text = "the model does not accept PDFs, and this one contains no text (it may be a scan)"
    assert [each.note for each in items] == [
        f"a.png could not be attached: the model does not accept pictures; {install}.",
        f"scan.pdf could not be attached: {no_text}; {install}.",
    ]
