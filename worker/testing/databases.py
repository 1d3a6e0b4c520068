"""Databases for tests: a PostgreSQL that lasts as long as the process, and databases that are emptied and reused.

Durability is turned off, since the data need not outlive the tests.
"""

import asyncio
import atexit
import os
import shutil
import signal
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
from psycopg.conninfo import conninfo_to_dict

from worker.engine.embedded import Embedded
from worker.engine.engine import Engine

TEMPLATE = "migrated"
LEAVING_SECONDS = 1.0  # for connections that were just closed to disappear

UNSAFE_AND_QUICK = (
    "alter system set fsync = off",
    "alter system set synchronous_commit = off",
    "alter system set full_page_writes = off",
    "select pg_reload_conf()",
)
OTHERS = """
    select count(*) from pg_stat_activity
    where datname = current_database() and pid <> pg_backend_pid() and backend_type = 'client backend'
"""
EMPTY = """
    do $$ declare name text; begin
        set local session_replication_role = replica;
        for name in select tablename from pg_tables where schemaname = 'worker' and tablename <> 'migrations' loop
            execute format('delete from worker.%I', name);
        end loop;
    end $$
"""


class Databases:
    """A server with databases for tests. Safe to use from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._home = Path(tempfile.mkdtemp(prefix="agno-worker-tests-"))
        self._home.chmod(0o711)  # as root the server runs under another account, which must be able to enter
        self._server = Embedded.start(self._home)
        self._count = 0
        self._free: list[str] = []
        for statement in UNSAFE_AND_QUICK:
            execute(self._server.url, statement)
        execute(self._server.url, f"create database {TEMPLATE}")
        with ThreadPoolExecutor(1) as thread:  # a loop may be running in this one
            thread.submit(asyncio.run, _migrate(self._sibling(TEMPLATE))).result()

    def take(self) -> str:
        """Return the URL of a migrated, empty database."""
        with self._lock:
            if self._free:
                return self._free.pop()
            self._count += 1
            name = f"test_{self._count}"
            execute(self._server.url, f"create database {name} template {TEMPLATE}")
            return self._sibling(name)

    def give(self, url: str) -> None:
        """Empty a database for reuse; one that still has connections is dropped."""
        if _is_left(url):
            execute(url, EMPTY)
            with self._lock:
                self._free.append(url)
        else:
            execute(self._server.url, f"drop database {urlsplit(url).path[1:]} with (force)")

    def end(self) -> None:
        """Stop the server immediately, and remove its data."""
        os.kill(self._server.pid, signal.SIGQUIT)
        shutil.rmtree(str(conninfo_to_dict(self._server.url)["host"]), ignore_errors=True)
        shutil.rmtree(self._home, ignore_errors=True)

    def _sibling(self, name: str) -> str:
        return urlsplit(self._server.url)._replace(path=f"/{name}").geturl()


_one: Databases | None = None
_starting = threading.Lock()


def databases() -> Databases:
    """Return this process's databases, starting the server on first use, which takes a second or two.

    Raises:
        EmbeddedUnavailable: The extra ``embedded`` is not installed.
    """
    global _one  # noqa: PLW0603 - one server a process
    with _starting:
        if _one is None:
            _one = Databases()
            atexit.register(end)
        return _one


def end() -> None:
    """Stop the server; the next use starts a new one."""
    global _one
    with _starting:
        ending, _one = _one, None
        if ending is not None:
            ending.end()


def execute(url: str, statement: str) -> list[tuple[Any, ...]]:
    """Run a statement on a connection of its own, and return its rows."""
    with psycopg.connect(url, autocommit=True) as connection:
        cursor = connection.execute(statement.encode())
        return cursor.fetchall() if cursor.description else []


async def _migrate(url: str) -> None:
    await Engine(url).migrate()


def _is_left(url: str) -> bool:
    deadline = time.monotonic() + LEAVING_SECONDS
    while execute(url, OTHERS) != [(0,)]:
        if time.monotonic() > deadline:
            return False
        time.sleep(0.005)
    return True
