"""From settings to a platform: the one file that names the engine and the remote."""

from typing import TYPE_CHECKING

from worker.contracts import Platform
from worker.settings import Settings
from worker.words.errors import Unsupported

if TYPE_CHECKING:
    from worker.engine.engine import Engine


def choose(settings: Settings) -> Platform:
    """Choose the platform that the settings name; it is not opened yet.

    ``XPANDER_BASE_URL`` or ``XPANDER_API_KEY`` set: that platform over HTTP. Else ``DATABASE_URL``: the engine there.
    Else the embedded PostgreSQL under ``WORKER_HOME``.

    Raises:
        Unsupported: The settings name a platform that this version cannot speak to.
    """
    if settings.base_url or settings.api_key:
        raise Unsupported("work against a platform over HTTP yet (unset XPANDER_BASE_URL and XPANDER_API_KEY)", "It")
    return engine(settings)


def engine(settings: Settings) -> "Engine":
    """The engine, whatever else the settings name: for commands that look after the database."""
    from worker.engine.engine import Engine

    url = settings.database_url.get_secret_value() if settings.database_url else None
    return Engine(url, home=settings.home, organization_id=settings.organization_id)
