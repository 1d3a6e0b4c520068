"""Poolers in transaction mode: real PgBouncer where the machine has it, and one of our own that turns backends over."""

import asyncio
import os
import random
import shutil
import struct
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from psycopg.conninfo import conninfo_to_dict, make_conninfo

PORT = 6543
READY = b"Z"
KEY_DATA = b"K"
LEAVES = b"X"
ENDS_A_ROUND = frozenset({b"Q", b"S"})  # a simple query, a sync: the server answers each with one ReadyForQuery
CONFIGURATION = """
[databases]
* = host={host} port={port} user={user}
[pgbouncer]
listen_addr =
listen_port = {own_port}
unix_socket_dir = {folder}
auth_type = any
pool_mode = transaction
default_pool_size = 6
logfile = {folder}/log
"""


class Pooler(Protocol):
    """A way to a database that hands each transaction to whichever backend is free."""

    url: str

    async def start(self) -> None: ...

    async def stop(self) -> None: ...


class PgBouncer:
    """The real one."""

    def __init__(self, url: str, folder: Path) -> None:
        parts = conninfo_to_dict(url)
        text = CONFIGURATION.format(
            host=parts["host"], port=parts.get("port") or 5432, user=parts["user"], own_port=PORT, folder=folder
        )
        (folder / "configuration").write_text(text)
        self._folder = folder
        self._account = Path(str(parts["host"])).owner()  # whoever may reach the server's socket
        self.url = make_conninfo(url, host=str(folder), port=PORT)
        self._process: subprocess.Popen[bytes] | None = None

    async def start(self) -> None:
        command = [str(shutil.which("pgbouncer")), str(self._folder / "configuration")]
        if os.getuid() == 0:  # it refuses to be root
            shutil.chown(self._folder, self._account)
            command[1:1] = ["--user", self._account]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # noqa: ASYNC220 - it returns at once
        while not (self._folder / f".s.PGSQL.{PORT}").exists():
            assert self._process.poll() is None, (self._folder / "log").read_text()
            await asyncio.sleep(0.02)

    async def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()


class Rotating:
    """One of our own, as unkind as may be: each transaction goes to another backend than the one before."""

    BACKENDS = 6

    def __init__(self, url: str, folder: Path) -> None:
        parts = conninfo_to_dict(url)
        self._real = f"{parts['host']}/.s.PGSQL.{parts.get('port') or 5432}"
        self._own = folder / f".s.PGSQL.{PORT}"
        self.url = make_conninfo(url, host=str(folder), port=PORT)
        self._free: list[_Backend] = []
        self._given = asyncio.Semaphore(0)
        self._greeting = b""
        self._server: asyncio.Server | None = None
        self._clients: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        self._server = await asyncio.start_unix_server(self._accept, self._own)

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
        await asyncio.sleep(0)  # who was let in just now is served, and so can be ended
        for client in tuple(self._clients):
            client.cancel()
        await asyncio.gather(*self._clients, return_exceptions=True)
        for backend in self._free:
            backend.writer.close()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        client = asyncio.create_task(self._serve(reader, writer))
        self._clients.add(client)
        client.add_done_callback(self._clients.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with suppress(asyncio.IncompleteReadError, ConnectionError):
                (size,) = struct.unpack("!I", head := await reader.readexactly(4))
                startup = head + await reader.readexactly(size - 4)
                if not self._greeting:
                    await self._add(startup)
                writer.write(self._greeting)
                await self._relay(reader, writer)
        finally:
            writer.close()

    async def _add(self, startup: bytes) -> None:
        """Open the backends, as the first client introduces itself; keep how the server greets."""
        for _ in range(self.BACKENDS):
            reader, writer = await asyncio.open_unix_connection(self._real)
            writer.write(startup)
            greeting = b""
            while True:
                kind, message = await _message(reader)
                greeting += struct.pack("!cIII", KEY_DATA, 12, 1, 1) if kind == KEY_DATA else message
                if kind == READY:
                    break
            self._greeting = greeting
            self._free.append(_Backend(reader, writer))
            self._given.release()

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asking = asyncio.create_task(_message(reader))
        try:
            while (await asyncio.shield(asking))[0] != LEAVES:
                await self._given.acquire()
                backend = self._free.pop(random.randrange(len(self._free)))
                try:
                    asking = await backend.transaction(asking, reader, writer)
                finally:
                    if backend.is_idle:
                        self._free.append(backend)
                        self._given.release()
                    else:
                        backend.writer.close()
        finally:
            asking.cancel()


class _Backend:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.is_idle = True

    async def transaction(
        self, asking: asyncio.Task[tuple[bytes, bytes]], reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> asyncio.Task[tuple[bytes, bytes]]:
        """Pass messages until nothing is unanswered and no transaction is open.

        Args:
            asking: The client's next message.
            reader: From the client.
            writer: To the client.

        Returns:
            The client's next message, which is none of this transaction's.
        """
        self.is_idle = False
        unanswered = 0
        answering = asyncio.create_task(_message(self.reader))
        try:
            while True:
                await asyncio.wait([asking, answering], return_when=asyncio.FIRST_COMPLETED)
                if asking.done():
                    kind, message = asking.result()
                    unanswered += kind in ENDS_A_ROUND
                    self.writer.write(message)
                    asking = asyncio.create_task(_message(reader))
                    continue
                kind, message = answering.result()
                writer.write(message)
                unanswered -= kind == READY
                if kind == READY and not unanswered and message[-1:] == b"I":
                    self.is_idle = True
                    return asking
                answering = asyncio.create_task(_message(self.reader))
        finally:
            if not self.is_idle:
                asking.cancel()
                answering.cancel()


async def _message(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    head = await reader.readexactly(5)
    kind, size = struct.unpack("!cI", head)
    return kind, head + await reader.readexactly(size - 4)


POOLERS: dict[str, type[PgBouncer] | type[Rotating]] = {"rotating": Rotating, "pgbouncer": PgBouncer}
