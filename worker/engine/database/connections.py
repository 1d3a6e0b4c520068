"""Connections to PostgreSQL: how they are made, what is said of them, what their errors mean to a caller."""

import json
import re
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from worker.engine.database.server_identity import ServerIdentity
from worker.engine.database.vault import Vault
from worker.words.errors import ConfigurationError, Conflict, ModuleException, Unavailable, ValidationError

if TYPE_CHECKING:
    import psycopg
    from psycopg import AsyncConnection, Connection

NAME = "agno-worker"

GRANTS = "docs/deploy.md says what it needs, under Roles"

DEFAULTS = {
    "connect_timeout": "5",  # seconds, for each address
    "keepalives_idle": "5",
    "keepalives_interval": "2",
    "keepalives_count": "3",
    "tcp_user_timeout": "10000",  # milliseconds
    "client_encoding": "UTF8",  # whatever the role's is
}
"""What a URL need not say: a connection whose packets are dropped on the way, as by a firewall or a moved address, is
given up after some ten seconds. The system's own defaults are two hours for a silent one and 17 minutes for a write."""

BY_INDEX = "select set_config('enable_seqscan', 'off', true)"
"""Before statistics exist, the planner expects many rows in the place of a few, and would read the table through."""

LEAVE_NO_LOCK = "select set_config('idle_in_transaction_session_timeout', '5s', %s)"
"""A process that is frozen, or whose handler blocks the loop, in the middle of a transaction loses the connection: else
it would hold locks on its tasks for ever, and whoever wants to rescue them would wait with all that he has to write."""


def normal_url(url: str) -> str:
    """Make a URL one that libpq takes: ``postgres://`` (Heroku's) and SQLAlchemy's driver names too."""
    return re.sub(r"^postgres(ql)?(\+\w+)?://", "postgresql://", url.strip())


def shown(url: str) -> str:
    """Describe where a URL leads, without user, password or options."""
    from psycopg.conninfo import conninfo_to_dict

    try:
        parts = conninfo_to_dict(normal_url(url))
    except Exception:  # noqa: BLE001 - the text may be anything, and may hold a password
        return "PostgreSQL (unreadable URL)"
    host = str(parts.get("host") or "localhost")
    if host.startswith("/"):
        host = "a unix socket"
    elif parts.get("port"):
        host += f":{parts['port']}"
    return f"PostgreSQL at {host}, database {parts.get('dbname') or 'default'}"


def check_url(url: str) -> None:
    """See whether a URL can be read at all, before anything is started. Raises: ConfigurationError."""
    from psycopg import ProgrammingError
    from psycopg.conninfo import conninfo_to_dict

    try:
        ports = str(conninfo_to_dict(normal_url(url)).get("port") or "")
        [int(port) for port in ports.split(",") if port]  # libpq looks at them only once it connects
    except (ProgrammingError, ValueError):
        raise ConfigurationError("DATABASE_URL cannot be read as a PostgreSQL URL") from None


def whole_url(url: str) -> str:
    """A URL with what it does not say: how long a dead connection lives, and which of several servers is meant.

    Of several servers we mean the one that can be written to, whichever comes first.
    """
    from psycopg.conninfo import conninfo_to_dict, make_conninfo

    given = conninfo_to_dict(normal_url(url))
    defaults = dict(DEFAULTS)
    if "," in f"{given.get('host', '')}{given.get('hostaddr', '')}":
        defaults["target_session_attrs"] = "read-write"
    return make_conninfo(normal_url(url), **{name: value for name, value in defaults.items() if name not in given})


def options(*, pooled: bool) -> dict[str, Any]:
    """How psycopg shall make a connection."""
    made: dict[str, Any] = {"autocommit": True, "application_name": NAME}
    if pooled:
        made["prepare_threshold"] = None  # a transaction pooler hands our statements to other sessions
    return made


