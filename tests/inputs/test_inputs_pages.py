"""Web pages, e-books made of them, files that are packed alone, and notebooks of before 2015."""

import bz2
import gzip
import json
import lzma
import re
import tarfile
from collections.abc import Callable
from io import BytesIO

import pytest

from tests.inputs.documents import unzipped, zipped
from tests.inputs.test_inputs_kinds import read_all, text
from tests.inputs.test_inputs_within import picture
from worker.inputs import Kind
from worker.inputs.attachments import Fetched
from worker.inputs.causes import UnreadableError
from worker.inputs.examining import examined

CONTAINER = (
    '<container version="1.0" xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><rootfiles>'
    '<rootfile full-path="OEBPS/content.opf" media-type="application/oebps-package+xml"/></rootfiles></container>'
)
PAGE = '<?xml version="1.0"?><!DOCTYPE html><html xmlns="http://www.w3.org/1999/xhtml"><body>{}</body></html>'


def book() -> bytes:
    """Its chapters stand in another order in the archive, and one has a name that is percent-encoded."""
    names = ("text/two%20b.xhtml", "text/one.xhtml")
    items = "".join(
        f'<item id="c{n}" href="{name}" media-type="application/xhtml+xml"/>' for n, name in enumerate(names)
    )
    package = (
        '<package xmlns="http://www.idpf.org/2007/opf" version="3.0"><metadata xmlns:dc="http://purl.org/dc/elements/1.1/">'
        f"<dc:title>Nails</dc:title><dc:creator>Ann</dc:creator></metadata><manifest>{items}"
        '<item id="p" href="images/a.png" media-type="image/png"/></manifest>'
        '<spine><itemref idref="c1"/><itemref idref="c0"/><itemref idref="missing"/></spine></package>'
    )
    return zipped(
        {
            "mimetype": b"application/epub+zip",
            "META-INF/container.xml": CONTAINER.encode(),
            "OEBPS/content.opf": package.encode(),
            "OEBPS/text/two b.xhtml": PAGE.format("<h1>Two</h1><p>Größe &amp; weight</p>").encode(),
            "OEBPS/text/one.xhtml": PAGE.format("<h1>One</h1><ul><li>a</li></ul>").encode(),
            "OEBPS/images/a.png": picture(5),
        }
    )


async def test_the_chapters_of_a_book_come_in_their_order() -> None:
    said = await text(book(), "a.epub")
    assert said.partition("\n\n")[2] == "# Nails, by Ann\n\n# One\n\n- a\n\n# Two\n\nGröße & weight"
    _, image = await examined("https://example.com/a.epub", Fetched(book()), 20_000_000, pictures=1)
    assert (image.kind, image.content) == (Kind.IMAGE, picture(5))


async def test_a_book_without_a_package_is_a_note() -> None:
    members = {name: content for name, content in unzipped(book()).items() if not name.endswith(".opf")}
    with pytest.raises(UnreadableError):
        await read_all(zipped(members), "a.epub")


async def test_a_table_without_a_head_is_a_table_and_one_that_lays_out_a_page_is_none() -> None:
    rows = "<tr><td>Name</td><td>Boxes</td></tr><tr><td></td><td> </td></tr><tr><td>a|b</td><td>37</td></tr>"
    page = (
        f"<html><body><table><tr><td><h1>News</h1><p>Hello.</p><table>{rows}</table></td><td>Beside</td></tr></table>"
    )
    said = await text(page.encode(), "a.html")
    assert said.partition("\n\n")[2] == (
        "# News\n\nHello.\n\n| Name | Boxes |\n| --- | --- |\n| a\\|b | 37 |\n\nBeside"
    )


async def test_a_table_with_a_small_one_in_a_cell_stays_a_table() -> None:
    inner = "<table><tr><td>in</td><td>it</td></tr></table>"
    rows = "".join(f"<tr><td>City {number}</td><td>{number} boxes</td></tr>" for number in range(2))
    table = f"<table><colgroup width=8></colgroup><col>{rows}<tr><td>Both</td><td>{inner}</td></tr></table>"
    page = f"<html><body>{table}</body></html>"
    said = await text(page.encode(), "a.html")
    assert re.sub(r" +", " ", said.partition("\n\n")[2]) == (
        "| City 0 | 0 boxes |\n| --- | --- |\n| City 1 | 1 boxes |\n| Both | in it |"
    )


async def test_of_xhtml_the_instructions_are_no_words() -> None:
    assert (await text(PAGE.format("<p>Hello.</p>").encode(), "a.xhtml")).partition("\n\n")[2] == "Hello."


@pytest.mark.parametrize(
    ("pack", "ending", "words"),
    [(gzip.compress, "gz", "a gzip file"), (bz2.compress, "bz2", "a bzip2 file"), (lzma.compress, "xz", "an xz file")],
    ids=["gzip", "bzip2", "xz"],
)
async def test_what_is_packed_is_unpacked(pack: Callable[[bytes], bytes], ending: str, words: str) -> None:
    listing, inner = await read_all(pack(b"a,b\n1,2\n"), f"a.csv.{ending}")
    assert listing.text == f"[text extracted from a.csv.{ending}]\n\n{words} (8 bytes unpacked)"
    assert (inner.name, inner.media_type, inner.text) == (f"a.csv.{ending}/a.csv", "text/csv", "a,b\n1,2\n")
    out = BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        info = tarfile.TarInfo("a.txt")
        info.size = 5
        archive.addfile(info, BytesIO(b"hello"))
    assert [each.text for each in await read_all(pack(out.getvalue()), f"a.t{ending}")][1:] == ["hello"]
    with pytest.raises(UnreadableError, match="unpacks to more than"):
        await read_all(pack(bytes(30_000_000)), f"a.{ending}")
    with pytest.raises(UnreadableError, match="truncated or broken"):
        await read_all(pack(b"hello" * 1000)[:-20], f"a.{ending}")


async def test_a_notebook_of_an_older_form() -> None:
    cells = [
        {"cell_type": "code", "input": ["print(1)"], "outputs": [{"output_type": "stream", "text": ["1\n"]}]},
        {"cell_type": "markdown", "source": ["# Head"]},
    ]
    notebook = {"nbformat": 3, "metadata": {}, "worksheets": [{"cells": cells}]}
    said = await text(json.dumps(notebook).encode(), "a.ipynb")
    assert said.partition("\n\n")[2] == "```\nprint(1)\n```\n\n```\n1\n```\n\n# Head"
