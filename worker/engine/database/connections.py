"""Connections to PostgreSQL: how they are opened and configured, and how their errors are translated."""

import json
import re
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from worker.engine.database.server_identity import ServerIdentity
from worker.engine.database.urls import shown, url_with_defaults
from worker.engine.database.vault import Vault
from worker.words.errors import ConfigurationError, Conflict, ModuleException, Unavailable, ValidationError

if TYPE_CHECKING:
    import psycopg
    from psycopg import AsyncConnection, Connection

NAME = "agno-worker"

GRANTS = 'see "Roles" in docs/deploy.md'

BY_INDEX = "select set_config('enable_seqscan', 'off', true)"
"""Before statistics exist, the planner expects many rows instead of a few, and would read the whole table."""

LEAVE_NO_LOCK = "select set_config('idle_in_transaction_session_timeout', '5s', %s)"
"""Ends the connection of a process that freezes, or whose handler blocks the loop, during a transaction. Otherwise it
would hold locks on its tasks forever, and block all writes of the process that tries to rescue them."""


def options(*, pooled: bool) -> dict[str, Any]:
    """Return the arguments with which psycopg opens a connection."""
    made: dict[str, Any] = {"autocommit": True, "application_name": NAME}
    if pooled:
        made["prepare_threshold"] = None  # a transaction pooler runs our statements in different sessions
    return made


async def connect(
    url: str, *, pooled: bool = False, server: "ServerIdentity | None" = None, vault: Vault | None = None
) -> "AsyncConnection[Any]":
    """Open a connection in autocommit mode.

    Args:
        url: The database.
        pooled: Whether connections go through a transaction pooler, so that the session is not ours to configure.
        server: The server that the process is connected to.
        vault: Opens sealed values; None means that they are read as stored.

    Raises:
        Unavailable: The server cannot be reached, or must not be used.
        ConfigurationError: The URL or the role is wrong.
    """
    from worker.engine.database.session_settings import AsyncSession

    try:
        with errors():
            connection = await AsyncSession.connect(url_with_defaults(url), **options(pooled=pooled))
            await configure(connection, server, vault)
    except Unavailable as error:
        raise Unavailable(f"{shown(url)}: {error.description}", retry_after=error.retry_after) from error
    return connection


def connect_sync(url: str, *, pooled: bool = False, server: "ServerIdentity | None" = None) -> "Connection[Any]":
    """Open a blocking connection in autocommit mode, for a thread of its own. Psycopg's errors are not translated."""
    from worker.engine.database.session_settings import Session

    connection = Session.connect(url_with_defaults(url), **options(pooled=pooled))
    try:
        if not pooled:
            (server or ServerIdentity()).set_up_sync(connection)
    except BaseException:
        connection.close()
        raise
    return connection


async def configure(
    connection: "AsyncConnection[Any]", server: "ServerIdentity | None" = None, vault: Vault | None = None
) -> None:
    """Configure a new connection, or close it if that fails."""
    try:
        await connection.set_autocommit(True)
        if connection.prepare_threshold is not None:  # None behind a pooler, whose sessions others use too
            await (server or ServerIdentity()).set_up(connection)
        _read_json(connection, vault)
    except BaseException:
        await connection.close()
        raise


def _read_json(connection: "AsyncConnection[Any]", vault: Vault | None) -> None:
    from psycopg.types.json import set_json_loads

    set_json_loads(_Opening(vault) if vault is not None and vault.has_key else loads, connection)


@dataclass(frozen=True, slots=True)
class _Opening:
    """Parses JSON and opens its sealed values. Not a closure, since psycopg caches loaders by equality."""

    vault: Vault

    def __call__(self, text: str | bytes) -> Any:
        return self.vault.opened(loads(text))


def loads(text: str | bytes) -> Any:
    """Parse JSON with the fast parser, or with the standard one if a value is nested too deeply."""
    from pydantic_core import from_json

    try:
        return from_json(text)
    except ValueError:
        return json.loads(text)


POOLER_LOOKS = 3


async def is_pooled(url: str) -> bool:
    """Return whether connections go through a transaction pooler, which spreads a client's transactions over sessions.

    A session pooler does not count: it gives a client one backend for the whole connection. The process id in the
    greeting proves nothing, since PgBouncer invents one in either mode. So two clients ask in turn which backend
    answers: always their own, or whichever is free.

    Raises:
        Unavailable: The database cannot be reached.
        ConfigurationError: The URL, the role, its DateStyle or the database's encoding is wrong.
    """
    one = await connect(url, pooled=True)
    try:
        check_encoding(one)
        style = one.info.parameter_status("DateStyle") or "ISO"
        other = await connect(url, pooled=True)
        try:
            with errors():
                ours = [await _backend(each) for _ in range(POOLER_LOOKS) for each in (one, one, other)]
        finally:
            await other.close()
    finally:
        await one.close()
    pooled = len({*ours[0::3], *ours[1::3]}) > 1 or len(set(ours[2::3])) > 1 or ours[0] == ours[2]
    if pooled and not style.startswith("ISO"):
        raise ConfigurationError(
            f"the role's DateStyle is {style}, and sessions cannot change it behind a transaction pooler: run"
            " `alter role … set datestyle = 'ISO'`"
        )
    return pooled


def check_encoding(connection: "AsyncConnection[Any]") -> None:
    """Raise ConfigurationError if the database's encoding cannot hold every text."""
    encoding = connection.info.parameter_status("server_encoding") or "UTF8"
    if encoding != "UTF8":
        raise ConfigurationError(
            f"the database's encoding is {encoding}, which cannot store every character: create the database with"
            " `encoding 'UTF8' template template0`"
        )


