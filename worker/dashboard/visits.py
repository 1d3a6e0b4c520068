"""Visitors and their signed cookie, which contains a session's token and a random number, but no key."""

import hashlib
import hmac
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

from itsdangerous import BadData, URLSafeTimedSerializer
from starlette.requests import Request
from starlette.responses import Response

from worker.dashboard.server_interface import ServerInterface

SECRET = "dashboard"  # noqa: S105 - the name of a secret, not the secret
NAME = "worker_visit"
SECURE_NAME = f"__Host-{NAME}"  # browsers accept this prefix only over https, and only for this host


@dataclass(frozen=True, slots=True)
class Visit:
    """A visit by one browser.

    Args:
        nonce: A random number that identifies the visit; forms are bound to it.
        session_token: The token of its session; None if the visitor has not signed in.
    """

    nonce: str
    session_token: str | None = None


def new_visit(session_token: str | None = None) -> Visit:
    """Return a new visit. Signing in starts one, so that a cookie planted by an attacker is useless."""
    return Visit(secrets.token_urlsafe(18), session_token)


class Visits:
    """Reads and writes the cookie, and binds forms to it."""

    def __init__(self, server: ServerInterface) -> None:
        self._server = server

    async def _keys(self) -> Sequence[bytes]:
        """Return the accepted signing secrets, newest last, as the signer expects."""
        return (await self._server.secrets(SECRET))[::-1]

    async def read(self, request: Request) -> Visit | None:
        """Return the visit of a request, or None if its cookie is missing, invalid or expired."""
        text = request.cookies.get(SECURE_NAME if is_secure(request) else NAME)
        if text is None:
            return None
        try:
            found = URLSafeTimedSerializer(await self._keys()).loads(text, max_age=self._server.session_seconds)
        except BadData:
            return None
        nonce, session_token = cast("tuple[str, str | None]", found)  # signed, so we wrote it
        return Visit(nonce, session_token)

    async def write(self, response: Response, request: Request, visit: Visit) -> None:
        """Set the cookie of a visit."""
        secure = is_secure(request)
        response.set_cookie(
            SECURE_NAME if secure else NAME,
            URLSafeTimedSerializer(await self._keys()).dumps([visit.nonce, visit.session_token]),
            max_age=self._server.session_seconds,
            path="/",
            secure=secure,
            httponly=True,
            samesite="lax",  # links from other sites work; their forms are rejected because they lack the token
        )

    async def token(self, visit: Visit) -> str:
        """Return the token that every form of this visit contains, and that other sites cannot know."""
        return (await self._tokens(visit))[-1]

    async def _tokens(self, visit: Visit) -> list[str]:
        nonce = b"form " + visit.nonce.encode()
        return [hmac.new(key, nonce, hashlib.sha256).hexdigest() for key in await self._keys()]

    async def fits(self, visit: Visit | None, token: object) -> bool:
        """Return whether a form's token belongs to this visit."""
        if visit is None or not isinstance(token, str):
            return False
        given = token.encode("utf-8", "replace")
        return any(hmac.compare_digest(each.encode(), given) for each in await self._tokens(visit))


def is_secure(request: Request) -> bool:
    """Return whether the browser uses https."""
    return request.url.scheme == "https"
