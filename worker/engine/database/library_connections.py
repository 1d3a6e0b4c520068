"""Connections to the platform's database for other libraries that store their own data there."""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from worker.engine.database.urls import normal_url
from worker.words.errors import ConfigurationError, Unavailable

if TYPE_CHECKING:
    from worker.engine.embedded import Embedded

CONNECT_SECONDS = 10

_lock = threading.Lock()
_embedded: "dict[Path, Embedded]" = {}


def connector(url: str | None, home: Path) -> Callable[[], Any]:
    """Return a function that connects to the database, from any thread that may block.

    Args:
        url: The database; None means the embedded one, which is started if it is not running.
        home: The folder of the embedded one.
    """

    def connect() -> Any:
        import psycopg

        return psycopg.connect(normal_url(url) if url is not None else _url(home), connect_timeout=CONNECT_SECONDS)

    return connect


def _url(home: Path) -> str:
    """Return the address of the embedded server, which this process uses until it ends."""
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
