"""Reading the files of a task: once, in order, within its limits; `data:` URLs and uploaded files too."""

import asyncio
import base64
import gc
import subprocess
import sys
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.inputs.servers import ok, pdf, picture, serving
from tests.support import wait_until
from worker.inputs import Attachment, Attachments, Kind, Limits, Reader, StoredFile, display_url
from worker.inputs.causes import UnreadableError
from worker.inputs.data_urls import read_data_url
from worker.inputs.pdfs import check_pdf, pdf_text

LIMITS = Limits(file_bytes=100_000, task_bytes=250_000, process_bytes=500_000, seconds=10, allow_private=True)


async def read(urls: Sequence[str], limits: Limits = LIMITS) -> Attachments:
    reader = Reader(limits)
    try:
        return await reader.read(urls)
    finally:
        await reader.aclose()


async def read_one(url: str, limits: Limits = LIMITS) -> Attachment:
    (item,) = (await read([url], limits)).items
    return item


LOGIN = (
    "login.pdf is named like application/pdf but contains text/html (perhaps a sign-in or"
    " error page), which is included as text."
)


def inline(content: bytes, media_type: str = "") -> str:
    return f"data:{media_type};base64,{base64.b64encode(content).decode()}"


async def test_files_come_in_order_each_read_once_and_by_what_they_hold() -> None:
    async with serving() as site:
        site.routes |= {
            "/report.pdf": ok(pdf("hello"), "application/octet-stream"),
            "/chart.png": ok(picture("PNG"), "text/plain"),
            "/figures.csv": ok(b"a,b\n1,2\n", "binary/octet-stream"),
            "/mislabelled.csv": ok(picture("JPEG"), "text/csv"),
            "/login.pdf": ok(b"<html>Please log in</html>", "application/pdf"),
            "/archive.zip": ok(b"PK\x03\x04" + b"\0" * 40, "application/zip"),
        }
        paths = [*site.routes, "/gone.txt", "/figures.csv"]
        attachments = await read([site.url(path) for path in paths])
        assert [item.name for item in attachments.items] == [path[1:] for path in paths[:-1]]
        assert [item.kind.value for item in attachments.items] == [
            *("pdf", "image", "text", "image", "text", "unreadable", "unreadable")
        ]
        assert [item.media_type for item in attachments.pdfs + attachments.images + attachments.texts] == [
            *("application/pdf", "image/png", "image/jpeg", "text/csv", "text/markdown")
        ]
        assert attachments.notes == (
            LOGIN,
            "archive.zip could not be read: it is truncated or broken.",
            "gone.txt could not be read: the server answered 404 (Not Found).",
        )
        assert [item.name for item in attachments.unreadable] == ["archive.zip", "gone.txt"]
        assert sorted(site.paths()) == sorted(paths[:-1])


async def test_files_are_read_at_the_same_time() -> None:
    async with serving() as site:
        all_here = asyncio.Event()

        async def when_all_are_here(writer: asyncio.StreamWriter) -> None:
            if site.open_connections == 2:
                all_here.set()
            await all_here.wait()
            writer.write(ok(b"hello"))

        site.routes |= {"/a.txt": when_all_are_here, "/b.txt": when_all_are_here}
        attachments = await read([site.url("/a.txt"), site.url("/b.txt")])
        assert [item.text for item in attachments.items] == ["hello", "hello"]


async def test_files_are_read_while_the_default_executor_is_busy() -> None:
    free = threading.Event()
    executor = ThreadPoolExecutor(1)
    asyncio.get_running_loop().set_default_executor(executor)
    busy = asyncio.create_task(asyncio.to_thread(free.wait))
    async with serving() as site:
        site.routes["/report.pdf"] = ok(pdf("hello"))
        attachments = await read([site.url("/report.pdf", "localhost"), inline(picture("PNG"))])
    assert [item.kind for item in attachments.items] == [Kind.PDF, Kind.IMAGE]
    free.set()
    await busy


async def test_no_files_need_nothing() -> None:
    reader = Reader()
    attachments = await reader.read([])
    attachments.release()
    assert attachments.items == ()


@pytest.mark.parametrize(
    ("content", "cause"),
    [
        (pdf("hello", password="user"), "it is encrypted and needs a password"),
        (pdf("hello")[:-200], "it is truncated: its end is missing"),
        (pdf("hello" * 50)[:300], "it is truncated: its end is missing"),
        (b"%PDF-1.4\nnothing else\n%%EOF", "it is not a valid PDF"),
        (pdf("hello").replace(b"/Count 1", b"/Count 0").replace(b"/Kids [3 0 R]", b"/Kids [     ]"), "it has no pages"),
        (b"", "it is empty (0 bytes)"),
        (b" \r\n\t", "it contains only white space"),
        ("\ufeff \n".encode("utf-8"), "it contains only white space"),
        (" \n".encode("utf-16"), "it contains only white space"),
        (picture("PNG")[:-30], "it is truncated: its end is missing"),
    ],
)
async def test_a_file_that_cannot_be_opened_is_named_with_its_cause(content: bytes, cause: str) -> None:
    async with serving() as site:
        site.routes["/report.pdf"] = ok(content)
        item = await read_one(site.url("/report.pdf"))
    assert (item.kind, item.content) == (Kind.UNREADABLE, b"")
    assert item.note == f"report.pdf could not be read: {cause}."


