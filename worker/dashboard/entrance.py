"""The pages for signing in with a key, and signing out."""

import asyncio
import re

from starlette.responses import Response

from worker.dashboard.asking import AdmittedRequest, text_of
from worker.dashboard.visits import new_visit
from worker.words.errors import ModuleException, Unavailable

_OWN_PATH = re.compile(r"/(?![/\\])[\x21-\x5b\x5d-\x7e]{0,2000}")
TOO_MANY = 429  # HTTP: too many requests
WRONG_SECONDS = 0.5  # delay after a wrong key; it only limits log entries, since keys of 256 bits cannot be guessed


async def sign_in(asking: AdmittedRequest) -> Response:
    """Show the sign-in form."""
    return await asking.page("sign_in.html", next=_next(asking.request.query_params.get("next", "")), wrong=None)


async def enter(asking: AdmittedRequest) -> Response:
    """Sign in with a key, and redirect to the page that the visitor wanted."""
    form = await asking.form()
    wanted = _next(text_of(form, "next"))
    try:
        mark = await asking.front.sign_in(text_of(form, "key"), asking.request.scope)
    except Unavailable:
        raise
    except ModuleException as error:
        await asyncio.sleep(WRONG_SECONDS)
        status = TOO_MANY if error.status_code == TOO_MANY else 401
        return await asking.page("sign_in.html", status, next=wanted, wrong=error.description)
    asking.visit, asking.is_new = new_visit(mark), True
    response = await asking.go("/")
    if wanted:
        response.headers["location"] = wanted
    return response


async def leave(asking: AdmittedRequest) -> Response:
    """End the session, including for copies of its cookie."""
    await asking.form()
    if asking.visit.mark is not None:
        await asking.front.sign_out(asking.visit.mark, asking.request.scope)
    asking.visit, asking.is_new = new_visit(), True
    return await asking.go("/ui/sign-in", notice="out")


def _next(text: str) -> str:
    """Return the path to continue with, or an empty string if it is not a path of this server."""
    return text if _OWN_PATH.fullmatch(text) else ""
