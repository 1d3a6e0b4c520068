"""Agno's storage on the platform's own database."""

import threading
from typing import TYPE_CHECKING

from worker import wiring
from worker.face.configuration import Configuration
from worker.words.errors import Unsupported

if TYPE_CHECKING:
    from agno.db.postgres import PostgresDb

_lock = threading.Lock()
_made: "dict[tuple[str, ...], PostgresDb]" = {}


def agno_db() -> "PostgresDb":
    """Return Agno's storage on the platform's own PostgreSQL, for ``Agent(db=…)``: sessions, memories and the rest.

    The database is the one at ``DATABASE_URL``, else the embedded one; a worker that reaches its platform over HTTP
    needs ``DATABASE_URL``. Tables are created at first use, in the schema ``worker_agno``; each organization other than
    the default one has a schema of its own. Sessions that were not used for as long as finished tasks are kept
    (``WORKER_RETENTION_DAYS``) are deleted. The storage is created once in a process, and connects at first use.

    Raises:
        Unsupported: The platform is reached over HTTP, and ``DATABASE_URL`` is not set.
        ConfigurationError: SQLAlchemy is missing (``pip install 'agno-worker[agno-db]'``).
    """
    from worker.agents.agno_storage import storage

    settings = Configuration().settings
    if (settings.base_url or settings.api_key) and settings.database_url is None:
        where = settings.base_url or "a platform over HTTP"
        raise Unsupported("store Agno's sessions in its database; set DATABASE_URL to use your own", where)
    url = settings.database_url.get_secret_value() if settings.database_url else ""
    place = (url, str(settings.home), settings.organization_id)
    with _lock:
        if place not in _made:
            _made[place] = storage(wiring.connector(settings), settings.organization_id)
        return _made[place]
