"""How much a server may send, how long it may take, and what each failure is called."""

import asyncio
import gzip
import time
import zlib

import pytest

from tests.inputs.servers import Answer, ok, redirect, serving, status
from tests.support import wait_until
from worker.inputs import Attachment, Kind, Limits, Reader
from worker.inputs.download import _unpacked

LIMITS = Limits(file_bytes=100_000, task_bytes=250_000, seconds=10, allow_private=True)


async def read_answer(answer: Answer, limits: Limits = LIMITS, path: str = "/report.txt") -> Attachment:
    async with serving() as site:
        site.routes[path] = answer
        reader = Reader(limits)
        (item,) = (await reader.read([site.url(path)])).items
        await reader.aclose()
        await wait_until(lambda: site.open_connections == 0, "the connection is closed")
        return item


@pytest.mark.parametrize(
    ("code", "phrase", "words"),
    [
        (404, "Nope", "404 (Not Found)"),
        (403, "No", "403 (Forbidden)"),
        (500, "Oops", "500 (Internal Server Error)"),
        (503, "Later", "503 (Service Unavailable)"),
        (206, "Piece", "206 (Partial Content)"),
        (304, "Same", "304 (Not Modified)"),
        (599, "Odd", "599"),
    ],
)
async def test_a_status_that_brings_no_file_is_named(code: int, phrase: str, words: str) -> None:
    item = await read_answer(status(code, phrase))
    assert item.kind is Kind.UNREADABLE
    assert item.note == f"report.txt could not be read: the server answered {words}."


async def test_a_redirect_to_nowhere_is_named() -> None:
    item = await read_answer(status(302, "Found"))
    assert item.note == "report.txt could not be read: the server answered 302 without a Location header."


@pytest.mark.parametrize("answer", [ok(b""), status(204, "No Content")])
async def test_an_empty_file_is_named(answer: bytes) -> None:
    assert (await read_answer(answer)).note == "report.txt could not be read: it is empty (0 bytes)."


async def test_a_file_of_exactly_the_limit_is_read_and_one_byte_more_is_not() -> None:
    fits = await read_answer(ok(b"x" * 100_000))
    over = await read_answer(ok(b"x" * 100_001))
    assert (fits.kind, fits.size) == (Kind.TEXT, 100_000)
    assert over.note == "report.txt could not be read: it is larger than 97.7 KB."
    assert over.content == b""


