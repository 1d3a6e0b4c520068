"""A request for a page: the visitor, the visitor's permissions, and ways to respond."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from worker.contracts.access import PAGES
from worker.dashboard.rendering import render
from worker.dashboard.server_interface import ServerInterface, VisitorAccess
from worker.dashboard.visits import Visit, Visits
from worker.words.errors import ModuleException, TaskNotFound
from worker.words.ids import is_id
from worker.words.providers import ProviderState
from worker.words.tasks import TaskRecord

FORM_FILES = 50
FORM_FIELDS = 1_100  # enough for a page of dead letters with a checkbox each

NOTICES = {
    "created": "Task created. It starts as soon as a worker is free.",
    "stopped": "Stopped.",
    "sent": "Message sent. The agent reads it before its next model call.",
    "signalled": "Signal sent.",
    "skipped": "The other tasks of the conversation continue.",
    "retried": "The task is queued again.",
    "answered": "Answered.",
    "answered before": "This request has already been answered, or is no longer open.",
    "many": "Tasks queued again. Those that could not be queued are still listed.",
    "deliveries": "The deliveries will be retried.",
    "out": "You are signed out.",
    "reading": "Documents added. They are read as soon as a worker is free.",
    "removed": "Removed.",
    "revoked": "Key revoked.",
}
"""Messages after a form was submitted, by the code in the URL, so that a URL cannot inject any text."""


class Forged(ModuleException):
    """This form does not belong to your session, or has expired: go back, reload the page, and submit it again."""

    status = 403


@dataclass(slots=True)
class RequestContext:
    """A request that was admitted.

    Args:
        granted: The visitor's permissions; None on pages without sign-in (the sign-in page, errors).
        is_new: Whether the visit began with this request, so that its cookie must be set.
    """

    request: Request
    server: ServerInterface
    visits: Visits
    visit: Visit
    granted: VisitorAccess | None = None
    is_new: bool = False

    @property
    def access(self) -> VisitorAccess:
        """The visitor's permissions."""
        if self.granted is None:
            raise RuntimeError("this page is only served to visitors who have signed in")
        return self.granted

    def can(self, page: str) -> bool:
        """Return whether the visitor's role may use a page, by the name of its row in the access table."""
        return self.granted is not None and self.granted.allows(PAGES[page])

    @property
    def is_open(self) -> bool:
        """Whether every visitor may do everything, because there are no keys."""
        return self.granted is not None and self.visit.session_token is None

    def url(self, path: str, **query: Any) -> str:
        """Return the URL of a page, with the organization as its prefix if the visitor's own URL has it."""
        organization_id = self.request.scope.get("organization_id")
        start = f"/{organization_id}" if organization_id else ""
        home = "/ui" if start else "/"
        given = {name: value for name, value in query.items() if value not in (None, "", ())}
        tail = "?" + urlencode(given, doseq=True) if given else ""
        return (start + (home if path == "/" else path)) + tail

    async def page(self, template: str, status: int = 200, **values: Any) -> Response:
        """Return a response with a page."""
        away = await self._providers_away()
        return await self.keep(HTMLResponse(await self.html(template, away=away, **values), status))

    async def _providers_away(self) -> list[ProviderState]:
        """Return the unavailable providers, which every page shows."""
        listed = [] if self.granted is None else await self.granted.organization.tasks.providers()
        return [each for each in listed if each.is_away]

    async def html(self, template: str, **values: Any) -> str:
        """Render a page or a fragment."""
        notice = NOTICES.get(self.request.query_params.get("notice", ""))
        token = await self.visits.token(self.visit)
        return render(template, {"context": self, "url": self.url, "token": token, "notice": notice, **values})

    async def go(self, path: str, **query: Any) -> Response:
        """Return a redirect to another page."""
        return await self.keep(RedirectResponse(self.url(path, **query), 303))

    async def keep(self, response: Response) -> Response:
        """Set the visit's cookie on a response if the visit is new."""
        if self.is_new:
            await self.visits.write(response, self.request, self.visit)
        return response

    async def form(self) -> FormData:
        """Return the submitted form.

        Raises:
            Forged: The form was not created for this visit.
        """
        form = await self.request.form(max_files=FORM_FILES, max_fields=FORM_FIELDS)
        if not await self.visits.fits(await self.visits.read(self.request), form.get("token")):
            raise Forged
        return form


Page = Callable[[RequestContext], Awaitable[Response]]


async def task_of(context: RequestContext) -> TaskRecord:
    """Return the task that the URL names.

    Raises:
        TaskNotFound: There is no such task, or the visitor cannot reach it.
    """
    task_id = context.request.path_params["task_id"]
    if not is_id(task_id):
        raise TaskNotFound(task_id[:128])
    return await context.access.task(task_id)


def text_of(form: FormData | Mapping[str, Any], name: str) -> str:
    """Return a text field, or an empty string if it is missing or a file."""
    value = form.get(name)
    return value.replace("\r\n", "\n").replace("\0", "").strip() if isinstance(value, str) else ""
