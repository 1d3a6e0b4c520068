"""What tests of all rooms share: a real PostgreSQL, a fresh database each, an engine on it, a clean environment."""

import asyncio
import os
import shutil
import signal
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import hypothesis
import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from worker.engine.embedded import Embedded, folders
from worker.engine.engine import Engine
from worker.engine.timings import DEFAULT, EngineTimings
from worker.server.timings import ServerTimings

TEMPLATE = "migrated"
FOREIGN_VARIABLES = ("XPANDER_", "WORKER_", "DATABASE_URL", "OPENAI", "ANTHROPIC", "AGNO_", "PORT")
LEAVING_SECONDS = 0.5


TABLES = (
    "deliveries_set_aside",
    "cursors",
    "subscriptions",
    "events",
    "journal",
    "task_files",
    "tasks",
    "providers",
    "workers",
    "agents",
    "files",
    "keys",
    "secrets",
    "sessions",
    "repeats",
    "audit",
    "chores",
    "guesses",
    "knowledge_vectors",
    "knowledge_chunks",
    "knowledge_editions",
    "knowledge_terms",
    "knowledge_documents",
    "knowledge_bases",
    "conversation_modes",
)
EMPTY = ";".join(f"delete from worker.{table}" for table in TABLES)  # noqa: S608 - constants
OTHERS = """
    select count(*) from pg_stat_activity
    where datname = current_database() and pid <> pg_backend_pid() and backend_type = 'client backend'
"""
SHAPE = """
    select relname::text, relnatts, relchecks, (select count(*) from pg_trigger where tgrelid = c.oid),
           (select count(*) from worker.migrations)
    from pg_class c where relnamespace = 'worker'::regnamespace order by 1
"""

_numbers = count(1)

