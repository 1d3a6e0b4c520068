"""The ASGI application: the routes of the server, on top of a platform."""

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Literal

from fastapi import APIRouter, FastAPI, Request
from fastapi.middleware.cors import CORSMiddleware
from pydantic import BaseModel, Field
from starlette.responses import RedirectResponse, Response
from starlette.routing import Mount, Route
from starlette.types import ASGIApp

from worker.contracts import Host
from worker.server.authorization import Gate
from worker.server.dashboard_interface import DashboardInterface
from worker.server.document import Application
from worker.server.head_requests import HeadMiddleware
from worker.server.limits import failures
from worker.server.limits.request_bounds import METHODS, PathMiddleware
from worker.server.routes import ROUTERS
from worker.server.routes.common import service_of
from worker.server.service import Service
from worker.server.timings import DEFAULT, ServerTimings
from worker.settings import Settings

ABOUT = """
The public protocol of an xpander platform, plus `POST /work` for native workers.

Every route is also served under `/{organization_id}` and with a trailing slash. All errors have the same format.
"""

NO_TELEMETRY: Any = {"tracing": False, "metrics": False, "logs": False, "auto_configure": False}
"""Turns off FastAPI's own telemetry: each poll of a worker would be a trace, and its spans contain query strings.
Traces of tasks, and metrics, are made by ``worker.telemetry``. FastAPI versions without telemetry ignore this."""

CORS: Any = {
    "allow_methods": [*METHODS, "HEAD"],
    "allow_headers": ["x-api-key", "content-type", "idempotency-key", "last-event-id", "traceparent"],
    "expose_headers": ["retry-after", "content-range", "accept-ranges", "content-disposition"],
    "allow_credentials": False,  # pages must send a key explicitly; browsers would attach cookies automatically
    "max_age": 600,  # seconds that a browser caches the preflight; Chromium allows at most two hours
}


MAX_SHOWN = 50  # most workers with hung threads that ``/ready`` lists


class Readiness(BaseModel):
    """The server can handle requests."""

    status: Literal["ready"] = "ready"
    hung_threads: int = Field(
        description="Number of threads that still run after their task was abandoned, in all workers."
    )
    hung_workers: dict[str, int] = Field(description="Number of such threads by worker id, highest first.")


health = APIRouter(tags=["health"])


@health.get("/health")
async def alive() -> dict[str, str]:
    """Report that the process is alive."""
    return {"status": "alive"}


@health.get("/ready", responses={503: failures.documented()[503]})
async def ready(request: Request) -> Readiness:
    """Report whether requests can be served (the database answers and its schema is current), and list hung workers."""
    hung = await service_of(request).readiness()
    return Readiness(hung_threads=sum(hung.values()), hung_workers=dict(list(hung.items())[:MAX_SHOWN]))


Pages = Callable[[DashboardInterface], ASGIApp]
"""Creates the dashboard from the parts of the server that are open to it."""


def create_app(
    platform: Host,
    settings: Settings,
    *,
    open_without_key: bool = True,
    pages: Pages | None = None,
    timings: ServerTimings = DEFAULT,
) -> FastAPI:
    """Create the application.

    Args:
        platform: The platform to serve; opened when the application starts, closed when it ends.
        settings: The key, the organization, the limits.
        open_without_key: Whether requests need no key while no key exists. Only safe on loopback.
        pages: Creates the dashboard, served at ``/`` and under ``/ui``; None means no dashboard.
        timings: Timeouts and intervals that are not user settings.
    """
    service = Service(platform, settings, open_without_key=open_without_key, timings=timings)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncGenerator[None]:
        await service.start()
        try:
            yield
        finally:
            await service.stop()
            await platform.close()

    app = Application(
        title="agno-worker",
        description=ABOUT,
        version=_version(),
        lifespan=lifespan,
        redirect_slashes=False,
        telemetry=NO_TELEMETRY,
        docs_url=None,  # the dashboard has its own page
        redoc_url=None,
    )
    app.state.service = service
    for router in (health, *ROUTERS):
        app.router.routes += router.routes  # including them would build each route again, at the first request
    if pages is not None:
        made = pages(DashboardInterface(service))
        app.router.routes += [Route(path, made, name=f"pages {path}") for path in ("/", "/ui")]
        app.router.routes.append(Mount("/ui", made, name="pages"))
        app.router.routes.append(Route("/docs", _to_the_docs, name="docs"))
    failures.install(app)
    app.add_middleware(Gate, routes=app.routes, service=service)
    app.add_middleware(PathMiddleware, routes=app.routes)
    app.add_middleware(HeadMiddleware)
    if settings.origins:
        app.add_middleware(CORSMiddleware, allow_origins=settings.origins, **CORS)
    return app


async def _to_the_docs(_: Request) -> Response:
    """Redirect to the dashboard's page, which asks for a key if keys exist."""
    return RedirectResponse("/ui/docs")


def _version() -> str:
    try:
        return version("agno-worker")
    except PackageNotFoundError:
        return "0"
