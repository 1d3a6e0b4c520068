"""Messages of Outlook: headers, body and attachments, in another message, too."""

import datetime as dt
import struct

import pytest

from tests.inputs.compound import Tree, compound
from tests.inputs.test_inputs_kinds import read_all
from worker.inputs import Kind
from worker.inputs.causes import UnreadableError

SENT = dt.datetime(2024, 3, 5, 14, 30, tzinfo=dt.UTC)


def properties(head: int) -> bytes:
    ticks = int((SENT - dt.datetime(1601, 1, 1, tzinfo=dt.UTC)).total_seconds()) * 10_000_000
    return bytes(head) + struct.pack("<IIQ", 0x00390040, 6, ticks)


def texts(**said: str) -> Tree:
    return {f"__substg1.0_{key.removeprefix('p')}001F": value.encode("utf-16-le") for key, value in said.items()}


def attachment(name: str, content: bytes, declared: str = "") -> Tree:
    return {**texts(p3707=name, p370E=declared), "__substg1.0_37010102": content}


def message(**more: bytes | Tree) -> bytes:
    headers = texts(p0037="Größe", p0C1A="Ann", p5D01="ann@example.com", p0E04="Bob; Cy", p0E03="Dan")
    return compound({"__properties_version1.0": properties(32), **headers, **more})


async def test_headers_body_and_attachments() -> None:
    inner: Tree = {"__properties_version1.0": properties(24), **texts(p0037="Inner", p1000="Within.")}
    inner["__attach_version1.0_#00000000"] = attachment("b.csv", b"a,b\n1,2\n")
    within: Tree = {"__substg1.0_3701000D": inner}
    content = message(
        **texts(p1000="Hello Bob,\r\nsee below."),
        **{
            "__attach_version1.0_#00000000": attachment("stock.csv", b"city,boxes\nLeeds,37\n" * 400),
            "__attach_version1.0_#00000001": attachment(
                "текст.txt", "Привет".encode("koi8-r"), "text/plain; charset=koi8-r"
            ),
            "__attach_version1.0_#00000002": within,
        },
    )
    first, *attached = await read_all(content, "a.msg")
    assert first.text == (
        "[text extracted from a.msg]\n\n"
        "From: Ann <ann@example.com>\nTo: Bob; Cy\nCc: Dan\nDate: 2024-03-05 14:30 UTC\nSubject: Größe\n\n"
        "Hello Bob,\nsee below.\n\n"
        "Attachments:\n- stock.csv (7.8 KB)\n- текст.txt (6 bytes)\n- Inner.txt (50 bytes)\n- b.csv (8 bytes)"
    )
    assert [each.name for each in attached] == [
        f"a.msg/{name}" for name in ("stock.csv", "текст.txt", "Inner.txt", "b.csv")
    ]
    assert [each.text for each in attached[1:]] == [
        "Привет",
        "Date: 2024-03-05 14:30 UTC\nSubject: Inner\n\nWithin.",
        "a,b\n1,2\n",
    ]


async def test_a_page_as_the_body_and_texts_of_one_byte_a_letter() -> None:
    page = {"__substg1.0_10130102": b"<html><body><h1>Stock</h1><p>Gr\xc3\xb6\xc3\x9fe</p></body></html>"}
    (read,) = await read_all(message(**page), "a.msg")
    assert (read.text or "").endswith("Subject: Größe\n\n# Stock\n\nGröße")
    narrow = {
        "__properties_version1.0": properties(32),
        "__substg1.0_0037001E": b"Caf\xe9",
        "__substg1.0_1000001E": b"Hi.",
    }
    (read,) = await read_all(compound({**narrow}), "a.msg")
    assert (read.text or "").endswith("Subject: Café\n\nHi.")


async def test_a_broken_message_is_a_note() -> None:
    content = message(**texts(p1000="Hello"))
    with pytest.raises(UnreadableError):
        await read_all(content[:700], "a.msg")
    (read, *_) = await read_all(content, "a.msg")
    assert read.kind is Kind.TEXT
