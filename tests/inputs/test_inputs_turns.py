"""While a large or a hostile file is looked at, everybody else gets his turn."""

import asyncio
import base64
import gc
from contextlib import suppress

import pytest

from benchmarks.files import Watch
from tests.inputs.servers import picture
from worker.inputs import Limits, Reader, StoredFile, adapt, compose_message
from worker.words.models import ModelCapabilities

LONGEST = 0.25  # seconds of this process's own time in which the event loop does nothing else
MEBIBYTE = 1024 * 1024
RUSSIAN = "Отчёт за третий квартал: выручка выросла на 12 %, расходы снизились.\n"
FILES = {
    "a picture of four million parts.jpg": picture("JPEG")[:2] + b"\xff\xfe\0\2" * 4_000_000 + picture("JPEG")[2:],
    "one line of 15 MB.txt": b"x" * (15 * MEBIBYTE),
    "blanks alone.txt": b" \n" * (7 * MEBIBYTE),
    "of another encoding.txt": (RUSSIAN * 160_000).encode("cp1251")[: 15 * MEBIBYTE],
    "of a few bad bytes.txt": (RUSSIAN * 120_000).encode()[: 15 * MEBIBYTE].replace(b"12", b"1\xff", 50),
    "no text at all.bin": bytes(range(256)) * (60 * 1024),
}


async def longest_wait(url: str, content: bytes = b"") -> float:
    """How long the event loop was held at most while a file was read, fitted and put into a message."""

    async def stored(_: str) -> StoredFile:
        return StoredFile(content, "application/octet-stream", "a.txt")

    reader, watch = Reader(Limits(), open_stored=stored), Watch()
    await reader.read(["data:text/plain,gr%F6%DFer", "data:application/octet-stream,%00%01"])  # imports libraries
    gc.collect()
    gc.freeze()  # what the session's earlier tests left is not this file's
    looking = asyncio.create_task(watch.look())
    with await reader.read([url]) as attachments:
        compose_message("?", [url], await adapt(attachments, ModelCapabilities(context=1_000_000)))
    await reader.aclose()
    looking.cancel()
    with suppress(asyncio.CancelledError):
        await looking
    gc.unfreeze()
    return max(watch.held)


@pytest.mark.parametrize("name", FILES)
async def test_nobody_waits_for_a_file_that_is_looked_at(name: str) -> None:
    assert await longest_wait(f"worker:00/{name}", FILES[name]) < LONGEST


@pytest.mark.parametrize("content", [base64.b64encode(bytes(range(256)) * 76_000).decode(), "%41" * 6_000_000])
async def test_nobody_waits_for_a_file_within_its_url(content: str) -> None:
    encoding = "" if content.startswith("%") else ";base64"
    assert await longest_wait(f"data:application/octet-stream{encoding},{content}") < LONGEST