# The machine may be busy, and a checkout stays as it is.
hypothesis.settings.register_profile(
    "worker", deadline=None, database=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("worker")


def pytest_configure(config: pytest.Config) -> None:
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # a shell's background job: its children would ignore it too
        signal.signal(signal.SIGINT, signal.default_int_handler)
    config.addinivalue_line("markers", "needs(*capabilities): what a platform of the contract suite must declare")


def pytest_xdist_auto_num_workers() -> int:
    """Processes of `make test`: half as many again as there are cores, since many tests wait.

    Each has servers and workers of its own, with which it takes half a gigabyte; more than eight bring nothing.
    """
    return min(3 * (os.cpu_count() or 1) // 2, 8)


class Databases:
    """The embedded servers of a session and their databases.

    A database that a test left in order is emptied and given to the next: that takes 5 ms, making one up to 300. One
    that somebody is still connected to, or whose schema was changed, is dropped.
    """

    def __init__(self, home: Path, stack: ExitStack) -> None:
        self._home = home
        self._stack = stack
        self._servers: dict[int, str] = {}
        self._free: dict[int, list[str]] = {}
        self._shape: dict[int, object] = {}

    def server(self, version: int) -> str:
        """URL of a server; one that nobody asks for is not started."""
        if version not in self._servers:
            server = self._stack.enter_context(Embedded.start(self._home, version=version))
            self._stack.callback(_end_at_once, server)
            url = server.url
            execute(url, f"create database {TEMPLATE}")
            with ThreadPoolExecutor(1) as thread:  # a thread, so that no loop of this one is disturbed
                thread.submit(asyncio.run, _migrate(sibling(url, TEMPLATE))).result()
            self._shape[version] = execute(sibling(url, TEMPLATE), SHAPE)
            self._servers[version] = url
        return self._servers[version]

    def take(self, version: int) -> str:
        """URL of a migrated database with nothing in it."""
        server = self.server(version)
        free = self._free.setdefault(version, [])
        return free.pop() if free else self.make(version, f"template {TEMPLATE}", server)

    def make(self, version: int, how: str = "", server: str | None = None) -> str:
        """URL of a new database."""
        name = f"test_{next(_numbers)}"
        server = server or self.server(version)
        execute(server, f"create database {name} {how}")
        return sibling(server, name)

    def give(self, version: int, url: str) -> None:
        """Take a database back, over one connection: each costs as much as all that is asked on it."""
        with psycopg.connect(url, autocommit=True) as connection:
            in_order = _is_left(connection) and answer(connection, SHAPE) == self._shape[version]
            if in_order:
                answer(connection, EMPTY)
        if in_order:
            self._free[version].append(url)
        else:
            self.drop(version, url)

    def drop(self, version: int, url: str) -> None:
        """Drop a database, whoever is in it."""
        execute(self.server(version), f"drop database {urlsplit(url).path[1:]} with (force)")


def _end_at_once(server: Embedded) -> None:
    """End a server whose data nobody wants any more, without the checkpoint of an orderly stop."""
    os.kill(server.pid, signal.SIGQUIT)
    shutil.rmtree(str(conninfo_to_dict(server.url)["host"]), ignore_errors=True)


async def _migrate(url: str) -> None:
    await Engine(url).migrate()


def _is_left(connection: psycopg.Connection) -> bool:
    """Whether nobody else is connected any more; a connection just closed takes a moment to go."""
    deadline = time.monotonic() + LEAVING_SECONDS
    while answer(connection, OTHERS) != [(0,)]:
        if time.monotonic() > deadline:
            return False
        time.sleep(0.005)
    return True


def execute(url: str, statement: str) -> list[tuple[Any, ...]]:
    """Run a statement on a connection of its own; the rows, if it answers any."""
    with psycopg.connect(url, autocommit=True) as connection:
        return answer(connection, statement)


def answer(connection: psycopg.Connection, statement: str) -> list[tuple[Any, ...]]:
    """The rows of a statement, if it answers any."""
    cursor = connection.execute(statement.encode())
    return cursor.fetchall() if cursor.description else []


def sibling(url: str, database: str) -> str:
    """The URL of another database on the same server."""
    return urlsplit(url)._replace(path=f"/{database}").geturl()


@pytest.fixture(scope="session", autouse=True)
def nothing_left(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """As root, data of homes in pytest's folders lies elsewhere, since those are closed to the server's account."""
    yield
    ours = tmp_path_factory.getbasetemp()
    for state in folders.SYSTEM_STATE:
        for place in (state / folders.STATE_NAME).glob("*"):
            try:
                home = Path((place / "home").read_text().strip())
            except OSError:  # another session's, and gone by now or closed to us
                continue
            if home.is_relative_to(ours):
                shutil.rmtree(place)


@pytest.fixture(scope="session")
def databases() -> Iterator[Databases]:
    """Servers and databases of this session."""
    home = Path(tempfile.mkdtemp(prefix="worker-tests-"))
    home.chmod(0o711)  # as root the server runs under another account, which must get in
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, home, ignore_errors=True)
        yield Databases(home, stack)


@pytest.fixture(scope="session")
def postgres_version() -> int:
    """The major version that a test runs on; the contract suite overrides it, to run on 16 too."""
    return 18


@pytest.fixture
def database_url(databases: Databases, postgres_version: int) -> Iterator[str]:
    """A migrated database of this test's own, with nothing in it."""
    url = databases.take(postgres_version)
    yield url
    databases.give(postgres_version, url)


@pytest.fixture
def empty_database_url(databases: Databases, postgres_version: int) -> Iterator[str]:
    """A database that knows nothing of us."""
    url = databases.make(postgres_version)
    yield url
    databases.drop(postgres_version, url)


@pytest.fixture
def timings() -> EngineTimings:
    """How long engines wait; a test parametrizes ``timings`` to have others."""
    return DEFAULT


@pytest.fixture
def server_timings() -> ServerTimings:
    """How long servers wait; parametrized in the same way."""
    return ServerTimings()


@pytest.fixture
async def engine(database_url: str, timings: EngineTimings) -> AsyncIterator[Engine]:
    """An engine, open, on this test's database."""
    engine = Engine(database_url, timings=timings)
    await engine.open()
    yield engine
    await engine.close()


@pytest.fixture
def environment(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A process environment that knows this test's database and nothing else of ours; the current directory is empty.

    Returns:
        The current directory.
    """
    forget_variables(monkeypatch)
    monkeypatch.setenv("DATABASE_URL", database_url)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def forget_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take from the environment what would steer a process of ours; Agno reports nothing."""
    for name in os.environ:
        if name.startswith(FOREIGN_VARIABLES):
            monkeypatch.delenv(name)
    monkeypatch.setenv("AGNO_TELEMETRY", "false")
