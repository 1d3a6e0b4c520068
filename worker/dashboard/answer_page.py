"""Answering by a link that came with what is asked, in a chat message: no key, no session, no cookie.

Looking at the page changes nothing: programs that preview links do so, too. Sending its form does.
"""

from starlette.responses import Response

from worker.dashboard.asking import AdmittedRequest
from worker.dashboard.requests_page import form_of, given_in, typed_in
from worker.words.answer_links import LinkUsedUp
from worker.words.errors import Conflict, NotFound, ValidationError

HEADERS = {"referrer-policy": "no-referrer", "x-robots-tag": "noindex, nofollow"}
"""The address is the right to answer: it is told to no other page."""

TOKEN = "token"  # noqa: S105 - the name of a field
DONE = "Your answer was taken. You can close this page."


async def ask(asking: AdmittedRequest) -> Response:
    """Show what is asked, and the form of its answer."""
    _, task, request = await asking.front.opened(_token(asking))
    return await _page(asking, form=form_of(request, task.id), task=task)


async def answer(asking: AdmittedRequest) -> Response:
    """Take the answer; one that does not fit is shown again with what is wrong with it."""
    reach, task, request = await asking.front.opened(_token(asking))
    sent = await asking.request.form(max_files=0)
    try:
        given = given_in(request, sent)
        with asking.front.by_link(asking.request.scope, reach):
            await reach.organization.tasks.answer(task.id, [given])
    except (Conflict, NotFound):
        raise LinkUsedUp(description="This was answered before, or is not asked any more.") from None
    except ValidationError as error:
        return await _page(asking, 422, form=form_of(request, task.id, typed_in(sent), error.description), task=task)
    return await _page(asking, form=None, task=task, said=DONE)


async def _page(asking: AdmittedRequest, status: int = 200, **values: object) -> Response:
    action = f"{asking.url('/ui/answer')}?{asking.request.url.query}"
    asking.is_new = False  # whoever only answers gets no cookie
    response = await asking.page("answer_link.html", status, action=action, **{"said": "", **values})
    response.headers.update(HEADERS)
    return response


def _token(asking: AdmittedRequest) -> str:
    return asking.request.query_params.get(TOKEN, "")
