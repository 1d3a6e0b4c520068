"""The dashboard as an ASGI application: routes, access control, error pages."""

from importlib import resources
from urllib.parse import urlsplit

from starlette.applications import Starlette
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Send
from starlette.types import Scope as Connection

from worker.bounded import on_behalf_of
from worker.contracts import AccessRule, AccessScope
from worker.contracts.access import PAGES
from worker.dashboard import (
    agents_page,
    answer_page,
    audit_page,
    conversations_page,
    dead_page,
    docs_page,
    files,
    keys_page,
    knowledge_page,
    new_page,
    requests_page,
    sign_in_page,
    stream,
    task_page,
    tasks_page,
    workers_page,
)
from worker.dashboard.request_context import Page, RequestContext
from worker.dashboard.server_interface import ServerInterface, VisitorAccess
from worker.dashboard.visits import Visits, new_visit
from worker.words.errors import ModuleException, NotFound, TaskNotFound
from worker.words.ids import is_id

CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self';"
    " base-uri 'none'; frame-ancestors 'none'"
    "; object-src 'self'; media-src 'self'"  # PDFs and recordings among a task's files
    "; frame-src 'self'"  # HTML results, which are sandboxed
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
    403: "Not allowed",
    404: "Not found",
    409: "Not possible",
    410: "No longer valid",
    413: "Too large",
    422: "Invalid input",
    429: "The queue is full",
    503: "The database is unavailable",
}


def create_pages(server: ServerInterface) -> ASGIApp:
    """Create the dashboard.

    Args:
        server: The server that serves the pages, at ``/`` and under ``/ui``.
    """
    pages = Pages(server)
    static = Mount("/static", StaticFiles(directory=str(resources.files("worker.dashboard") / "static")))
    *named, anything_else = (pages.route(name, page) for name, page in SERVED.items())
    return _Headers(Starlette(routes=[*named, static, anything_else]))


async def _nowhere(_: RequestContext) -> Response:
    raise NotFound("This page does not exist.")


SERVED: dict[str, Page] = {
    "GET /": tasks_page.tasks,
    "GET /ui": tasks_page.tasks,
    "GET /ui/live": tasks_page.live,
    "GET /ui/tasks/{task_id}": task_page.task,
    "GET /ui/tasks/{task_id}/stream": stream.stream,
    "GET /ui/tasks/{task_id}/result.html": files.result,
    "GET /ui/tasks/{task_id}/files/{number:int}": files.file,
    "GET /ui/tasks/{task_id}/artifacts/{number:int}": files.artifact,
    "POST /ui/tasks/{task_id}/stop": task_page.stop,
    "POST /ui/tasks/{task_id}/retry": task_page.retry,
    "POST /ui/tasks/{task_id}/answer": requests_page.answer,
    "POST /ui/tasks/{task_id}/send": task_page.send,
    "POST /ui/tasks/{task_id}/signal": task_page.signal,
    "POST /ui/tasks/{task_id}/skip": task_page.skip,
    "GET /ui/inbox": requests_page.inbox,
    "GET /ui/conversations": conversations_page.conversations,
    "GET /ui/conversations/{conversation_id:path}": conversations_page.conversation,
    "GET /ui/new": new_page.new,
    "POST /ui/new": new_page.create,
    "GET /ui/workers": workers_page.workers,
    "GET /ui/docs": docs_page.docs,
    "GET /ui/agents": agents_page.agents,
    "GET /ui/knowledge": knowledge_page.bases,
    "POST /ui/knowledge": knowledge_page.create,
    "GET /ui/knowledge/{knowledge_base_id}": knowledge_page.base,
    "POST /ui/knowledge/{knowledge_base_id}": knowledge_page.add,
    "POST /ui/knowledge/{knowledge_base_id}/remove": knowledge_page.remove,
    "GET /ui/dead": dead_page.dead,
    "POST /ui/dead": dead_page.retry,
    "GET /ui/deliveries": dead_page.deliveries,
    "POST /ui/deliveries": dead_page.retry_deliveries,
    "GET /ui/keys": keys_page.keys,
    "POST /ui/keys": keys_page.create,
    "POST /ui/keys/{key_id}/revoke": keys_page.revoke,
    "GET /ui/audit": audit_page.audit,
    "GET /ui/answer": answer_page.ask,
    "POST /ui/answer": answer_page.answer,
    "GET /ui/sign-in": sign_in_page.sign_in,
    "POST /ui/sign-in": sign_in_page.submit,
    "POST /ui/sign-out": sign_in_page.sign_out,
    "GET /ui/{rest:path}": _nowhere,
}
"""Every page, by the name of its row in the access table."""


