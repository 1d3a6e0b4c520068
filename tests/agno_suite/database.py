"""The PostgreSQL that programs of the cookbook expect on a port of their machine; each pass finds it empty."""

import contextlib
import shutil
import socket
import threading
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import psycopg

from worker.engine.embedded import Embedded

PORT = 5532  # which the cookbook's programs name, as they do the user, the password and the database
PIECE = 65536  # bytes
BEGIN = (
    "create role ai superuser login password 'ai'",
    "alter role ai set synchronous_commit = off",
    "create database empty owner ai",
)


@dataclass(frozen=True, slots=True)
class Database:
    """It.

    Args:
        url: Of a database beside it.
        used: A file that is there once somebody has connected.
    """

    url: str
    used: Path

    @classmethod
    def start(cls, home: Path) -> tuple["Database", Embedded]:
        """Start the server and listen, for as long as this process lives. At most one process of a machine can.

        Args:
            home: An empty folder.

        Raises:
            OSError: The port is taken.
        """
        listener = socket.create_server(("127.0.0.1", PORT))
        server = Embedded.start(home)
        made = cls(server.url, home / "used")
        made._do(*BEGIN)
        with psycopg.connect(urlsplit(server.url)._replace(path="/empty").geturl(), autocommit=True) as connection:
            connection.execute("create extension vector")
        made.used.touch()
        made.empty()
        threading.Thread(target=made._listen, args=(listener,), daemon=True).start()
        return made, server

    def empty(self) -> None:
        """Give the next pass a new database, if one was used."""
        if self.used.exists():
            self._do("drop database if exists ai with (force)", "create database ai template empty")
            self.used.unlink()

    def end(self, server: Embedded, home: Path) -> None:
        """Stop the server and remove its data, which lies elsewhere for root.

        Args:
            server: That ``start`` has started.
            home: The same folder.
        """
        server.close()
        shutil.rmtree((home / "postgres" / "18").resolve().parent, ignore_errors=True)

    def _do(self, *statements: str) -> None:
        with psycopg.connect(self.url, autocommit=True) as connection:
            for each in statements:
                connection.execute(each.encode())

    def _listen(self, listener: socket.socket) -> None:
        """The server has a unix socket only."""
        told = parse_qs(urlsplit(self.url).query)
        place = f"{told['host'][0]}/.s.PGSQL.{told['port'][0]}"
        while True:
            client, _ = listener.accept()
            self.used.touch()
            server = socket.socket(socket.AF_UNIX)
            server.connect(place)
            for one, another in ((client, server), (server, client)):
                threading.Thread(target=_pass_on, args=(one, another), daemon=True).start()


def _pass_on(one: socket.socket, another: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while piece := one.recv(PIECE):
            another.sendall(piece)
    with contextlib.suppress(OSError):
        another.shutdown(socket.SHUT_WR)
