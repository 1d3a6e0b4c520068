"""Pictures within documents become images where they are wanted and the model takes them; else a note says so."""

import base64
import io
from typing import Any

import pytest
from fpdf import FPDF
from PIL import Image

from tests.inputs.documents import saved
from worker.inputs import Attachment, Attachments, Kind, Limits, adapt
from worker.inputs.attachments import Fetched
from worker.inputs.examining import examined
from worker.words.models import ModelCapabilities

MOST = 20_000_000


def picture(shade: int, side: int = 160) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (side, side), (shade, 90, 90)).save(out, "PNG")
    return out.getvalue()


def word() -> bytes:
    import docx

    document: Any = docx.Document()
    document.add_paragraph("Look at these.")
    for content in (picture(1), picture(2, side=30), picture(3), picture(1), picture(4)):
        document.add_picture(io.BytesIO(content))
    return saved(document)


def slides() -> bytes:
    import pptx

    deck: Any = pptx.Presentation()
    for shade in (1, 3, 4):
        slide = deck.slides.add_slide(deck.slide_layouts[5])
        slide.shapes.title.text = "A chart"
        slide.shapes.add_picture(io.BytesIO(picture(shade)), 0, 0)
    return saved(deck)


def book() -> bytes:
    import openpyxl
    from openpyxl.drawing.image import Image as Placed

    made: Any = openpyxl.Workbook()
    made.active["A1"] = "Look at these."
    for shade in (1, 3, 4):
        made.active.add_image(Placed(io.BytesIO(picture(shade))), f"C{shade}")
    return saved(made)


def page() -> bytes:
    inlined = (base64.b64encode(picture(shade)).decode() for shade in (1, 3, 4))
    pictures = "".join(f'<img alt="" src="data:image/png;base64,{each}">' for each in inlined)
    return f"<!doctype html><html><body><p>Look.</p>{pictures}</body></html>".encode()


@pytest.mark.parametrize(("make", "name"), [(word, "a.docx"), (slides, "a.pptx"), (book, "a.xlsx"), (page, "a.html")])
async def test_as_many_as_are_wanted_become_images_each_once_and_no_icons(make: Any, name: str) -> None:
    content, url = make(), f"https://a.test/{name}"
    document, *pictures = await examined(url, Fetched(content), MOST, pictures=2)
    assert [(each.kind, each.content) for each in pictures] == [(Kind.IMAGE, picture(shade)) for shade in (1, 3)]
    assert all(each.name.startswith(f"{name}/") for each in pictures)
    assert document.note == f"{name}: 1 picture in it is left out."
    (alone,) = await examined(url, Fetched(content), MOST)
    assert alone.note == f"{name}: 3 pictures in it are left out (see WORKER_DOCUMENT_PICTURES)."


async def test_pictures_of_a_pdf_go_to_a_model_that_takes_pictures_alone() -> None:
    made = FPDF()
    made.set_font("Helvetica")
    made.add_page()
    made.multi_cell(0, text="Look at these.")
    for shade in (1, 120, 240):
        made.image(io.BytesIO(picture(shade)), w=40)
    attached = Attachment("https://a.test/a.pdf", Kind.PDF, "application/pdf", "a.pdf", bytes(made.output()), pages=1)
    seeing = ModelCapabilities(pdfs=False)
    fitting = await adapt(Attachments((attached,)), seeing, Limits(document_pictures=2))
    assert [each.kind for each in fitting.items] == [Kind.TEXT, Kind.IMAGE, Kind.IMAGE]
    assert "Look at these." in (fitting.items[0].text or "")
    with Image.open(io.BytesIO(fitting.items[2].content)) as seen:
        assert abs(seen.convert("RGB").getpixel((80, 80))[0] - 120) < 8  # pyright: ignore[reportIndexIssue, reportOptionalSubscript, reportOperatorIssue]
    assert fitting.notes == ("a.pdf: 1 picture in it is left out.",)
    assert [each.kind for each in (await adapt(Attachments((attached,)), seeing)).items] == [Kind.TEXT]


async def test_a_presentation_of_pictures_alone_says_so() -> None:
    import pptx

    from worker.inputs.causes import UnreadableError

    deck: Any = pptx.Presentation()
    deck.slides.add_slide(deck.slide_layouts[6]).shapes.add_picture(io.BytesIO(picture(1)), 0, 0)
    (item, image) = await examined("https://a.test/a.pptx", Fetched(saved(deck)), MOST, pictures=1)
    assert (item.kind, image.kind) == (Kind.TEXT, Kind.IMAGE)
    with pytest.raises(UnreadableError, match="truncated or broken"):
        await examined("https://a.test/a.pptx", Fetched(saved(deck)[:-200]), MOST)
