"""A task's files for who reads on in them: parts by their places, and the places where a text stands."""

import time
from collections.abc import Sequence

import pytest

from tests.inputs.servers import pdf
from worker.inputs import Attachment, Attachments, Kind
from worker.inputs.library import ANSWER_CHARACTERS, Library
from worker.inputs.recognition import NOT_INSTALLED

URL = "https://a.test/server.log?key=1"
LINES = "".join(f"line {number}\n" for number in range(10_000))


def library(*files: Attachment, urls: Sequence[str] = (URL,)) -> Library:
    return Library(urls, Attachments(files))


def text(content: str, name: str = "server.log", url: str = URL, encoding: str = "utf-8") -> Attachment:
    return Attachment(url, Kind.TEXT, "text/plain", name, content.encode(encoding), encoding)


@pytest.mark.parametrize("name", [URL, "server.log", " server.log\n"])
async def test_a_part_is_read_by_its_place(name: str) -> None:
    part = await library(text(LINES)).read(name, 50_000, 50_100)
    head, shown = part.split("\n", 1)
    shown, _, more = shown.rpartition("\n")
    assert head == f"[characters 50000 to 50100 of {len(LINES)} of {name.strip()}]"
    assert (shown, more) == (LINES[50_000:50_100], "[continues at 50100]")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "iso2022_jp_2"])
async def test_places_are_those_of_characters_whatever_the_encoding(encoding: str) -> None:
    japanese = "東京の倉庫\n" * 30_000
    files = library(text(japanese, encoding=encoding))
    assert japanese[100_001:100_020] in await files.read("server.log", 100_001, 100_020)
    assert "\n[at 3] 東京の倉庫\n東京の" in await files.search(URL, "倉庫")


async def test_the_end_and_what_lies_beyond_it() -> None:
    files = library(text(LINES))
    total = len(LINES)
    assert (await files.read("server.log", -10, None)).endswith(f"of server.log]\n{LINES[-10:]}")
    assert (await files.read("server.log", -10, -5)).split("\n", 1)[1].startswith(LINES[-10:-5])
    assert await files.read("server.log", 10**9, None) == (
        f"[server.log has {total} characters: there are none from 1000000000 to {total}.]"
    )
    assert "there are none from 9 to 3" in await files.read("server.log", 9, 3)
    assert (await files.read("server.log", -(10**12), 4)).split("\n")[1] == "line"
    assert "has 0 characters" in await library(text("")).read(URL, 0, None)


async def test_an_answer_is_bounded() -> None:
    files = library(text("x" * 15_000_000))
    assert len(await files.read(URL, 0, None)) < ANSWER_CHARACTERS + 200
    assert len(await files.search(URL, "x" * 500)) < ANSWER_CHARACTERS + 200
    small = Library([URL], Attachments((text(LINES),)), 2_000)
    assert len(await small.read(URL, 0, 10_000)) < 2_200


async def test_a_text_is_found_in_any_case_where_it_stands_with_what_is_around_it() -> None:
    content = "İx" * 40_000 + "\nThe ERROR.* came\n" + "y" * 70_000 + "error.*"
    answer = await library(text(content)).search(URL, "Error.*")
    first, last = content.index("ERROR"), content.rindex("error")
    assert answer.startswith(f"[{URL} contains it in 2 places:]\n[at {first}] ")
    assert "\nThe ERROR.* came\nyyy" in answer
    assert f"\n[at {last}] y" in answer
    assert await library(text("a.b")).search(URL, "a+b") == f"[{URL} does not contain it; the file has 3 characters.]"


async def test_every_place_counts_once_also_where_pieces_meet() -> None:
    content = "".join(f"<{number:06}>" for number in range(40_000))
    files = library(text(content))
    for number in (0, 8_191, 8_192, 16_383, 16_384, 39_999):
        answer = await files.search(URL, f"<{number:06}>")
        assert answer.startswith(f"[{URL} contains it in 1 place:]\n[at {8 * number}] ")
    assert "contains it in more than 10,000 places; these are the first 20:]" in await files.search(URL, "<0")
    assert "must have 1 to 500 characters" in await files.search(URL, " ")


async def test_a_search_made_to_take_long_does_not() -> None:
    began = time.monotonic()
    await library(text("a" * 10_000_000)).search(URL, "a" * 400 + "b")
    assert time.monotonic() - began < 3


@pytest.mark.usefixtures("no_tesseract")
async def test_a_pdf_is_read_as_text_and_a_scan_has_a_cause() -> None:
    def of(*pages: str) -> Library:
        return library(Attachment(URL, Kind.PDF, "application/pdf", "a.pdf", pdf(*pages)))

    files = of(*(f"This is page {number}." for number in range(1, 4)))
    assert "[page 3 of 3]\nThis is page 3." in await files.read("a.pdf", 0, None)
    assert "contains it in 1 place" in await files.search("a.pdf", "page 2.")
    assert await of("").read("a.pdf", 0, None) == (
        f"[a.pdf could not be read: it contains no text (it may be a scan); {NOT_INSTALLED}.]"
    )


async def test_a_name_that_is_not_there_brings_those_that_are() -> None:
    files = library(text("x"), text("y", "notes.txt", "notes.txt"))
    assert "Readable files: notes.txt]" in await files.read("note.txt", 0, None)
    assert "Readable files: https://a.test/server.log?key=1, notes.txt, server.log]" in await files.search("zzz", "x")
    assert "Readable files: none]" in await library().read("a", 0, None)


async def test_other_texts_can_be_kept_and_read() -> None:
    files = library()
    assert files.keep("result of fetch", LINES) == "result of fetch 1"
    assert files.keep("result of fetch", LINES + "more") == "result of fetch 2"
    assert files.keep("result of fetch", LINES) == "result of fetch 1"
    assert LINES[77:99] in await files.read("result of fetch 1", 77, 99)
    files.keep("large", "x" * 20_000_000)
    assert "There is no readable file of that name" in (await files.read("result of fetch 1", 0, 5)).replace("[", "")
