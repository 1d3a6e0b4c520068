"""The identity of the server that a process is connected to, checked on every connection after another one broke.

Another server may appear behind the same address at any moment: after a failover, a restart, or a moved address. A
connection opened before that leads to the old server, which may go on answering but be read-only by that time.
"""

from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING, Any, LiteralString
from weakref import WeakKeyDictionary

from worker.words.errors import Unavailable

if TYPE_CHECKING:
    from psycopg import AsyncConnection, Connection

SESSION: LiteralString = """
    select set_config('idle_in_transaction_session_timeout', '5s', false),
           set_config('lock_timeout', least(
               nullif(extract(epoch from current_setting('lock_timeout')::interval) * 1000, 0), 8000
           )::integer::text, false),
           set_config('synchronous_commit', case current_setting('synchronous_commit')
               when 'off' then 'on' else current_setting('synchronous_commit') end, false),
           set_config('plan_cache_mode', 'force_custom_plan', false),
           set_config('jit', 'off', false),
           set_config('DateStyle', 'ISO, MDY', false)"""
"""Reasons, besides the locks: a server continues to wait for a lock after its client has gone, and that session is
missing elsewhere. A generic plan of a prepared statement, made while the tables were small, is used until they are
analyzed, and reads whole tables meanwhile: 200 tasks a second instead of 3,000. Planning each time costs less.
Compiling (jit) costs more than our short statements take. The driver reads only dates in the ISO style. Acknowledged
writes are on disk, whatever a role has set."""

IDENTITY: LiteralString = """
    (select system_identifier from pg_control_system()) as cluster,
    extract(epoch from pg_postmaster_start_time())::double precision as started,
    case when not pg_is_in_recovery() then
        ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::integer end as timeline"""
"""A server's cluster, its start time, and its timeline: each promotion begins the next."""

START: LiteralString = """
    null as cluster, extract(epoch from pg_postmaster_start_time())::double precision as started, null as timeline"""
"""The identity where a provider has removed those functions: only the start time tells servers apart."""


@dataclass(frozen=True, slots=True)
class KnownServer:
    """A server process, from its start to its end."""

    cluster: int | None
    started: float
    timeline: int | None


class ServerIdentity:
    """The server that a process is connected to. Used by its loop and by its heartbeat thread.

    Args:
        moved: Called, on any thread, when the process has connected to another server.
    """

    def __init__(self, moved: Callable[[], None] | None = None) -> None:
        self._moved = moved
        self._lock = Lock()
        self._server: KnownServer | None = None
        self._mark = 0
        self._timelines: dict[int, int] = {}  # the highest one seen, by cluster
        self._seen: WeakKeyDictionary[object, int] = WeakKeyDictionary()

    def suspect(self) -> None:
        """Require a check of every connection before its next use, because one of them broke or is read-only."""
        with self._lock:
            self._mark += 1

    def trusts(self, connection: object) -> bool:
        """Return whether nothing has broken since a connection was checked."""
        return self._seen.get(connection) == self._mark

    def trust(self, connection: object) -> None:
        """Record that a connection was checked."""
        self._seen[connection] = self._mark

    async def set_up(self, connection: "AsyncConnection[Any]") -> None:
        """Configure a new connection's session and record its server; raise Unavailable if that server was replaced."""
        self._enter(connection, await identity(connection, SESSION))

    def set_up_sync(self, connection: "Connection[Any]") -> None:
        """Sync version of ``set_up``."""
        self._enter(connection, identity_sync(connection, SESSION))

    async def check(self, connection: "AsyncConnection[Any]") -> None:
        """Check a connection again if necessary; raise Unavailable if it leads to another server."""
        if not self.trusts(connection):
            mark = self._mark
            self._compare(connection, await identity(connection), mark)

    def check_sync(self, connection: "Connection[Any]") -> None:
        """Sync version of ``check``."""
        if not self.trusts(connection):
            mark = self._mark
            self._compare(connection, identity_sync(connection), mark)

    def _enter(self, connection: object, server: KnownServer) -> None:
        with self._lock:
            if server.cluster is not None and server.timeline is not None:
                newest = self._timelines.get(server.cluster, server.timeline)
                if server.timeline < newest:
                    raise Unavailable(
                        f"this server is on timeline {server.timeline}, but its cluster has reached {newest}: it is a"
                        " former primary that has been replaced",
                        retry_after=5,
                    )
                self._timelines[server.cluster] = server.timeline
            has_moved = self._server is not None and server.started != self._server.started
            self._mark += has_moved
            self._server = server
            self._seen[connection] = self._mark
        if has_moved and self._moved is not None:
            self._moved()

    def _compare(self, connection: object, server: KnownServer, mark: int) -> None:
        with self._lock:
            if self._server is not None and server.started != self._server.started:
                raise Unavailable("the connection leads to a server that is no longer in use", retry_after=1)
            self._seen[connection] = mark


async def identity(connection: "AsyncConnection[Any]", session: LiteralString = "select") -> KnownServer:
    """Return the identity of the server behind a connection.

    Args:
        connection: A connection to the server.
        session: A SELECT to prepend, so that one statement does both.
    """
    comma: LiteralString = "" if session == "select" else ","
    try:
        row = await (await connection.execute(session + comma + IDENTITY)).fetchone()
    except _missing():
        row = await (await connection.execute(session + comma + START)).fetchone()
    return _server(row)


def identity_sync(connection: "Connection[Any]", session: LiteralString = "select") -> KnownServer:
    """Sync version of ``identity``."""
    comma: LiteralString = "" if session == "select" else ","
    try:
        row = connection.execute(session + comma + IDENTITY).fetchone()
    except _missing():
        row = connection.execute(session + comma + START).fetchone()
    return _server(row)


def _server(row: "tuple[Any, ...] | None") -> KnownServer:
    return KnownServer(*row[-3:]) if row is not None else KnownServer(None, 0.0, None)


def _missing() -> "tuple[type[Exception], ...]":
    from psycopg import errors

    return errors.InsufficientPrivilege, errors.FeatureNotSupported, errors.ObjectNotInPrerequisiteState
