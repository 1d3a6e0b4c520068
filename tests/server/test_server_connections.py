"""What a peer may send before it has shown a key, how long it may take, and how much it may have the server hold."""

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest

from tests.server.conftest import KEY, Start
from tests.server.serving import Serving
from tests.support import wait_until
from worker.server.limits import connections
from worker.server.limits.body_memory import BodyMemory
from worker.server.timings import ServerTimings
from worker.words.errors import Unavailable

MEGABYTE = 1024 * 1024
SECONDS = 20.0


class Peer:
    """A raw connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    @classmethod
    async def of(cls, serving: Serving) -> "Peer":
        return cls(*await asyncio.open_connection("127.0.0.1", serving.port))

    async def send(self, *pieces: bytes) -> int:
        """Send until all is sent or nobody takes it; how many bytes that were."""
        sent = 0
        for piece in pieces:
            try:
                self.writer.write(piece)
                await asyncio.wait_for(self.writer.drain(), SECONDS)
            except (ConnectionError, TimeoutError):
                break
            sent += len(piece)
        return sent

    async def status(self) -> int | None:
        """The status of the answer; none: the connection was ended without one."""
        try:
            line = await asyncio.wait_for(self.reader.readline(), SECONDS)
        except ConnectionError:
            return None
        return int(line.split()[1]) if line else None

    async def is_ended(self) -> bool:
        """Whether the server has ended it."""
        try:
            await asyncio.wait_for(self.reader.read(), SECONDS)
        except ConnectionError:
            return True
        return self.reader.at_eof()


@pytest.fixture
async def peer(serving: Serving) -> AsyncIterator[Peer]:
    peer = await Peer.of(serving)
    yield peer
    peer.writer.close()


async def test_a_header_without_end_is_cut_off(serving: Serving, peer: Peer) -> None:
    sent = await peer.send(b"GET /health HTTP/1.1\r\nHost: localhost\r\nX: ", *[b"b" * 65536] * 1024)
    assert sent <= 32 * MEGABYTE, "the kernel holds some of it, however little the server reads"
    assert await peer.status() in (431, None)
    assert await peer.is_ended()
    async with httpx.AsyncClient(base_url=serving.base, timeout=30) as client:
        assert (await client.get("/health")).status_code == 200


@pytest.mark.parametrize("count", [connections.HEADERS - 1, connections.HEADERS + 1])
async def test_headers_are_counted(peer: Peer, count: int) -> None:
    headers = b"".join(b"x-%d: a\r\n" % number for number in range(count - 1))
    await peer.send(b"GET /health HTTP/1.1\r\nHost: localhost\r\n" + headers + b"\r\n")
    assert await peer.status() == (200 if count <= connections.HEADERS else 431)


@pytest.mark.parametrize("server_timings", [ServerTimings(headers=0.3)], ids=["late soon"])
@pytest.mark.parametrize("begun", [b"", b"\r\n", b"GET /health HTTP/1.1\r\nHost: loc"])
async def test_headers_that_take_too_long_end_the_connection(serving: Serving, begun: bytes) -> None:
    peer = await Peer.of(serving)
    await peer.send(begun)
    assert await peer.status() == 408
    assert await peer.is_ended()
    peer.writer.close()


@pytest.mark.parametrize("server_timings", [ServerTimings(body_gap=0.3)], ids=["late soon"])
async def test_a_body_that_stops_ends_the_connection(serving: Serving, peer: Peer) -> None:
    head = b"POST /agent-execution/a HTTP/1.1\r\nHost: localhost\r\nx-api-key: %b\r\ncontent-length: 1000\r\n\r\n{"
    await peer.send(head % KEY.encode())
    assert await peer.status() == 408
    assert await peer.is_ended()
    del serving


async def test_headers_after_a_body_have_an_end_too(peer: Peer) -> None:
    head = b"POST /agent-execution/a HTTP/1.1\r\nHost: localhost\r\nx-api-key: %b\r\ntransfer-encoding: chunked\r\n\r\n"
    await peer.send(head % KEY.encode() + b"2\r\n{}\r\n0\r\nX: ", *[b"b" * 65536] * 64)
    assert await peer.is_ended()


async def test_without_a_key_a_body_is_not_waited_for(serving: Serving) -> None:
    head = (
        b"POST /work HTTP/1.1\r\nHost: localhost\r\ncontent-type: application/json\r\ncontent-length: 10000000\r\n\r\n["
    )
    peers = [await Peer.of(serving) for _ in range(20)]
    for peer in peers:
        await peer.send(head)
    assert [await peer.status() for peer in peers] == [401] * len(peers)
    for peer in peers:
        peer.writer.close()


async def test_an_address_has_only_so_many_connections(start: Start) -> None:
    serving = await start(key=KEY, connections_per_address=3)
    peers = [await Peer.of(serving) for _ in range(3)]
    for peer in peers:
        await peer.send(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert await peer.status() == 200
    refused = await Peer.of(serving)
    assert await refused.status() == 429
    assert await refused.is_ended()
    for peer in [*peers, refused]:
        peer.writer.close()

    async def is_served() -> bool:
        again = await Peer.of(serving)
        await again.send(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
        status = await again.status()
        again.writer.close()
        return status == 200

    await wait_until(is_served, "an address whose connections have ended gets new ones", SECONDS)


async def test_bodies_of_one_key_leave_room_for_others() -> None:
    memory = BodyMemory(0.1, total=10 * MEGABYTE, of_key=6 * MEGABYTE)
    async with memory.reserve("one", 5 * MEGABYTE):
        with pytest.raises(Unavailable):
            await memory.reserve("one", 2 * MEGABYTE).__aenter__()
        async with memory.reserve("one", 1000), memory.reserve("other", 5 * MEGABYTE):
            with pytest.raises(Unavailable):
                await memory.reserve("third", MEGABYTE).__aenter__()
    async with memory.reserve("one", 6 * MEGABYTE):
        pass
