"""Construction of a platform from settings. Only this module names both the engine and the remote platform."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from worker.contracts import Platform
from worker.settings import Settings
from worker.telemetry import traces

if TYPE_CHECKING:
    from worker.engine.engine import Engine
    from worker.remote.remote import Remote


def choose(settings: Settings) -> Platform:
    """Return the platform that the settings name, not yet opened.

    With ``XPANDER_BASE_URL`` or ``XPANDER_API_KEY``, it is that platform over HTTP; else with ``DATABASE_URL`` the
    engine on that database; else the engine on the embedded PostgreSQL under ``WORKER_HOME``.

    Raises:
        ConfigurationError: The base URL is invalid.
    """
    return remote(settings) if settings.base_url or settings.api_key else engine(settings)


def remote(settings: Settings) -> "Remote":
    """Return the remote platform. Without a base URL, it is xpander's cloud."""
    from worker.remote.remote import Remote

    traces.start(settings)
    key = settings.api_key.get_secret_value() if settings.api_key else None
    return Remote(settings.base_url, key, organization_id=settings.organization_id)


def engine(settings: Settings) -> "Engine":
    """Return the engine, whatever else the settings name, for commands that maintain the database."""
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
    """Return a function that connects to the engine's database, for a library that stores its own data there."""
    from worker.engine.database.library_connections import connector

    url = settings.database_url.get_secret_value() if settings.database_url else None
    return connector(url, settings.home)