async def test_an_encrypted_pdf_without_a_user_password_is_readable() -> None:
    document = pdf("hello", password="")
    assert b"/Encrypt" in document
    assert (await read_one(inline(document))).kind is Kind.PDF


async def test_who_exceeds_the_limit_of_a_task_does_not_depend_on_who_is_fast() -> None:
    async with serving() as site:
        later_ones_asked = asyncio.Event()

        async def last_of_all(writer: asyncio.StreamWriter) -> None:
            await later_ones_asked.wait()
            writer.write(ok(b"x" * 90_000))

        async def at_once(writer: asyncio.StreamWriter) -> None:
            later_ones_asked.set()
            writer.write(ok(b"x" * 90_000))

        site.routes |= {"/a.txt": last_of_all, "/b.txt": at_once, "/c.txt": ok(b"x" * 90_000), "/d.txt": ok(b"small")}
        attachments = await read([site.url(f"/{name}.txt") for name in "abcd"])
    assert [item.size for item in attachments.items] == [90_000, 90_000, 0, 5]
    assert attachments.notes == ("c.txt could not be read: with it, the task's files would exceed 244.1 KB.",)


async def test_more_files_than_a_task_may_have_become_notes() -> None:
    attachments = await read([f"data:,{number}" for number in range(4)], Limits(files=2))
    assert [item.kind.value for item in attachments.items] == ["text", "text", "unreadable", "unreadable"]
    assert "a task may have at most 2 files" in attachments.notes[0]


async def test_a_process_holds_only_so_much_and_the_next_task_waits_its_turn() -> None:
    reader = Reader(Limits(file_bytes=1000, task_bytes=1000, process_bytes=1500))
    first = await reader.read([inline(b"x" * 900)])
    assert reader.allowance.held == 900
    second = asyncio.create_task(reader.read([inline(b"y" * 10)]))
    await wait_until(lambda: reader.allowance.waiting == 1, "the second task waits")
    first.release()
    first.release()
    assert (await second).items[0].size == 10
    await wait_until(lambda: reader.allowance.held == 10, "only the second task's bytes are held")
    with await second:
        pass
    await wait_until(lambda: reader.allowance.held == 0, "nothing is held")


async def test_bytes_of_forgotten_attachments_come_back_and_from_any_thread() -> None:
    reader = Reader(Limits(file_bytes=1000, task_bytes=1000, process_bytes=1000))
    attachments = await reader.read([inline(b"x" * 900)])
    assert reader.allowance.held == 900
    del attachments
    gc.collect()
    await wait_until(lambda: reader.allowance.held == 0, "what nobody refers to is given back")
    other = await reader.read([inline(b"x" * 900)])
    thread = threading.Thread(target=other.release)
    thread.start()
    await asyncio.to_thread(thread.join)
    await wait_until(lambda: reader.allowance.held == 0, "what a thread releases is given back")


async def test_a_task_that_gives_up_waiting_leaves_the_queue_and_a_cancelled_read_gives_back() -> None:
    reader = Reader(Limits(file_bytes=1000, task_bytes=1000, process_bytes=1000, allow_private=True))
    async with serving() as site:
        site.routes["/a.txt"] = None
        reading = asyncio.create_task(reader.read([site.url("/a.txt")]))
        await wait_until(lambda: site.heads, "the first file is asked for")
        waiting = [asyncio.create_task(reader.read(["data:,x"])) for _ in range(2)]
        await wait_until(lambda: reader.allowance.waiting == 2, "two tasks wait")
        waiting[0].cancel()
        await wait_until(lambda: reader.allowance.waiting == 1, "one of them has gone")
        reading.cancel()
        assert (await waiting[1]).items[0].text == "x"
        await wait_until(lambda: site.open_connections == 0, "the cancelled download is closed")
        await reader.aclose()


async def test_more_than_the_process_may_hold_is_still_read_alone() -> None:
    reader = Reader(Limits(file_bytes=1000, task_bytes=5000, process_bytes=1500))
    attachments = await reader.read(["data:,a", "data:,b", "data:,c"])
    assert [item.text for item in attachments.items] == ["a", "b", "c"]


async def stored(reference: str) -> StoredFile:
    if reference != "worker:abc/report.txt":
        raise KeyError(reference)
    return StoredFile(b"hello", "text/plain", "report.txt")


async def test_uploaded_files_are_read_from_the_store() -> None:
    reader = Reader(LIMITS, open_stored=stored)
    known, unknown = (await reader.read(["worker:abc/report.txt", "worker:def/gone.txt"])).items
    assert (known.name, known.text, known.note) == ("report.txt", "hello", None)
    assert unknown.note == "gone.txt could not be read: there is no such uploaded file."
    without = await read_one("worker:abc/report.txt")
    assert without.note == "report.txt could not be read: uploaded files cannot be read here."