class Pages:
    """Admits requests to pages, and renders errors."""

    def __init__(self, server: ServerInterface) -> None:
        self._server = server
        self._visits = Visits(server)

    def route(self, name: str, page: Page) -> Route:
        """Return the route of a page, with the access rule of its row in the table.

        Args:
            name: The name of the row: method and path.
            page: Handles an admitted request.
        """
        method, _, path = name.partition(" ")
        within = path if path in ("/", "/ui") else path.removeprefix("/ui")
        return Route(within, self._shown(page, PAGES[name]), methods=[method])

    def _shown(self, page: Page, rule: AccessRule):  # noqa: ANN202 - an endpoint, as the router takes it

        async def endpoint(request: Request) -> Response:
            context: RequestContext | None = None
            try:
                visit = await self._visits.read(request)
                context = RequestContext(
                    request, self._server, self._visits, visit or new_visit(), is_new=visit is None
                )
                if rule.needs_key:
                    context.granted = await self._server.admit(
                        context.visit.session_token, request.scope.get("organization_id")
                    )
                    on_behalf_of.set(context.granted.organization.organization_id)
                    await _check(context.granted, rule, request)
                    with self._server.visiting(request.scope, context.granted):
                        return await page(context)
                return await page(context)
            except (ModuleException, HTTPException) as error:
                return await self._failed(context, request, error)
            finally:
                await request.close()  # deletes the temporary files of uploads

        return endpoint

    async def _failed(
        self, context: RequestContext | None, request: Request, error: ModuleException | HTTPException
    ) -> Response:
        status = error.status_code
        context = context or RequestContext(request, self._server, _NoVisits(self._server), new_visit())
        if status == 403 and isinstance(error, ModuleException):  # noqa: PLR2004 - HTTP: forbidden
            self._server.refused(request.scope, error, context.granted)
        if status == 401:  # noqa: PLR2004 - HTTP: unauthorized
            return await _to_sign_in(context)
        said = error.description if isinstance(error, ModuleException) else str(error.detail)
        if status == 503:  # noqa: PLR2004 - HTTP: without the database, the cookie cannot be read either
            context = RequestContext(request, self._server, _NoVisits(self._server), context.visit)
        title = TITLES.get(status, "It failed")
        response = await context.page("error.html", status, title=title, said=said, code=status)
        response.headers["retry-after"] = "5" if status in (429, 503) else "0"
        return response


async def _check(access: VisitorAccess, rule: AccessRule, request: Request) -> None:
    """Check that the visitor may see the page and the task or knowledge base that it names."""
    scope = access.permit(rule)
    if scope is AccessScope.KnowledgeBase:
        await access.check_knowledge_base(request.path_params["knowledge_base_id"][:128])
    if scope is AccessScope.Task:
        task_id: str = request.path_params["task_id"]
        if not is_id(task_id):
            raise TaskNotFound(task_id[:128])
        await access.check_task(task_id)


class _NoVisits(Visits):
    """Visits while their secret is unavailable: forms get no token, so they cannot be submitted."""

    async def token(self, visit: object) -> str:  # pyright: ignore[reportIncompatibleMethodOverride] # ignores the visit
        del visit
        return ""


async def _to_sign_in(context: RequestContext) -> Response:
    request = context.request
    path = urlsplit(str(request.url))
    back = path.path + (f"?{path.query}" if path.query else "") if request.method == "GET" else ""
    sign_in_url = context.url("/ui/sign-in", next=back if back not in ("/", "/ui") else "")
    if request.headers.get("hx-request") or "text/event-stream" in request.headers.get("accept", ""):
        return Response(status_code=401, headers={"hx-redirect": context.url("/ui/sign-in")})
    response = await context.go("/ui/sign-in")
    response.headers["location"] = sign_in_url
    return response


class _Headers:
    """Adds security headers to every response, without replacing headers that the response has already."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Connection, receive: Receive, send: Send) -> None:
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
