"""Who is visiting: a signed cookie. It holds no key, only the token of a session, and a number of its own."""

import hashlib
import hmac
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

from itsdangerous import BadData, URLSafeTimedSerializer
from starlette.requests import Request
from starlette.responses import Response

from worker.dashboard.front import Front

SECRET = "dashboard"  # noqa: S105 - the name of a secret, not the secret
VISIT_SECONDS = 12 * 3600  # a working day; then the key is asked for again
NAME = "worker_visit"
SECURE_NAME = f"__Host-{NAME}"  # a browser takes this name only over https, for this host alone


@dataclass(frozen=True, slots=True)
class Visit:
    """A browser that came here.

    Args:
        nonce: Tells it from every other; forms are bound to it.
        mark: The token of its session; None means it has not signed in.
    """

    nonce: str
    mark: str | None = None


def new_visit(mark: str | None = None) -> Visit:
    """A visit that begins now; whoever signs in begins anew, so that nobody can have planted the cookie."""
    return Visit(secrets.token_urlsafe(18), mark)


class Visits:
    """Writes and reads the cookie, and binds forms to it."""

    def __init__(self, front: Front) -> None:
        self._front = front

    async def _keys(self) -> Sequence[bytes]:
        """The secrets that a cookie or form may be signed with, the newest last, as the signer takes them."""
        return (await self._front.secrets(SECRET))[::-1]

    async def read(self, request: Request) -> Visit | None:
        """The visit that a request belongs to; None means it has no cookie, or a wrong or an old one."""
        text = request.cookies.get(SECURE_NAME if is_secure(request) else NAME)
        if text is None:
            return None
        try:
            found = URLSafeTimedSerializer(await self._keys()).loads(text, max_age=VISIT_SECONDS)
        except BadData:
            return None
        nonce, mark = cast("tuple[str, str | None]", found)  # it is signed: we wrote it
        return Visit(nonce, mark)

    async def write(self, response: Response, request: Request, visit: Visit) -> None:
        """Have the browser keep a visit."""
        secure = is_secure(request)
        response.set_cookie(
            SECURE_NAME if secure else NAME,
            URLSafeTimedSerializer(await self._keys()).dumps([visit.nonce, visit.mark]),
            max_age=VISIT_SECONDS,
            path="/",
            secure=secure,
            httponly=True,
            samesite="lax",  # a link in a chat leads to the page; a form of another site is refused by its token
        )

    async def token(self, visit: Visit) -> str:
        """What every form of this visit carries, and no other site can know."""
        return (await self._tokens(visit))[-1]

    async def _tokens(self, visit: Visit) -> list[str]:
        nonce = b"form " + visit.nonce.encode()
        return [hmac.new(key, nonce, hashlib.sha256).hexdigest() for key in await self._keys()]

    async def fits(self, visit: Visit | None, token: object) -> bool:
        """Whether a form is this visit's."""
        if visit is None or not isinstance(token, str):
            return False
        given = token.encode("utf-8", "replace")
        return any(hmac.compare_digest(each.encode(), given) for each in await self._tokens(visit))


def is_secure(request: Request) -> bool:
    """Whether the browser came over https."""
    return request.url.scheme == "https"
