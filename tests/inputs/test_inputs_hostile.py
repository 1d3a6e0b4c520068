"""Whatever a server, a URL or a file does: an attachment or a note of one line, and nothing raised."""

import asyncio
import base64

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.inputs.servers import pdf, picture, serving
from worker.inputs import (
    Attachments,
    Limits,
    Reader,
    adapt,
    compose_message,
    fit_texts,
    human_readable,
    to_agno_files,
    to_agno_images,
)
from worker.words.models import ModelCapabilities

LIMITS = Limits(file_bytes=200_000, task_bytes=400_000, process_bytes=800_000, seconds=2, allow_private=True)
SMALL = ModelCapabilities(pdfs=False, images=False, prompt_tokens=100)

BODIES = [
    *(picture(form) for form in ("PNG", "JPEG", "GIF", "WEBP")),
    *(pdf("hello", "world"), b"%PDF-1.4\n%%EOF", b"a,b\n1,2\n", b"<html>x", b'{"a":1}', "é".encode("utf-16")),
    *(b"\xff\xfe\0\0a\0\0\0", b"{\\rtf1", b'{"nbformat":4,"cells":[]}', b"PK\x03\x04word/document.xml"),
]
HEADERS = [
    *(
        "Content-Type: application/pdf",
        "Content-Type: text/plain; charset=utf-16",
        'Content-Type: text/html; charset="',
    ),
    *("Content-Type: \0", "Content-Encoding: gzip", "Content-Encoding: deflate", "Content-Encoding: br"),
    *("Content-Length: -1", "Content-Length: 99999999999999999999", "Content-Length: 5", "Transfer-Encoding: chunked"),
    *("Location: http://[::1", "Location: //", "Location: data:,x", "Location: file:///etc/passwd", "Location: /a.pdf"),
    'Content-Disposition: attachment; filename="../../x"',
    "Content-Disposition: attachment; filename*=UTF-8''%ff%00.pdf",
    "Content-Disposition: attachment; filename*=x-unknown'a'b",
    *("Content-Disposition: ;;;=;", "Content-Range: bytes 0-1/3", "\x7f: x", "A" * 9000 + ": b"),
]


def answer(status: int, reason: str, headers: list[str], body: bytes) -> bytes:
    return "\r\n".join([f"HTTP/1.1 {status} {reason}", *headers, "", ""]).encode("latin-1") + body


ANSWERS = st.binary(max_size=200) | st.builds(
    answer,
    st.sampled_from([200, 200, 200, 201, 204, 206, 301, 302, 307, 404, 500, 999, 100, 101, 0]),
    st.sampled_from(["OK", "", "\0"]),
    st.lists(st.sampled_from(HEADERS), max_size=4),
    st.sampled_from(BODIES) | st.binary(max_size=400),
)


async def check(urls: list[str], attachments: Attachments) -> None:
    """All that is made of attachments can be made of these."""
    assert len(attachments.items) == len(dict.fromkeys(urls))
    fitted = await adapt(attachments, SMALL)
    for each in (fit_texts(attachments, SMALL, LIMITS), fitted):
        assert len(compose_message("t", [], each)) < 60_000
        assert all(note and len(note.splitlines()) == 1 for note in each.notes)
        human_readable(each)
        to_agno_files(each)
        to_agno_images(each)
    assert not fitted.pdfs + fitted.images


async def read(urls: list[str]) -> None:
    async def away(host: str, port: int) -> list[str]:
        if host != "127.0.0.1":
            raise OSError(f"{host}:{port}")
        return [host]

    async def unknown(reference: str) -> None:
        raise LookupError(reference)

    reader = Reader(LIMITS, open_stored=unknown, resolve=away)  # pyright: ignore[reportArgumentType] # it never returns
    try:
        async with asyncio.timeout(30):
            await check(urls, await reader.read(urls))
    finally:
        await reader.aclose()


@settings(max_examples=30)
@given(data=ANSWERS, path=st.sampled_from(["/a.pdf", "/b.csv", "/c", "/d.png", "/e%00.txt"]))
def test_whatever_a_server_answers(data: bytes, path: str) -> None:
    async def story() -> None:
        async with serving() as site:
            site.routes |= {path: data, "/a.pdf": data}
            await read([site.url(path)])

    asyncio.run(story())


URLS = st.text(max_size=60) | st.builds(
    "{}{}".format,
    st.sampled_from(
        ["data:", "worker:", "https://", "http://127.0.0.1:1/", "http://user:password@", "HTTP:", "data:;base64,"]
    ),
    st.text(max_size=40),
)


@settings(max_examples=30)
@given(urls=st.lists(URLS, max_size=4))
def test_whatever_a_url_is(urls: list[str]) -> None:
    asyncio.run(read(urls))


@settings(max_examples=30)
@given(
    body=st.sampled_from(BODIES),
    wrong=st.lists(st.tuples(st.floats(0, 1), st.binary(max_size=12)), max_size=6),
    name=st.text(max_size=30),
)
def test_whatever_is_damaged_in_a_file(body: bytes, wrong: list[tuple[float, bytes]], name: str) -> None:
    content = bytearray(body)
    for place, piece in wrong:
        at = int(place * len(content))
        content[at : at + len(piece)] = piece
    asyncio.run(read([f"data:application/pdf;name={name};base64,{base64.b64encode(content).decode()}"]))