async def endless(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
    while True:
        writer.write(b"x" * 65_536)
        await writer.drain()


async def announced_small_sent_endless(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    while True:
        writer.write(b"10000\r\n" + b"x" * 65_536 + b"\r\n")
        await writer.drain()


@pytest.mark.parametrize("answer", [endless, announced_small_sent_endless])
async def test_an_endless_body_ends_at_the_limit(answer: Answer) -> None:
    assert (await read_answer(answer)).note == "report.txt could not be read: it is larger than 97.7 KB."


async def test_a_body_that_announces_too_much_is_refused_before_it_comes() -> None:
    async def promises(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n")
        await writer.drain()

    assert (await read_answer(promises)).note == "report.txt could not be read: it is larger than 97.7 KB."


async def test_a_body_that_goes_on_behind_its_announced_length_is_cut_there() -> None:
    item = await read_answer(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello and much more")
    assert item.text == "hello"


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\nhello",
    ],
)
async def test_a_body_that_breaks_off_is_named(answer: bytes) -> None:
    item = await read_answer(answer)
    cause = "the server closed the connection before the whole file was received"
    assert item.note == f"report.txt could not be read: {cause}."


@pytest.mark.parametrize("answer", [b"SSH-2.0-OpenSSH\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n", b""])
async def test_what_is_not_http_is_named(answer: bytes) -> None:
    item = await read_answer(answer)
    assert item.kind is Kind.UNREADABLE
    assert item.note == "report.txt could not be read: the server's response is not valid HTTP."


async def drip_body(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
    while True:
        writer.write(b"x")
        await writer.drain()
        await asyncio.sleep(0.05)  # the slowness is what is tested; nobody waits for it


async def drip_head(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\n")
    while True:
        writer.write(b"X: y\r\n")
        await writer.drain()
        await asyncio.sleep(0.05)


@pytest.mark.parametrize("answer", [drip_body, drip_head, None])
async def test_the_time_limit_is_for_the_whole_download(answer: Answer) -> None:
    begun = time.monotonic()
    item = await read_answer(answer, Limits(seconds=0.5, allow_private=True))
    assert item.note == "report.txt could not be read: it did not arrive within 0.5 seconds."
    assert time.monotonic() - begun < 5


async def test_resolving_counts_towards_the_time_limit() -> None:
    async def never(host: str, port: int) -> list[str]:
        await asyncio.Event().wait()
        return [host, str(port)]

    reader = Reader(Limits(seconds=0.2), resolve=never)
    (item,) = (await reader.read(["http://slow.test/a.txt"])).items
    await reader.aclose()
    assert item.note == "a.txt could not be read: it did not arrive within 0.2 seconds."


async def test_compression_is_not_asked_for_but_read() -> None:
    async with serving() as site:
        site.routes["/gzip.txt"] = ok(gzip.compress(b"hello " * 1000), "text/plain", "Content-Encoding: gzip")
        site.routes["/zlib.txt"] = ok(zlib.compress(b"hello"), "text/plain", "Content-Encoding: deflate")
        reader = Reader(LIMITS)
        items = (await reader.read([site.url("/gzip.txt"), site.url("/zlib.txt")])).items
        await reader.aclose()
        assert [item.text for item in items] == ["hello " * 1000, "hello"]
        assert all("accept-encoding: identity" in head.lower() for head in site.heads)


async def test_a_compression_bomb_ends_at_the_limit() -> None:
    packer = zlib.compressobj(9, wbits=31)
    bomb = b"".join(packer.compress(b"\0" * 1024 * 1024) for _ in range(100)) + packer.flush()
    assert len(bomb) < 110_000
    item = await read_answer(ok(bomb, "text/plain", "Content-Encoding: gzip"))
    assert item.note == "report.txt could not be read: it is larger than 97.7 KB."


def test_a_compression_bomb_unpacks_in_small_steps() -> None:
    bomb = zlib.compress(b"\0" * 1_000_000)
    parts = list(_unpacked(zlib.decompressobj(), bomb))
    assert sum(len(part) for part in parts) == 1_000_000
    assert max(len(part) for part in parts) <= 65_536


@pytest.mark.parametrize(
    ("body", "encoding", "cause"),
    [
        (gzip.compress(b"hello" * 500, mtime=0)[:20], "gzip", "its compressed content is cut short"),
        (b"not gzip at all", "gzip", "its compressed content is broken"),
        (b"whatever", "br", "the server sent it compressed with br, which was not requested"),
    ],
)
async def test_bad_compression_is_named(body: bytes, encoding: str, cause: str) -> None:
    item = await read_answer(ok(body, "text/plain", f"Content-Encoding: {encoding}"))
    assert item.note == f"report.txt could not be read: {cause}."


async def test_the_name_that_a_server_gives_is_used_and_made_safe() -> None:
    header = 'Content-Disposition: attachment; filename="../../etc/Q3 figures.csv"'
    item = await read_answer(ok(b"a,b\n1,2\n", "application/octet-stream", header), path="/download?id=7")
    assert (item.name, item.media_type) == ("Q3 figures.csv", "text/csv")
    odd = "Content-Disposition: attachment; filename*=nonsense''%ff%fe"
    assert (await read_answer(ok(b"hello", "text/plain", odd))).kind is Kind.TEXT


async def test_notes_never_hold_the_query_or_the_credentials_of_a_url() -> None:
    async with serving() as site:
        site.routes["/empty.txt?signature=secret"] = ok(b"")
        urls = [
            site.url("/gone.txt?signature=secret#secret", "user:secret@127.0.0.1"),
            site.url("/empty.txt?signature=secret"),
            "http://user:secret@nowhere.invalid/?signature=secret",
            "https://user:secret@[::1/?signature=secret",
            "ftp://user:secret@example.com/a.txt?signature=secret",
        ]
        reader = Reader(LIMITS)
        attachments = await reader.read(urls)
        await reader.aclose()
        assert len(attachments.notes) == len(urls)
        assert not any("secret" in note for note in attachments.notes)
        assert all("\n" not in note for note in attachments.notes)
        assert [item.url for item in attachments.items] == urls


SIGN_IN = b'<!DOCTYPE html><p>Sign in</p><form><input name="who"><input class="x" type="password"></form>'
NO_SUCH = b'{"error": "not found", "code": 404}'
HOLDS = "is named like {} but contains {}, which is included as text."
A_PAGE = HOLDS.format("{}", "text/html (perhaps a sign-in or error page)")


@pytest.mark.parametrize(
    ("path", "body", "declared", "says"),
    [
        ("/report.pdf", NO_SUCH, "application/json", HOLDS.format("application/pdf", "application/json")),
        ("/report.pdf", b"<?xml version='1.0'?><Error/>", "text/xml", HOLDS.format("application/pdf", "text/xml")),
        ("/clip.mp4", b"Access denied", "text/plain", "is labeled video/mp4 but contains text/plain"),
        ("/all.zip", b"Access denied", "text/plain", HOLDS.format("application/zip", "text/plain")),
        ("/table.csv", NO_SUCH, "application/json", HOLDS.format("text/csv", "application/json")),
        ("/table.csv", b"a,b\n1,2\n", "application/json", None),
        ("/README.md", SIGN_IN, "text/html", A_PAGE.format("text/markdown")),
        ("/README.md", SIGN_IN, "text/plain", "is a page that asks for a password"),
        (
            "/files/7",
            SIGN_IN,
            "text/html",
            "is a page that asks for a password, perhaps in place of the intended file",
        ),
        ("/page.html", b"<html><p>Hello</p></html>", "text/html", None),
        ("/a.pdf", b"<script>location = '/'</script>", "text/html", A_PAGE.format("application/pdf")),
    ],
)
async def test_an_answer_that_is_not_the_file_is_named_as_what_it_is(
    path: str, body: bytes, declared: str, says: str | None
) -> None:
    item = await read_answer(ok(body, declared), path=path)
    assert item.text is not None
    assert (says is None and item.note is None) or str(says) in str(item.note)


async def test_a_page_to_sign_in_that_a_redirect_led_to_is_named() -> None:
    async with serving() as site:
        site.routes |= {
            "/files/7": redirect("/login"),
            "/a.pdf": redirect("/login"),
            "/login": ok(SIGN_IN, "text/html"),
        }
        reader = Reader(LIMITS)
        attachments = await reader.read([site.url("/files/7"), site.url("/a.pdf")])
        await reader.aclose()
    assert attachments.notes == (
        "7 is a page that asks for a password, perhaps in place of the intended file.",
        f"a.pdf {A_PAGE.format('application/pdf')}",
    )