async def _backend(connection: "AsyncConnection[Any]") -> int:
    row = await (await connection.execute("select pg_backend_pid()")).fetchone()
    return row[0] if row is not None else 0


class errors:  # noqa: N801 - used as a context manager, like contextlib's own
    """Translate driver errors into the platform's: Unavailable for passing ones, ConfigurationError for a wrong URL."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        if error is not None and not isinstance(error, ModuleException):
            ours = platform_error(error)
            if ours is not None:
                # An error about a URL quotes it, including the password.
                raise ours from (None if isinstance(ours, ConfigurationError) else error)


_UNREADABLE = re.compile(
    r"connection info string|in URI|connection option|invalid (URI|port number|sslmode)|Servname not supported"
)
_REFUSED = re.compile(
    r'FATAL:.*(authentication failed|role ".*" does not exist|no pg_hba\.conf entry)|no password supplied'
)
_FULL = re.compile(r"FATAL:.*(too many (connections|clients)|remaining connection slots)")
_NO_DATABASE = re.compile(r'FATAL:.*database ".*" does not exist')


def platform_error(error: BaseException) -> ModuleException | None:
    """Return the platform's error for a driver's error; None means a defect of ours, which is not translated."""
    import psycopg
    import psycopg_pool

    match error:
        case psycopg.errors.UndefinedTable() | psycopg.errors.InvalidSchemaName() | psycopg.errors.UndefinedColumn():
            return ConfigurationError("the database's schema is out of date: run `worker migrate`")
        case psycopg.errors.TooManyConnections():
            return Unavailable("the database has no free connections", retry_after=5)
        case psycopg.errors.DiskFull():
            return Unavailable("the database's disk is full", retry_after=30)
        case psycopg_pool.PoolTimeout() | psycopg_pool.PoolClosed() | psycopg_pool.TooManyRequests():
            return Unavailable("the database cannot be reached", retry_after=5)
        case psycopg.errors.ReadOnlySqlTransaction():
            return Unavailable("the database is read-only, as during a failover", retry_after=5)
        case psycopg.errors.LockNotAvailable():
            return Unavailable("another session holds a lock on a table, as during a migration", retry_after=5)
        case psycopg.errors.UniqueViolation():
            return Conflict("an object with this id already exists")
        case (
            psycopg.DataError()
            | psycopg.errors.CheckViolation()
            | psycopg.errors.ProgramLimitExceeded()
            | psycopg.errors.StatementTooComplex()
            | UnicodeEncodeError()
        ):
            return ValidationError("a value cannot be stored in the database")
        case psycopg.OperationalError() | psycopg.InterfaceError() | psycopg.ProgrammingError():
            return _misconfigured(error) or _away(error)
        case _:
            return None


_PASSING = ("08", "40", "53", "57")  # SQLSTATE classes: connection, rollback, resources, operator intervention
_PASSING_ALSO = frozenset({"25006", "55P03"})  # a read-only server, as after a failover; a lock that is not available


def is_passing(error: BaseException) -> bool:
    """Return whether the same statement may succeed later."""
    state = getattr(error, "sqlstate", None)
    return is_lost(None, error) or (state is not None and (state.startswith(_PASSING) or state in _PASSING_ALSO))


def is_lost(connection: "AsyncConnection[Any] | None", error: BaseException) -> bool:
    """Return whether the connection broke, so that the outcome of a commit is unknown."""
    import psycopg

    if connection is not None and (connection.closed or connection.broken):
        return True
    state = getattr(error, "sqlstate", None)
    return isinstance(error, psycopg.OperationalError) and (state is None or state.startswith(("08", "57P")))


def _misconfigured(error: "psycopg.Error") -> ConfigurationError | None:
    """Return the error if the URL or the role is wrong, or None.

    libpq gives no SQLSTATE for a connection that failed: only the message tells a refusal from an outage.
    """
    text = str(error)
    if error.sqlstate == "42501":
        return ConfigurationError(f"the database role lacks a privilege: {error.diag.message_primary}; {GRANTS}")
    if error.sqlstate is None and _UNREADABLE.search(text):
        return ConfigurationError("DATABASE_URL is not a valid PostgreSQL URL")
    if error.sqlstate in ("28P01", "28000") or (error.sqlstate is None and _REFUSED.search(text)):
        return ConfigurationError("the database rejected the user or password")
    if error.sqlstate == "3D000" or (error.sqlstate is None and _NO_DATABASE.search(text)):
        return ConfigurationError("the database in DATABASE_URL does not exist")
    return None


def is_unusable_server(error: BaseException) -> bool:
    """Return whether an error shows that its server must not be used any longer: it is read-only, or shutting down."""
    state = getattr(error, "sqlstate", None)
    return state == "25006" or (state is not None and state.startswith("57P"))


def _away(error: "psycopg.Error") -> Unavailable | None:
    import psycopg

    if isinstance(error, psycopg.ProgrammingError):  # wrong SQL is a defect of ours
        return None
    if error.sqlstate is None and _FULL.search(str(error)):
        return Unavailable("the database has no free connections", retry_after=5)
    return Unavailable("the database cannot be reached", retry_after=5)


@asynccontextmanager
async def lasting(connection: "AsyncConnection[Any]") -> AsyncGenerator["AsyncConnection[Any]"]:
    """Close a connection at the end of the block."""
    try:
        yield connection
    finally:
        await connection.close()
