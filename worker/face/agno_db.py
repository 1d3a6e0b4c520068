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
    """Answer Agno's storage for ``Agent(db=…)``: sessions, memories and the rest, on the platform's own PostgreSQL.

    That is ``DATABASE_URL``, else the embedded one; a worker that reaches its platform over HTTP needs the former. It
    lies in the schema ``worker_agno``, each other organization's in one of its own; its tables are made when they are
    first used, and sessions that nobody has used for as long as finished tasks are kept are cleaned up with them. One
    is made for a process, and connects when it is first used.

    Raises:
        Unsupported: The platform is reached over HTTP, and no ``DATABASE_URL`` is set: no database is at hand.
        ConfigurationError: SQLAlchemy is missing (``pip install 'agno-worker[agno-db]'``).
    """
    from worker.agents.agno_storage import storage

    settings = Configuration().settings
    if (settings.base_url or settings.api_key) and settings.database_url is None:
        where = settings.base_url or "a platform over HTTP"
        raise Unsupported("keep Agno's sessions in its database, unless DATABASE_URL names it", where)
    url = settings.database_url.get_secret_value() if settings.database_url else ""
    place = (url, str(settings.home), settings.organization_id)
    with _lock:
        if place not in _made:
            _made[place] = storage(wiring.connector(settings), settings.organization_id)
        return _made[place]
