"""Which server this process is on. All its connections are on one, and each is looked at again after another broke.

Behind one address there may be another server from one moment to the next: a failover, a restart, a moved address. A
connection that has been open since before leads to the old one, which may go on answering, and only reads by then.
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
"""Why, beside the locks: a server goes on waiting for a lock when its client has long gone, and the session is missing
elsewhere. A generic plan of a prepared statement that was made while the tables were small stays until they are
analyzed, and reads them through meanwhile: 200 tasks a second in place of 3,000. Planning each time costs less.
Compiling (jit) costs more than statements as short as ours take. The driver reads dates of the ISO style alone. What
was acknowledged is on disk, whatever a role has set."""

IDENTITY: LiteralString = """
    (select system_identifier from pg_control_system()) as cluster,
    extract(epoch from pg_postmaster_start_time())::double precision as started,
    case when not pg_is_in_recovery() then
        ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::integer end as timeline"""
"""Which cluster a server has, since when it runs, and its timeline: each promotion begins the next."""

START: LiteralString = """
    null as cluster, extract(epoch from pg_postmaster_start_time())::double precision as started, null as timeline"""
"""The same where a provider has taken the functions away: then the start alone tells servers apart."""


@dataclass(frozen=True, slots=True)
class KnownServer:
    """A server, as long as it runs."""

    cluster: int | None
    started: float
    timeline: int | None


class ServerIdentity:
    """The server that a process is on. Asked from its loop and from its heartbeat thread.

    Args:
        moved: Called, on whichever thread, when the process has come to another server.
    """

    def __init__(self, moved: Callable[[], None] | None = None) -> None:
        self._moved = moved
        self._lock = Lock()
        self._server: KnownServer | None = None
        self._mark = 0
        self._timelines: dict[int, int] = {}  # the highest that was seen of each cluster
        self._seen: WeakKeyDictionary[object, int] = WeakKeyDictionary()

    def suspect(self) -> None:
        """Have every connection looked at before its next use: one of them broke, or only reads."""
        with self._lock:
            self._mark += 1

    def trusts(self, connection: object) -> bool:
        """Whether nothing has broken since a connection was looked at."""
        return self._seen.get(connection) == self._mark

    def trust(self, connection: object) -> None:
        """Note that a connection was looked at."""
        self._seen[connection] = self._mark

    async def set_up(self, connection: "AsyncConnection[Any]") -> None:
        """Set a new connection's session up, and take it in. Raises: Unavailable: its server was replaced."""
        self._enter(connection, await identity(connection, SESSION))

    def set_up_sync(self, connection: "Connection[Any]") -> None:
        """Set a new blocking connection's session up, and take it in. Raises: Unavailable, as ``set_up``."""
        self._enter(connection, identity_sync(connection, SESSION))

    async def check(self, connection: "AsyncConnection[Any]") -> None:
        """Look at a connection again, if need be. Raises: Unavailable: it leads elsewhere, or nowhere."""
        if not self.trusts(connection):
            mark = self._mark
            self._compare(connection, await identity(connection), mark)

    def check_sync(self, connection: "Connection[Any]") -> None:
        """Look at a blocking connection again, if need be. Raises: Unavailable, as ``check``."""
        if not self.trusts(connection):
            mark = self._mark
            self._compare(connection, identity_sync(connection), mark)

    def _enter(self, connection: object, server: KnownServer) -> None:
        with self._lock:
            if server.cluster is not None and server.timeline is not None:
                newest = self._timelines.get(server.cluster, server.timeline)
                if server.timeline < newest:
                    raise Unavailable(
                        f"this server is on timeline {server.timeline}, and its cluster has come to {newest}: "
                        "a primary that was replaced came back",
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
                raise Unavailable("the connection leads to a server that was left", retry_after=1)
            self._seen[connection] = mark


async def identity(connection: "AsyncConnection[Any]", session: LiteralString = "select") -> KnownServer:
    """Ask a server who it is.

    Args:
        connection: To it.
        session: A select that goes before, to ask both at once.
    """
    comma: LiteralString = "" if session == "select" else ","
    try:
        row = await (await connection.execute(session + comma + IDENTITY)).fetchone()
    except _missing():
        row = await (await connection.execute(session + comma + START)).fetchone()
    return _server(row)


def identity_sync(connection: "Connection[Any]", session: LiteralString = "select") -> KnownServer:
    """Ask a server who it is, on a blocking connection; as ``identity``."""
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
