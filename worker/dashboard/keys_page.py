"""The page for creating, listing and revoking keys."""

import re
from typing import Any

from starlette.responses import Response

from worker.dashboard.asking import AdmittedRequest, text_of
from worker.words.errors import ValidationError
from worker.words.roles import Role

DAYS = re.compile(r"[1-9][0-9]{0,4}")
DAY_SECONDS = 86_400.0
FIELDS = ("name", "role", "agents", "days")


async def keys(asking: AdmittedRequest) -> Response:
    """List the keys whose permissions do not exceed the visitor's."""
    return await _page(asking)


async def create(asking: AdmittedRequest) -> Response:
    """Create a key and show it, only this once."""
    form = await asking.form()
    given = {name: text_of(form, name) for name in FIELDS}
    agents = [each for each in re.split(r"[,\s]+", given["agents"]) if each]
    try:
        role, seconds = _role(given["role"]), _seconds(given["days"])
        text, _ = await asking.front.make_key(
            asking.may, name=given["name"][:200], role=role, agents=agents, seconds=seconds
        )
    except ValidationError as error:
        return await _page(asking, 422, given=given, wrong=error.description)
    return await _page(asking, made=text)


async def revoke(asking: AdmittedRequest) -> Response:
    """Revoke a key."""
    await asking.form()
    await asking.front.revoke_key(asking.may, asking.request.path_params["key_id"][:200])
    return await asking.go("/ui/keys", notice="revoked")


async def _page(asking: AdmittedRequest, status: int = 200, **values: Any) -> Response:
    found = sorted(await asking.front.keys(asking.may), key=lambda key: key.created_at, reverse=True)
    shown: dict[str, Any] = {"given": dict.fromkeys(FIELDS, ""), "wrong": None, "made": None, **values}
    return await asking.page("keys.html", status, keys=found, roles=list(Role), **shown)


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
