"""Connections to the platform's database for libraries that keep things of their own there, beside ours."""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from worker.engine.database.connections import normal_url
from worker.words.errors import ConfigurationError, Unavailable

if TYPE_CHECKING:
    from worker.engine.embedded import Embedded

CONNECT_SECONDS = 10

_lock = threading.Lock()
_embedded: "dict[Path, Embedded]" = {}


def connector(url: str | None, home: Path) -> Callable[[], Any]:
    """Make what connects to the database, when it is wanted, from any thread that may wait.

    Args:
        url: The database; None means the embedded one, which is started if it does not run.
        home: The folder of the embedded one.
    """

    def connect() -> Any:
        import psycopg

        return psycopg.connect(normal_url(url) if url is not None else _url(home), connect_timeout=CONNECT_SECONDS)

    return connect


def _url(home: Path) -> str:
    """The address of the embedded server, which this process uses from now on until it ends."""
    from worker.engine.embedded import Embedded, EmbeddedFailed, EmbeddedUnavailable

    with _lock:
        if home not in _embedded:
            try:
                _embedded[home] = Embedded.start(home)
            except EmbeddedUnavailable as error:
                raise ConfigurationError(str(error)) from error
            except EmbeddedFailed as error:
                raise Unavailable(str(error)) from error
        return _embedded[home].url