async def connect(
    url: str, *, pooled: bool = False, server: "ServerIdentity | None" = None, vault: Vault | None = None
) -> "AsyncConnection[Any]":
    """Open a connection in autocommit mode.

    Args:
        url: The database.
        pooled: A transaction pooler stands between: the session is not ours to set up.
        server: The server that the process is on.
        vault: Opens what is sealed; None means it is read as it is.

    Raises:
        Unavailable: It cannot be reached, or is no server to be on.
        ConfigurationError: The URL or the role is wrong.
    """
    from worker.engine.database.session_settings import AsyncSession

    try:
        with errors():
            connection = await AsyncSession.connect(whole_url(url), **options(pooled=pooled))
            await configure(connection, server, vault)
    except Unavailable as error:
        raise Unavailable(f"{shown(url)}: {error.description}", retry_after=error.retry_after) from error
    return connection


def connect_sync(url: str, *, pooled: bool = False, server: "ServerIdentity | None" = None) -> "Connection[Any]":
    """Open a blocking connection in autocommit mode, for a thread of its own. Raises: as ``connect``, and psycopg's."""
    from worker.engine.database.session_settings import Session

    connection = Session.connect(whole_url(url), **options(pooled=pooled))
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
    """Prepare a new connection; one that is of no use is closed."""
    try:
        await connection.set_autocommit(True)
        if connection.prepare_threshold is not None:  # none: there is a pooler, and the session somebody else's next
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
    """Reads JSON and opens what is sealed in it. No closure: psycopg keeps what it makes of a reader, by its equals."""

    vault: Vault

    def __call__(self, text: str | bytes) -> Any:
        return self.vault.opened(loads(text))


def loads(text: str | bytes) -> Any:
    """Read JSON: the quick way, and where a value is nested too deeply for it the patient one."""
    from pydantic_core import from_json

    try:
        return from_json(text)
    except ValueError:
        return json.loads(text)


POOLER_LOOKS = 3


async def is_pooled(url: str) -> bool:
    """Whether a transaction pooler stands between, which hands the sessions of one client to others.

    What differs is that: a session pooler gives a client a backend for as long as it is connected, so to us it is as
    good as none. The process that greeted us proves nothing, since PgBouncer makes one up in either mode. So two
    clients look, in turns, which backend answers: one of its own, always the same, or whichever is free.

    Raises: Unavailable, ConfigurationError.
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
            f"the role's DateStyle is {style}, and behind a transaction pooler no session can set its own:"
            " `alter role … set datestyle = 'ISO'`"
        )
    return pooled


def check_encoding(connection: "AsyncConnection[Any]") -> None:
    """Refuse a database that cannot hold every text. Raises: ConfigurationError."""
    encoding = connection.info.parameter_status("server_encoding") or "UTF8"
    if encoding != "UTF8":
        raise ConfigurationError(
            f"the database's encoding is {encoding}, and tasks hold any text:"
            " create it anew with `encoding 'UTF8' template template0`"
        )


async def _backend(connection: "AsyncConnection[Any]") -> int:
    row = await (await connection.execute("select pg_backend_pid()")).fetchone()
    return row[0] if row is not None else 0


class errors:  # noqa: N801 - used as a context manager, like contextlib's own
    """Turn what the driver raises into our own errors: what is passing is Unavailable, a wrong URL is configuration."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        if error is not None and not isinstance(error, ModuleException):
            ours = translated(error)
            if ours is not None:
                # What complains of a URL quotes it, with its password.
                raise ours from (None if isinstance(ours, ConfigurationError) else error)


_UNREADABLE = re.compile(
    r"connection info string|in URI|connection option|invalid (URI|port number|sslmode)|Servname not supported"
)
_REFUSED = re.compile(
    r'FATAL:.*(authentication failed|role ".*" does not exist|no pg_hba\.conf entry)|no password supplied'
)
_FULL = re.compile(r"FATAL:.*(too many (connections|clients)|remaining connection slots)")
_NO_DATABASE = re.compile(r'FATAL:.*database ".*" does not exist')


