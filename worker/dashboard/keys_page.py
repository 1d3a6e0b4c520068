"""The page for creating, listing and revoking keys."""

import re
from typing import Any

from starlette.responses import Response

from worker.dashboard.request_context import RequestContext, text_of
from worker.words.errors import ValidationError
from worker.words.roles import Role

DAYS = re.compile(r"[1-9][0-9]{0,4}")
DAY_SECONDS = 86_400.0
FIELDS = ("name", "role", "agents", "days")


async def keys(context: RequestContext) -> Response:
    """List the keys whose permissions do not exceed the visitor's."""
    return await _page(context)


async def create(context: RequestContext) -> Response:
    """Create a key and show it, only this once."""
    form = await context.form()
    given = {name: text_of(form, name) for name in FIELDS}
    agents = [each for each in re.split(r"[,\s]+", given["agents"]) if each]
    try:
        role, seconds = _role(given["role"]), _seconds(given["days"])
        text, _ = await context.server.make_key(
            context.access, name=given["name"][:200], role=role, agents=agents, seconds=seconds
        )
    except ValidationError as error:
        return await _page(context, 422, given=given, wrong=error.description)
    return await _page(context, made=text)


async def revoke(context: RequestContext) -> Response:
    """Revoke a key."""
    await context.form()
    await context.server.revoke_key(context.access, context.request.path_params["key_id"][:200])
    return await context.go("/ui/keys", notice="revoked")


async def _page(context: RequestContext, status: int = 200, **values: Any) -> Response:
    found = sorted(await context.server.keys(context.access), key=lambda key: key.created_at, reverse=True)
    shown: dict[str, Any] = {"given": dict.fromkeys(FIELDS, ""), "wrong": None, "made": None, **values}
    return await context.page("keys.html", status, keys=found, roles=list(Role), **shown)


def _role(text: str) -> Role:
    try:
        return Role(text or Role.Client)
    except ValueError:
        raise ValidationError(f"the role must be one of {', '.join(Role)}", field="role") from None


def _seconds(text: str) -> float | None:
    if not text:
        return None
    if not text.isascii() or DAYS.fullmatch(text) is None:
        raise ValidationError(
            "enter the number of days until the key expires, from 1 to 36500, or leave the field empty", field="days"
        )
    return min(int(text), 36_500) * DAY_SECONDS
