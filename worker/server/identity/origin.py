"""What a browser may do at a server that needs no key: its own pages everything, other sites' pages nothing.

Such a server listens on loopback, which every page in a browser on this machine can reach: by a request of its own, or
under a name that it has led to 127.0.0.1 (DNS rebinding).
"""

import ipaddress
from collections.abc import Sequence
from urllib.parse import urlsplit

from starlette.types import Scope

from worker.server.identity.access import Forbidden
from worker.server.limits.headers import header

OWN_SITES = frozenset({"same-origin", "none"})
"""``Sec-Fetch-Site`` of what a page of ours asks for, and of what a person typed."""

SENT_BY_PROGRAMS = ("x-api-key", "x-dialect", "x-worker-session")
"""Headers that a page of another site cannot send, unless the server answers a question for leave, which ours does
not. Workers send the first, whatever its value, or the others."""


def check_own(scope: Scope, origins: Sequence[str]) -> None:
    """Let pass what comes from this machine's programs and from our own pages.

    Args:
        scope: The request.
        origins: Those of other pages that may use the server.

    Raises:
        Forbidden: It comes from elsewhere.
    """
    authority = header(scope, "host") or ""
    if not is_own(_host_of(authority)):
        raise Forbidden(None, "Without a key this server answers as localhost alone: run `worker key create`.")
    if _follows_a_link(scope):
        return
    origin = header(scope, "origin")
    if origin in origins:
        return
    if origin is not None and urlsplit(origin).netloc.lower() != authority.lower():
        raise Forbidden(None, "Without a key this server answers no page of another site.")
    site = header(scope, "sec-fetch-site")
    if site is not None and site not in OWN_SITES:
        raise Forbidden(None, "Without a key this server answers no page of another site.")


def check_program(scope: Scope) -> None:
    """Let pass what no page of another site can ask for. Raises: Forbidden."""
    if not any(header(scope, name) for name in SENT_BY_PROGRAMS):
        raise Forbidden(None, "A worker sends the header x-api-key, whatever its value where no key is needed.")


def is_own(host: str) -> bool:
    """Whether a name or an address is this machine's own."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _host_of(authority: str) -> str:
    """The host of ``host:port``; nothing where it is none."""
    try:
        return (urlsplit(f"//{authority}").hostname or "").rstrip(".")
    except ValueError:
        return ""


def _follows_a_link(scope: Scope) -> bool:
    """Whether a person goes to a page, from wherever: it changes nothing, and is shown in no frame."""
    return (
        scope["method"] in ("GET", "HEAD")
        and header(scope, "sec-fetch-mode") == "navigate"
        and header(scope, "sec-fetch-dest") == "document"
        and (scope["path"] == "/" or scope["path"].startswith("/ui"))
    )