async def test_a_store_that_is_too_generous_is_a_note_and_one_that_is_down_is_an_error() -> None:
    async def generous(reference: str) -> StoredFile:
        return StoredFile(b"x" * 200_000, "text/plain", reference)

    async def down(reference: str) -> StoredFile:
        raise ConnectionError(reference)

    large = await Reader(LIMITS, open_stored=generous).read(["worker:a/a.txt"])
    assert large.notes == ("a.txt could not be read: it is larger than 97.7 KB.",)
    reader = Reader(LIMITS, open_stored=down)
    with pytest.raises(ConnectionError):
        await reader.read(["worker:a/a.txt", "data:,x"])
    await wait_until(lambda: reader.allowance.held == 0, "nothing is held after the error")


@pytest.mark.parametrize(
    ("url", "text"),
    [
        ("data:,hello%20there", "hello there"),
        ("data:text/plain;charset=utf-8,na%C3%AFve", "naïve"),
        ("data:text/plain;charset=iso-8859-1,na%EFve", "naïve"),
        ("DATA:text/plain;BASE64,aGVsbG8=", "hello"),
        ("data:;base64,aGVsbG8", "hello"),
        ("data:;base64,aGVs%0AbG8%3D", "hello"),
        ("data:;base64,Pz8_Pz8-", "?????>"),
        ("data:text/csv;name=figures.csv,a%2Cb", "a,b"),
    ],
)
async def test_data_urls_are_read(url: str, text: str) -> None:
    assert (await read_one(url)).text == text


@pytest.mark.parametrize(
    ("url", "cause"),
    [
        ("data:text/plain", "its data: URL has no comma"),
        ("data:;base64,!!!!", "its base64 is not valid"),
        ("data:;base64,A", "its base64 is not valid"),
        ("data:,", "it is empty (0 bytes)"),
        (inline(b"x" * 100_001), "it is larger than 97.7 KB"),
        ("data:," + "x" * 100_001, "it is larger than 97.7 KB"),
    ],
)
async def test_bad_data_urls_are_named_without_their_content(url: str, cause: str) -> None:
    item = await read_one(url)
    assert item.note == f"{display_url(url)} could not be read: {cause}."
    assert len(item.url) < 60


async def test_a_data_url_is_described_not_quoted() -> None:
    item = await read_one(inline(picture("PNG"), "image/png"))
    assert item.kind is Kind.IMAGE
    assert item.url.startswith("data:image/png (")
    assert "base64" not in item.url + item.name


@settings(deadline=None)  # a busy machine is not a failure
@given(st.text(max_size=200))
def test_reading_a_data_url_raises_nothing_but_its_cause(rest: str) -> None:
    for url in (f"data:{rest}", f"data:;base64,{rest}", f"data:text/plain;{rest},x"):
        try:
            assert len(read_data_url(url, 100).content) <= 100
        except UnreadableError as cause:
            assert str(cause)  # noqa: PT017 - either outcome is right, and the words must be there


@settings(deadline=None)  # a busy machine is not a failure
@given(st.text(max_size=200))
def test_showing_a_url_never_raises_and_is_one_line(url: str) -> None:
    shown = display_url(url)
    assert "\n" not in shown
    assert display_url(f"https://user:hidden@example.com/{url}?hidden#hidden").count("hidden") <= url.count("hidden")


def dense_pdf(operators: int) -> bytes:
    """A small PDF whose one page draws a letter very often."""
    stream = b"BT /F1 12 Tf 10 10 Td " + b"(a) Tj " * operators + b"ET"
    objects = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 99 99]/Contents 4 0 R/Resources<</Font<</F1 5 0 R>>>>>>",
        b"<</Length %d>>stream\n%s\nendstream" % (len(stream), stream),
        b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
    ]
    out = b"%PDF-1.4\n"
    offsets: list[int] = []
    for number, body in enumerate(objects, 1):
        offsets.append(len(out))
        out += b"%d 0 obj%s\nendobj\n" % (number, body)
    table = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    tail = b"xref\n0 6\n0000000000 65535 f \n%strailer<</Size 6/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF"
    return out + tail % (table, len(out))


async def test_a_pdf_that_takes_too_long_is_a_cause_and_the_next_is_read() -> None:
    with pytest.raises(UnreadableError, match=r"longer than 0\.2 seconds"):
        await pdf_text(dense_pdf(600_000), 8000, seconds=0.2)
    await check_pdf(dense_pdf(10))
    assert "aaaaaaaaaa" in (await pdf_text(dense_pdf(10), 8000)).text


def test_importing_the_room_loads_no_heavy_library() -> None:
    heavy = "agno httpx httpcore pypdf puremagic cryptography"
    code = f"import sys, worker.inputs; print([name for name in '{heavy}'.split() if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
