"""The pages for signing in with a key, and signing out."""

import asyncio
import re

from starlette.responses import Response

from worker.dashboard.request_context import RequestContext, text_of
from worker.dashboard.visits import new_visit
from worker.words.errors import ModuleException, Unavailable

_OWN_PATH = re.compile(r"/(?![/\\])[\x21-\x5b\x5d-\x7e]{0,2000}")
TOO_MANY = 429  # HTTP: too many requests
WRONG_SECONDS = 0.5  # delay after a wrong key; it only limits log entries, since keys of 256 bits cannot be guessed


async def sign_in(context: RequestContext) -> Response:
    """Show the sign-in form."""
    return await context.page("sign_in.html", next=_next(context.request.query_params.get("next", "")), wrong=None)


async def submit(context: RequestContext) -> Response:
    """Sign in with a key, and redirect to the page that the visitor wanted."""
    form = await context.form()
    wanted = _next(text_of(form, "next"))
    try:
        session_token = await context.server.sign_in(text_of(form, "key"), context.request.scope)
    except Unavailable:
        raise
    except ModuleException as error:
        await asyncio.sleep(WRONG_SECONDS)
        status = TOO_MANY if error.status_code == TOO_MANY else 401
        return await context.page("sign_in.html", status, next=wanted, wrong=error.description)
    context.visit, context.is_new = new_visit(session_token), True
    response = await context.go("/")
    if wanted:
        response.headers["location"] = wanted
    return response


async def sign_out(context: RequestContext) -> Response:
    """End the session, including for copies of its cookie."""
    await context.form()
    if context.visit.session_token is not None:
        await context.server.sign_out(context.visit.session_token, context.request.scope)
    context.visit, context.is_new = new_visit(), True
    return await context.go("/ui/sign-in", notice="out")


def _next(text: str) -> str:
    """Return the path to continue with, or an empty string if it is not a path of this server."""
    return text if _OWN_PATH.fullmatch(text) else ""
