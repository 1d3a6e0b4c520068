"""From settings to a platform: the one file that names the engine and the remote."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from worker.contracts import Platform
from worker.settings import Settings
from worker.telemetry import traces

if TYPE_CHECKING:
    from worker.engine.engine import Engine
    from worker.remote.remote import Remote


def choose(settings: Settings) -> Platform:
    """Choose the platform that the settings name; it is not opened yet.

    ``XPANDER_BASE_URL`` or ``XPANDER_API_KEY`` set: that platform over HTTP. Else ``DATABASE_URL``: the engine there.
    Else the embedded PostgreSQL under ``WORKER_HOME``.

    Raises:
        ConfigurationError: The base URL is none.
    """
    return remote(settings) if settings.base_url or settings.api_key else engine(settings)


def remote(settings: Settings) -> "Remote":
    """The platform over HTTP; without a base URL xpander's cloud."""
    from worker.remote.remote import Remote

    traces.start(settings)
    key = settings.api_key.get_secret_value() if settings.api_key else None
    return Remote(settings.base_url, key, organization_id=settings.organization_id)


def engine(settings: Settings) -> "Engine":
    """The engine, whatever else the settings name: for commands that look after the database."""
    from worker.engine.engine import Engine

    traces.start(settings)
    url = settings.database_url.get_secret_value() if settings.database_url else None
    key = settings.encryption_key
    return Engine(
        url,
        home=settings.home,
        organization_id=settings.organization_id,
        retention_days=settings.retention_days,
        audit_days=settings.audit_days,
        encryption_key=key.get_secret_value() if key else None,
        encrypt_all=settings.encrypt == "all",
        public_url=settings.public_url,
        secret=settings.secret.get_secret_value() if settings.secret else None,
    )


def connector(settings: Settings) -> Callable[[], Any]:
    """What connects to the engine's database, for a library that keeps things of its own there."""
    from worker.engine.database.visitors import connector

    url = settings.database_url.get_secret_value() if settings.database_url else None
    return connector(url, settings.home)
