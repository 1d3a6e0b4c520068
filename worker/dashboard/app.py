"""The pages as an application: routes, who may see them, and how errors look."""

import ipaddress
from importlib import resources
from urllib.parse import urlsplit

from starlette.applications import Starlette
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from worker.bounded import on_behalf_of
from worker.dashboard import (
    agents_page,
    dead_page,
    entrance,
    files,
    new_page,
    stream,
    task_page,
    tasks_page,
    workers_page,
)
from worker.dashboard.asking import Asking, Page
from worker.dashboard.front import Front
from worker.dashboard.visits import Visits, new_visit
from worker.words.errors import ModuleException, NotFound

CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self';"
    " base-uri 'none'; frame-ancestors 'none'"
    "; object-src 'self'"  # PDFs among a task's files
    "; frame-src 'self'"  # results in HTML, in a sandbox of their own
)
HEADERS = {
    "content-security-policy": CSP,
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
    "cache-control": "no-store",
}
TITLES = {
    401: "Sign in",
    403: "Refused",
    404: "Not found",
    409: "Not now",
    413: "Too large",
    422: "That does not fit",
    429: "The queue is full",
    503: "The database is away",
}


def create_pages(front: Front) -> ASGIApp:
    """Make the pages.

    Args:
        front: The server that serves them, at ``/`` and under ``/ui``.
    """
    pages = Pages(front)
    application = Starlette(
        routes=[
            Route("/", pages.shown(tasks_page.tasks)),
            Route("/ui", pages.shown(tasks_page.tasks)),
            Route("/live", pages.shown(tasks_page.live)),
            Route("/tasks/{task_id}", pages.shown(task_page.task)),
            Route("/tasks/{task_id}/stream", pages.shown(stream.stream)),
            Route("/tasks/{task_id}/result.html", pages.shown(files.result)),
            Route("/tasks/{task_id}/files/{number:int}", pages.shown(files.file)),
            Route("/tasks/{task_id}/stop", pages.shown(task_page.stop), methods=["POST"]),
            Route("/tasks/{task_id}/retry", pages.shown(task_page.retry), methods=["POST"]),
            Route("/new", pages.shown(new_page.new), methods=["GET"]),
            Route("/new", pages.shown(new_page.create), methods=["POST"]),
            Route("/workers", pages.shown(workers_page.workers)),
            Route("/agents", pages.shown(agents_page.agents)),
            Route("/dead", pages.shown(dead_page.dead), methods=["GET"]),
            Route("/dead", pages.shown(dead_page.retry), methods=["POST"]),
            Route("/deliveries", pages.shown(dead_page.deliveries), methods=["GET"]),
            Route("/deliveries", pages.shown(dead_page.retry_deliveries), methods=["POST"]),
            Route("/sign-in", pages.shown(entrance.sign_in, signed_in=False), methods=["GET"]),
            Route("/sign-in", pages.shown(entrance.enter, signed_in=False), methods=["POST"]),
            Route("/sign-out", pages.shown(entrance.leave, signed_in=False), methods=["POST"]),
            Mount("/static", StaticFiles(directory=str(resources.files("worker.dashboard") / "static"))),
            Route("/{rest:path}", pages.shown(_nowhere), methods=["GET", "POST"]),
        ]
    )
    return _Headers(application)


async def _nowhere(_: Asking) -> Response:
    raise NotFound("There is no such page.")


class Pages:
    """Admits requests to pages, and shows what went wrong."""

    def __init__(self, front: Front) -> None:
        self._front = front
        self._visits = Visits(front)

    def shown(self, page: Page, *, signed_in: bool = True):  # noqa: ANN201 - an endpoint, as the router takes it
        """A page as a route serves it.

        Args:
            page: Answers an admitted request.
            signed_in: Whether it is for those alone who have signed in, or need not.
        """

        async def endpoint(request: Request) -> Response:
            asking: Asking | None = None
            try:
                visit = await self._visits.read(request)
                asking = Asking(request, self._front, self._visits, visit or new_visit(), is_new=visit is None)
                if signed_in:
                    asking.reach = await self._front.admit(asking.visit.mark, request.scope.get("organization_id"))
                    _check_host(asking)
                    on_behalf_of.set(asking.reach.room.organization_id)
                return await page(asking)
            except (ModuleException, HTTPException) as error:
                return await self._failed(asking, request, error)
            finally:
                await request.close()  # uploads are files until then

        return endpoint

    async def _failed(
        self, asking: Asking | None, request: Request, error: ModuleException | HTTPException
    ) -> Response:
        status = error.status_code
        asking = asking or Asking(request, self._front, _Nobody(self._front), new_visit())
        if status == 401:  # noqa: PLR2004 - HTTP: unauthorized
            return await _to_the_entrance(asking)
        said = error.description if isinstance(error, ModuleException) else str(error.detail)
        if status == 503:  # noqa: PLR2004 - HTTP: the database is away, so the cookie cannot be read either
            asking = Asking(request, self._front, _Nobody(self._front), asking.visit)
        title = TITLES.get(status, "It failed")
        response = await asking.page("error.html", status, title=title, said=said, code=status)
        response.headers["retry-after"] = "5" if status in (429, 503) else "0"
        return response


class _Nobody(Visits):
    """Visits while their secret cannot be read: pages without forms."""

    async def token(self, visit: object) -> str:  # pyright: ignore[reportIncompatibleMethodOverride] # it looks at none
        del visit
        return ""


async def _to_the_entrance(asking: Asking) -> Response:
    request = asking.request
    path = urlsplit(str(request.url))
    back = path.path + (f"?{path.query}" if path.query else "") if request.method == "GET" else ""
    entrance_url = asking.url("/ui/sign-in", next=back if back not in ("/", "/ui") else "")
    if request.headers.get("hx-request") or "text/event-stream" in request.headers.get("accept", ""):
        return Response(status_code=401, headers={"hx-redirect": asking.url("/ui/sign-in")})
    response = await asking.go("/ui/sign-in")
    response.headers["location"] = entrance_url
    return response


def _check_host(asking: Asking) -> None:
    """Where no key is needed, only this machine's own names lead here: a foreign page could else come by its own name.

    Raises:
        NotFound: The address names another host.
    """
    if asking.is_open and not _is_own(asking.request.url.hostname or ""):
        raise NotFound("Without a key these pages are served as localhost alone.")


def _is_own(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class _Headers:
    """Gives every answer the headers that keep a page to itself; an answer's own come first."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_static = "/static/" in scope["path"]

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    if name == "cache-control" and is_static:
                        headers.setdefault(name, "public, max-age=31536000, immutable")
                    headers.setdefault(name, value)
            await send(message)

        await self._app(scope, receive, send_with_headers)
