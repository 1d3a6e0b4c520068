"""``worker check --heroku``: problems that would occur on Heroku, each with a remedy."""

import asyncio
import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from worker.cli import disk_writes, heroku_plans, procfile
from worker.cli.platform import read_settings
from worker.words.errors import ModuleException

if TYPE_CHECKING:
    from worker.engine.engine import Engine
    from worker.settings import Settings

KILL_SECONDS = 30.0  # Heroku kills processes this long after SIGTERM
HAND_BACK_SECONDS = 6.0  # longest time to hand back tasks and exit after the drain
PYTHONS = ("3.11", "3.12", "3.13", "3.14")
INSTALLERS = ("requirements.txt", "uv.lock", "poetry.lock", "Pipfile.lock")
RELEASE_CONNECTIONS = 1  # for the migration, which runs alongside the dynos of the previous release
HERE = re.compile(r"localhost|127\..*|::1|/.*|")
THERE = "run `heroku run worker check --heroku` to check with the app's own settings"


@dataclass(frozen=True, slots=True)
class Deployment:
    """The deployment to check.

    Args:
        folder: The app's folder.
        handlers: The folder of the handlers.
        settings: The environment's settings.
        processes: The Procfile's processes.
        plan: The database's plan, if it was named.
        web: Number of server dynos.
        workers: Number of worker dynos.
    """

    folder: Path
    handlers: Path
    settings: "Settings"
    processes: dict[str, str] | None
    plan: str | None
    web: int
    workers: int

    @property
    def serves(self) -> bool:
        """Whether the deployment has a server."""
        return self.web > 0 and (self.processes is None or "web" in self.processes)


@dataclass(frozen=True, slots=True)
class Database:
    """Limits and state of the database.

    Args:
        limit: Maximum number of connections of this user.
        has_key: Whether it holds a key of the HTTP server; None means that it has not been migrated yet.
    """

    limit: int
    has_key: bool | None


def problems(folder: Path, handlers: Path, *, plan: str | None, web: int | None, workers: int | None) -> list[str]:
    """Return the problems of a deployment to Heroku, one line each.

    Args:
        folder: The app's folder.
        handlers: The folder of the handlers.
        plan: The database's plan; None means that the database is asked.
        web: Number of server dynos; None means as in app.json, or one.
        workers: Number of worker dynos; None means as in app.json, or one.
    """
    try:
        settings = read_settings()
    except ModuleException:
        return []  # the check of the settings reports it
    formation = _formation(folder)
    deployment = Deployment(
        folder,
        handlers,
        settings,
        procfile.processes(folder),
        plan,
        formation.get("web", 1) if web is None else web,
        formation.get("worker", 1) if workers is None else workers,
    )
    found = list(_check_database_url(settings))
    database = None if found else _ask_database(settings, found)
    return [
        *found,
        *_check_connections(deployment, database),
        *_check_key(deployment, database),
        *_check_drain(settings),
        *_check_surroundings(settings),
        *_check_build(deployment),
        *procfile.problems(deployment.processes),
        *disk_writes.problems(handlers),
    ]


