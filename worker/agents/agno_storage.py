"""Agno's own storage (sessions, memories and more) in the platform's database, in a separate schema."""

from collections.abc import Callable
from typing import Any

from worker.words.digests import digest
from worker.words.errors import ConfigurationError

SCHEMA = "worker_agno"
POOL_SIZE = 2  # connections that a process keeps open, plus as many again under load


def schema_of(organization_id: str) -> str:
    """Return the schema of an organization's storage; users choose session ids, so organizations may share them."""
    return SCHEMA if organization_id == "default" else f"{SCHEMA}_{digest([organization_id])[:16]}"


def storage(connect: Callable[[], Any], organization_id: str) -> Any:
    """Create an ``agno.db.postgres.PostgresDb``; its tables are created on first use.

    Args:
        connect: Connects to the database with psycopg.
        organization_id: The organization that owns the storage.

    Raises:
        ConfigurationError: SQLAlchemy is missing.
    """
    try:
        from agno.db.postgres import PostgresDb
        from sqlalchemy import create_engine
    except ImportError as error:
        raise ConfigurationError(
            f"agno_db() requires SQLAlchemy: pip install 'agno-worker[agno-db]' ({error})"
        ) from error
    engine = create_engine(
        "postgresql+psycopg://", creator=connect, pool_size=POOL_SIZE, max_overflow=POOL_SIZE, pool_pre_ping=True
    )
    schema = schema_of(organization_id)
    return PostgresDb(db_engine=engine, db_schema=schema, id=schema)


async def migrate(connect: Callable[[], Any]) -> list[str]:
    """Migrate Agno's tables to the installed version of Agno. Without SQLAlchemy nothing uses them, so do nothing.

    Args:
        connect: Connects to the database with psycopg.

    Returns:
        The schemas that were checked.
    """
    try:
        from agno.db.migrations.manager import MigrationManager
        from agno.db.postgres import PostgresDb
        from sqlalchemy import create_engine, text
    except ImportError:
        return []
    engine = create_engine("postgresql+psycopg://", creator=connect)
    try:
        with engine.connect() as connection:
            found = text("select nspname from pg_namespace where nspname ~ '^worker_agno(_[0-9a-f]{16})?$' order by 1")
            schemas = [str(name) for (name,) in connection.execute(found)]
        for schema in schemas:
            await MigrationManager(PostgresDb(db_engine=engine, db_schema=schema, create_schema=False)).up()
    finally:
        engine.dispose()
    return schemas
