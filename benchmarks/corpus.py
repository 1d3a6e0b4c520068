"""A generated corpus of files of all kinds, and hostile files."""

import gzip
import io
import json
import random
import tarfile
import zipfile
from collections.abc import Callable
from email.message import EmailMessage
from typing import Any

SENTENCES = (
    "The warehouse in Leeds holds {} boxes of nails.",
    "Turnover grew by {} per cent in the third quarter.",
    "Łódź, Győr and Škofja Loka ordered {} pallets.",
    "Please send the invoice for order {} before Friday.",
)
RUSSIAN = "Отчёт за третий квартал: выручка выросла на {} %, расходы снизились.\n"
JAPANESE = "第三四半期の売上高は{}パーセント増加しました。\n"
CELL = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"


def corpus(count: int) -> list[tuple[str, bytes]]:
    """Return the names and contents of files, alternating between kinds and sizes."""
    makers = list(MAKERS.items())
    files: list[tuple[str, bytes]] = []
    for number in range(count):
        ending, make = makers[number % len(makers)]
        size = (1, 4, 20)[number // len(makers) % 3]
        files.append((f"{number}.{ending}", make(random.Random(number), size)))  # noqa: S311 - reproducible
    return files


def _text(chance: random.Random, size: int) -> str:
    return "\n".join(chance.choice(SENTENCES).format(chance.randrange(10_000)) for _ in range(100 * size))


def _csv(chance: random.Random, size: int) -> bytes:
    rows = (f"{number},{chance.random():.3f},City {number}" for number in range(500 * size))
    return "\n".join(["id,share,city", *rows]).encode()


def _log(chance: random.Random, size: int) -> bytes:
    lines = (f"2026-05-01 12:00:{number % 60:02} INFO request {chance.random()}" for number in range(1_000 * size))
    return "\n".join(lines).encode()


def _json(chance: random.Random, size: int) -> bytes:
    return json.dumps([{"id": number, "share": chance.random()} for number in range(200 * size)]).encode()


def _html(chance: random.Random, size: int) -> bytes:
    body = "".join(f"<h2>{number}</h2><p>{line}</p>" for number, line in enumerate(_text(chance, size).split("\n")))
    style = f"<style>{'.a{color:#123456}' * 400}</style>"
    return f"<!doctype html><html><head><title>Page</title>{style}</head><body>{body}</body></html>".encode()


def _word(chance: random.Random, size: int) -> bytes:
    import docx

    document: Any = docx.Document()
    for number, line in enumerate(_text(chance, size).split("\n")):
        document.add_heading(f"Part {number}", 2) if number % 20 == 0 else document.add_paragraph(line)
    return _saved(document)


def _excel(chance: random.Random, size: int) -> bytes:
    import openpyxl

    book = openpyxl.Workbook(write_only=True)
    for name in ("Data", "More"):
        sheet: Any = book.create_sheet(name)
        sheet.append(["id", "city", "share"])
        for number in range(100 * size):
            sheet.append([number, f"City {number}", chance.random()])
    return _saved(book)


def _slides(chance: random.Random, size: int) -> bytes:
    import pptx

    deck: Any = pptx.Presentation()
    for line in _text(chance, size).split("\n")[: 5 * size]:
        slide = deck.slides.add_slide(deck.slide_layouts[1])
        slide.shapes.title.text, slide.placeholders[1].text = "Slide", line
    return _saved(deck)


def _saved(document: Any) -> bytes:
    out = io.BytesIO()
    document.save(out)
    return out.getvalue()


def _pdf(chance: random.Random, size: int) -> bytes:
    from fpdf import FPDF

    document = FPDF()
    document.set_font("Helvetica", size=11)
    for _ in range(3 * size):
        document.add_page()
        document.multi_cell(0, text=_text(chance, 1)[:2_000].encode("latin-1", "replace").decode("latin-1"))
    return bytes(document.output())


def _picture(form: str) -> Callable[[random.Random, int], bytes]:
    def make(chance: random.Random, size: int) -> bytes:
        from PIL import Image
        from pillow_heif import register_heif_opener

        register_heif_opener()
        out = io.BytesIO()
        picture = Image.effect_noise((100 * size, 80 * size), chance.randrange(20, 90)).convert("RGB")
        picture.save(out, form)
        return out.getvalue()

    return make


def _zip(chance: random.Random, size: int) -> bytes:
    return zipped({"a.csv": _csv(chance, size), "b.txt": _text(chance, size).encode(), "c.docx": _word(chance, 1)})


def zipped(members: dict[str, bytes]) -> bytes:
    """Return a zip archive."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return out.getvalue()


def _tar(chance: random.Random, size: int) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        content = _log(chance, size)
        info = tarfile.TarInfo("server.log")
        info.size = len(content)
        archive.addfile(info, io.BytesIO(content))
    return out.getvalue()


def _mail(chance: random.Random, size: int) -> bytes:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "a@example.com", "b@example.com", "Delivery"
    message.set_content(_text(chance, size))
    message.add_attachment(_csv(chance, size).decode(), filename="stock.csv", subtype="csv")
    return bytes(message)


def _notebook(chance: random.Random, size: int) -> bytes:
    cells = [{"cell_type": "markdown", "source": line} for line in _text(chance, size).split("\n")]
    return json.dumps({"nbformat": 4, "metadata": {}, "cells": cells}).encode()


def _rich(chance: random.Random, size: int) -> bytes:
    body = _text(chance, size).encode("ascii", "ignore").replace(b"\n", b"\\par\n")
    return b"{\\rtf1\\ansi " + body + b"}"


def _encoded(line: str, encoding: str) -> Callable[[random.Random, int], bytes]:
    return lambda chance, size: "".join(line.format(chance.randrange(100)) for _ in range(100 * size)).encode(encoding)


MAKERS: dict[str, Callable[[random.Random, int], bytes]] = {
    "txt": lambda chance, size: _text(chance, size).encode(),
    "csv": _csv,
    "log": _log,
    "json": _json,
    "html": _html,
    "docx": _word,
    "xlsx": _excel,
    "pptx": _slides,
    "pdf": _pdf,
    "png": _picture("PNG"),
    "jpg": _picture("JPEG"),
    "tiff": _picture("TIFF"),
    "heic": _picture("HEIF"),
    "zip": _zip,
    "tgz": _tar,
    "eml": _mail,
    "ipynb": _notebook,
    "rtf": _rich,
    "cp1251.txt": _encoded(RUSSIAN, "cp1251"),
    "sjis.txt": _encoded(JAPANESE, "shift_jis"),
}


def hostile() -> dict[str, bytes]:
    """Return files that are crafted to take long, or to grow large."""
    from fpdf import FPDF

    bomb = zipped({f"{number}.txt": b"\0 " * 5_000_000 for number in range(20)})
    nested = b"hello"
    for depth in range(12):
        nested = zipped({f"{depth}.zip" if depth else "a.txt": nested})
    pages = FPDF()
    for _ in range(10_000):
        pages.add_page()
    size = (60_000).to_bytes(4, "big")
    wide = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + size + size + b"\x08\x02\0\0\0\0\0\0\0\0\0\0\0IEND\xaeB`\x82"
    return {
        "a zip bomb.zip": bomb,
        "a gzip bomb.gz": gzip.compress(b"\0" * 200_000_000, 9),
        "nested.zip": nested,
        "10,000 pages.pdf": bytes(pages.output()),
        "60,000 by 60,000.png": wide,
        "one line of 15 MB.txt": b"x" * 15_000_000,
        "deep.html": b"<html>" + b"<div>" * 200_000,
        "a picture of four million parts.jpg": b"\xff\xd8" + b"\xff\xfe\0\2" * 4_000_000,
        "15 MB of cp1251.txt": (RUSSIAN * 160_000).encode("cp1251")[:15_000_000],
        "many cells.xlsx": _many_cells(),
    }


def _many_cells() -> bytes:
    import openpyxl

    book = openpyxl.Workbook(write_only=True)
    sheet: Any = book.create_sheet("Data")
    for number in range(20_000):
        sheet.append([number, number * 1.5, f"Customer {number}", "x", "y"])
    return _saved(book)
