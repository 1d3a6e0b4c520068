"""A way to the database that can be closed, or cut at the very answer that a test names."""

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from worker.engine.engine import Engine
from worker.engine.timings import EngineTimings


class Proxy:
    """Passes bytes between clients and a server, both on unix sockets.

    Args:
        url: The database.
        folder: Where its own socket is to be; short, since a path of a socket holds 107 bytes.
    """

    def __init__(self, url: str, folder: Path) -> None:
        parts = conninfo_to_dict(url)
        name = f".s.PGSQL.{parts.get('port') or 5432}"
        self._real = f"{parts['host']}/{name}"
        self._own = folder / name
        self.url = make_conninfo(url, host=str(folder))
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()
        self._serving: set[asyncio.Task[None]] = set()
        self._cut: list[bytes] = []
        self._held: set[asyncio.StreamWriter] = set()
        self._holds_new = False
        self._for_good = False
        self.cuts = 0

    async def give(self) -> None:
        """Let clients in."""
        self._server = await asyncio.start_unix_server(self._accept, self._own)

    async def take(self) -> None:
        """Let nobody in, and throw out who is."""
        self._shut()
        for writer in tuple(self._open):
            writer.close()
        await asyncio.gather(*self._serving)

    def _shut(self) -> None:
        if self._server is not None:
            self._server.close()
            self._own.unlink(missing_ok=True)
            self._server = None

    def lead_to(self, url: str) -> None:
        """Lead whoever connects from now on to another server."""
        parts = conninfo_to_dict(url)
        self._real = f"{parts['host']}/.s.PGSQL.{parts.get('port') or 5432}"

    def hold(self, *, new: bool) -> None:
        """Be a black hole for all that is open now: nothing more passes, and nothing is closed.

        Args:
            new: For connections to come, too.
        """
        self._held |= self._open
        self._holds_new = new

    def let_new(self) -> None:
        """Let connections to come pass again; what was held stays so."""
        self._holds_new = False

    def cut_at(self, answer: bytes, times: int = 1, *, for_good: bool = False) -> None:
        """Break the next connection on which the server answers so; the client never gets that answer.

        Args:
            answer: What it contains.
            times: How many connections, one after another.
            for_good: Throw everybody out, and let nobody in after it.
        """
        self._cut = [answer] * times
        self._for_good = for_good

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        serving = asyncio.create_task(self._serve(reader, writer))
        self._serving.add(serving)
        serving.add_done_callback(self._serving.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_unix_connection(self._real)
        self._open |= {writer, back}
        if self._holds_new:
            self._held |= {writer, back}
        ways = [asyncio.create_task(self._pass(reader, back)), asyncio.create_task(self._pass(there, writer, True))]
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        for each in (writer, back):
            each.close()
            self._open.discard(each)
            self._held.discard(each)
        for way in ways:
            way.cancel()
        await asyncio.gather(*ways, return_exceptions=True)

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, watched: bool = False) -> None:
        with suppress(ConnectionError):
            while data := await reader.read(1 << 20):
                if writer in self._held:
                    continue
                if watched and self._cut and self._cut[0] in data:
                    self._cut.pop(0)
                    self.cuts += 1
                    if self._for_good:
                        self._shut()
                        for each in tuple(self._open):
                            each.close()
                    return
                writer.write(data)
                await writer.drain()


@pytest.fixture
async def way(database_url: str) -> AsyncIterator[Proxy]:
    folder = Path(tempfile.mkdtemp(prefix="way-"))
    proxy = Proxy(database_url, folder)
    await proxy.give()
    yield proxy
    await proxy.take()
    shutil.rmtree(folder)


@pytest.fixture
async def far(way: Proxy, timings: EngineTimings) -> AsyncIterator[Engine]:
    """An engine whose way to the database can be cut."""
    engine = Engine(way.url, timings=timings)
    await engine.open()
    yield engine
    await engine.close()