def translated(error: BaseException) -> ModuleException | None:
    """What a driver's error means to a caller; None means it is a defect of ours and stays as it is."""
    import psycopg
    import psycopg_pool

    match error:
        case psycopg.errors.UndefinedTable() | psycopg.errors.InvalidSchemaName() | psycopg.errors.UndefinedColumn():
            return ConfigurationError("the database's schema is not current: run `worker migrate`")
        case psycopg.errors.TooManyConnections():
            return Unavailable("the database has no connection free", retry_after=5)
        case psycopg.errors.DiskFull():
            return Unavailable("the database's disk is full", retry_after=30)
        case psycopg_pool.PoolTimeout() | psycopg_pool.PoolClosed() | psycopg_pool.TooManyRequests():
            return Unavailable("the database cannot be reached", retry_after=5)
        case psycopg.errors.ReadOnlySqlTransaction():
            return Unavailable("the database only reads, as one that is being replaced", retry_after=5)
        case psycopg.errors.LockNotAvailable():
            return Unavailable("somebody holds a lock on a table of ours, as a migration does", retry_after=5)
        case psycopg.errors.UniqueViolation():
            return Conflict("there is one of that id already")
        case (
            psycopg.DataError()
            | psycopg.errors.CheckViolation()
            | psycopg.errors.ProgramLimitExceeded()
            | psycopg.errors.StatementTooComplex()
            | UnicodeEncodeError()
        ):
            return ValidationError("a value does not fit into the database")
        case psycopg.OperationalError() | psycopg.InterfaceError() | psycopg.ProgrammingError():
            return _misconfigured(error) or _away(error)
        case _:
            return None


_PASSING = ("08", "40", "53", "57")  # SQLSTATE classes: connections, collisions, resources, an operator's doing
_PASSING_ALSO = frozenset({"25006", "55P03"})  # a server that only reads, as after a failover; a lock that was not got


def is_passing(error: BaseException) -> bool:
    """Whether the database, which is there, may well take the very same thing later."""
    state = getattr(error, "sqlstate", None)
    return is_lost(None, error) or (state is not None and (state.startswith(_PASSING) or state in _PASSING_ALSO))


def is_lost(connection: "AsyncConnection[Any] | None", error: BaseException) -> bool:
    """Whether the connection broke, so that what became of a commit is not known."""
    import psycopg

    if connection is not None and (connection.closed or connection.broken):
        return True
    state = getattr(error, "sqlstate", None)
    return isinstance(error, psycopg.OperationalError) and (state is None or state.startswith(("08", "57P")))


def _misconfigured(error: "psycopg.Error") -> ConfigurationError | None:
    """What is wrong with the URL, if it is the URL.

    libpq gives no SQLSTATE for a connection that was not made: only words tell a refusal from an absence.
    """
    text = str(error)
    if error.sqlstate == "42501":
        return ConfigurationError(f"the database's role lacks a right: {error.diag.message_primary}; {GRANTS}")
    if error.sqlstate is None and _UNREADABLE.search(text):
        return ConfigurationError("DATABASE_URL cannot be read as a PostgreSQL URL")
    if error.sqlstate in ("28P01", "28000") or (error.sqlstate is None and _REFUSED.search(text)):
        return ConfigurationError("the database refuses this user or password")
    if error.sqlstate == "3D000" or (error.sqlstate is None and _NO_DATABASE.search(text)):
        return ConfigurationError("there is no such database")
    return None


def leaves_server(error: BaseException) -> bool:
    """Whether a server says that it is none to be on: it only reads, or is shutting down."""
    state = getattr(error, "sqlstate", None)
    return state == "25006" or (state is not None and state.startswith("57P"))


def _away(error: "psycopg.Error") -> Unavailable | None:
    import psycopg

    if isinstance(error, psycopg.ProgrammingError):  # wrong SQL is a defect of ours
        return None
    if error.sqlstate is None and _FULL.search(str(error)):
        return Unavailable("the database has no connection free", retry_after=5)
    return Unavailable("the database cannot be reached", retry_after=5)


@asynccontextmanager
async def lasting(connection: "AsyncConnection[Any]") -> AsyncGenerator["AsyncConnection[Any]"]:
    """Use a connection, closing it in the end."""
    try:
        yield connection
    finally:
        await connection.close()