def _formation(folder: Path) -> dict[str, int]:
    """Return the number of dynos by process type from app.json."""
    try:
        formation: Any = json.loads((folder / "app.json").read_bytes())["formation"]
        return {name: int(each.get("quantity", 1)) for name, each in formation.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def _check_database_url(settings: "Settings") -> Iterator[str]:
    if settings.database_url is None:
        yield (
            "DATABASE_URL is not set, and the embedded PostgreSQL would store tasks on the dyno's disk, which is"
            f" erased at every restart: run `heroku addons:create heroku-postgresql:essential-0`; {THERE}"
        )
        return
    try:
        host = urlsplit(settings.database_url.get_secret_value()).hostname or ""
    except ValueError:
        host = ""
    if HERE.fullmatch(host) and "DYNO" in os.environ:
        yield f"DATABASE_URL points to the dyno itself ({host or 'no host'}), where no PostgreSQL runs: {THERE}"


def _ask_database(settings: "Settings", found: list[str]) -> Database | None:
    """Query the database's limits. If it is unavailable, add a problem."""
    from worker import wiring

    try:
        return asyncio.run(_read_database(wiring.engine(settings)))
    except ModuleException as error:
        found.append(f"DATABASE_URL: {error.description}; {THERE}")
        return None


async def _read_database(engine: "Engine") -> Database:
    try:
        await engine.open()
        has_key = None if await engine.pending_migrations() else await engine.keys.exist()
        return Database(await engine.connection_limit(), has_key)
    finally:
        await engine.close()


def _check_connections(deployment: Deployment, database: Database | None) -> Iterator[str]:
    from worker.engine.core import CONNECTIONS

    if deployment.plan is not None:
        limit, whose = heroku_plans.connections(deployment.plan), f"the plan {deployment.plan}"
        if limit is None:
            yield f"--plan: unknown plan {deployment.plan!r}: {heroku_plans.nearest(deployment.plan)}"
            return
    elif database is not None:
        limit, whose = database.limit, "the database"
    else:
        return
    stats = (deployment.web + deployment.workers) * CONNECTIONS
    deploying = 2 * stats + RELEASE_CONNECTIONS
    if deploying > limit:
        beyond = (
            "" if stats > limit else f", and {deploying} during a deploy, when old dynos drain while new ones start"
        )
        yield (
            f"connections: {deployment.web} web and {deployment.workers} worker dynos with {CONNECTIONS}"
            f" connections each need {stats}{beyond}, but {whose} allows {limit}: run fewer dynos with a higher"
            " WORKER_CONCURRENCY, or choose a larger plan"
        )


def _check_key(deployment: Deployment, database: Database | None) -> Iterator[str]:
    if deployment.serves and deployment.settings.server_key is None and not (database and database.has_key):
        yield (
            "the web process has no key and does not listen without one: run `heroku config:set"
            " WORKER_API_KEY=$(openssl rand -hex 32)`, or `heroku run worker key create --organization default`"
        )


def _check_drain(settings: "Settings") -> Iterator[str]:
    most = KILL_SECONDS - HAND_BACK_SECONDS
    if settings.drain_seconds > most:
        yield (
            f"WORKER_DRAIN_SECONDS is {settings.drain_seconds:g}, but Heroku kills a dyno {KILL_SECONDS:g} s after"
            f" SIGTERM, and handing back tasks takes up to {HAND_BACK_SECONDS:g} s: run `heroku config:set"
            f" WORKER_DRAIN_SECONDS={most:g}`"
        )


def _check_surroundings(settings: "Settings") -> Iterator[str]:
    if "home" in settings.model_fields_set:
        yield (
            "WORKER_HOME names a folder on the dyno's disk, which is erased at every restart; use DATABASE_URL"
            " instead: run `heroku config:unset WORKER_HOME`"
        )
    if settings.base_url or settings.api_key:
        yield (
            "XPANDER_BASE_URL or XPANDER_API_KEY is set, so `worker run` would serve that platform instead of"
            " this app's database: run `heroku config:unset XPANDER_BASE_URL XPANDER_API_KEY`"
        )
    if settings.log == "console":
        yield (
            "WORKER_LOG is console, which prints several lines per entry: run `heroku config:set"
            " WORKER_LOG=logfmt`, or use json"
        )
    dyno = os.environ.get("DYNO", "")
    if dyno.startswith("web.") and "PORT" not in os.environ:
        yield f"{dyno} has no PORT. Heroku sets it for the web process type; remove whatever unsets it"


def _check_build(deployment: Deployment) -> Iterator[str]:
    folder = deployment.folder
    if not any((folder / name).is_file() for name in INSTALLERS):
        yield "no file declares the dependencies: create requirements.txt with the line `agno-worker[server]`"
    if (folder / "runtime.txt").exists():
        yield "runtime.txt is deprecated and overrides .python-version: remove it"
    try:
        version = (folder / ".python-version").read_text(encoding="utf-8").strip()
    except (OSError, ValueError):
        yield (
            f"there is no .python-version, so Heroku chooses the Python version: create one containing {PYTHONS[-2]}"
        )
    else:
        if ".".join(version.split(".")[:2]) not in PYTHONS:
            yield f".python-version contains {version!r}: use one of {', '.join(PYTHONS)}"
    if deployment.serves and find_spec("uvicorn") is None:
        yield "the web process needs packages that are not installed: add `agno-worker[server]` to requirements.txt"
