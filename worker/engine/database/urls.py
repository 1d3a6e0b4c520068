"""URLs of PostgreSQL: their normal form, their defaults, and how they are shown."""

import re
from pathlib import Path

from worker.words.errors import ConfigurationError

DEFAULTS = {
    "connect_timeout": "5",  # seconds, for each address
    "keepalives_idle": "5",
    "keepalives_interval": "2",
    "keepalives_count": "3",
    "tcp_user_timeout": "10000",  # milliseconds
    "client_encoding": "UTF8",  # whatever the role's is
}
"""Parameters that a URL may omit. With them, a connection whose packets are dropped, as by a firewall or after an
address moves, is given up after about ten seconds. The system defaults are two hours if idle and 17 minutes for a
write."""


def normal_url(url: str) -> str:
    """Convert a URL to one that libpq accepts, from ``postgres://`` (Heroku) and SQLAlchemy's driver names too."""
    return re.sub(r"^postgres(ql)?(\+\w+)?://", "postgresql://", url.strip())


def shown(url: str) -> str:
    """Return a description of the server that a URL leads to, without user, password or options."""
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
    """Raise ConfigurationError if a URL cannot be parsed, before anything is started."""
    from psycopg import ProgrammingError
    from psycopg.conninfo import conninfo_to_dict

    try:
        ports = str(conninfo_to_dict(normal_url(url)).get("port") or "")
        [int(port) for port in ports.split(",") if port]  # libpq itself checks ports only when it connects
    except (ProgrammingError, ValueError):
        raise ConfigurationError("DATABASE_URL is not a valid PostgreSQL URL") from None


UNSET = {
    "sslcertmode": "allow",
    **dict.fromkeys(("hostaddr", "password", "requirepeer", "ssl_max_protocol_version"), ""),
    **dict.fromkeys(("sslcert", "sslkey", "sslrootcert", "sslcrl", "sslcrldir"), ""),
}
"""Values that libpq treats like no value, but which keep it from asking the environment for one."""


def settled(url: str) -> str:
    """Return a URL with everything that libpq would read from the environment (``PGSSLMODE``, ``PGHOSTADDR``, …).

    A process connects again and again, and handlers may set these variables for databases of their own.
    """
    from psycopg.conninfo import conninfo_to_dict, make_conninfo
    from psycopg.pq import Conninfo

    whole = url_with_defaults(url)
    given, found = conninfo_to_dict(whole), dict[str, str]()
    for each in Conninfo.get_defaults():  # of the variables that this libpq knows, as they are now
        name = each.keyword.decode()
        if each.envvar and each.val is not None:
            found[name] = each.val.decode()
        elif name in UNSET:
            found[name] = UNSET[name]
    if "service" in given or "service" in found:  # it has values of its own, which these would replace
        return whole
    password_file = Path("~/.pgpass").expanduser()
    if "passfile" not in found and password_file.exists():
        found["passfile"] = str(password_file)
    return make_conninfo(whole, **{name: value for name, value in found.items() if name not in given})


def url_with_defaults(url: str) -> str:
    """Return a URL with defaults added: how long a dead connection lives, and which of several servers to choose.

    Of several servers, the first one that can be written to is chosen.
    """
    from psycopg.conninfo import conninfo_to_dict, make_conninfo

    given = conninfo_to_dict(normal_url(url))
    defaults = dict(DEFAULTS)
    if "," in f"{given.get('host', '')}{given.get('hostaddr', '')}":
        defaults["target_session_attrs"] = "read-write"
    return make_conninfo(normal_url(url), **{name: value for name, value in defaults.items() if name not in given})
