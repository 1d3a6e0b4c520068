"""The page behind an answer link, which arrives with a request in a chat message: no key, no session, no cookie.

Viewing the page changes nothing, because link previews request it as well; only submitting its form does.
"""

from starlette.responses import Response

from worker.dashboard.request_context import RequestContext
from worker.dashboard.requests_page import form_of, given_in, typed_in
from worker.words.answer_links import LinkUsedUp
from worker.words.errors import Conflict, NotFound, ValidationError

HEADERS = {"referrer-policy": "no-referrer", "x-robots-tag": "noindex, nofollow"}
"""The URL itself grants the right to answer, so other pages must not receive it as a referrer."""

TOKEN = "token"  # noqa: S105 - the name of a field
DONE = "Your answer has been received. You can close this page."


async def ask(context: RequestContext) -> Response:
    """Show the request and a form for its answer."""
    _, task, request = await context.server.opened(_token(context))
    return await _page(context, form=form_of(request, task.id), task=task)


async def answer(context: RequestContext) -> Response:
    """Accept the answer; an invalid one is shown again with the error."""
    access, task, request = await context.server.opened(_token(context))
    sent = await context.request.form(max_files=0)
    try:
        given = given_in(request, sent)
        with context.server.by_link(context.request.scope, access):
            await access.organization.tasks.answer(task.id, [given])
    except (Conflict, NotFound):
        raise LinkUsedUp(description="This request has already been answered, or is no longer open.") from None
    except ValidationError as error:
        return await _page(context, 422, form=form_of(request, task.id, typed_in(sent), error.description), task=task)
    return await _page(context, form=None, task=task, said=DONE)


async def _page(context: RequestContext, status: int = 200, **values: object) -> Response:
    action = f"{context.url('/ui/answer')}?{context.request.url.query}"
    context.is_new = False  # no cookie for visitors who only answer
    response = await context.page("answer_link.html", status, action=action, **{"said": "", **values})
    response.headers.update(HEADERS)
    return response


def _token(context: RequestContext) -> str:
    return context.request.query_params.get(TOKEN, "")
