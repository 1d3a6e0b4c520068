"""Protection of a server that needs no key against web pages of other sites; its own pages may do everything.

Such a server listens on loopback, which every page in a local browser can reach: by a direct request, or through a
host name that resolves to 127.0.0.1 (DNS rebinding).
"""

from collections.abc import Sequence
from urllib.parse import urlsplit

from starlette.types import Scope

from worker.server.identity.access import Forbidden
from worker.server.limits.headers import header
from worker.words.addresses import is_loopback

OWN_SITES = frozenset({"same-origin", "none"})
"""Values of ``Sec-Fetch-Site`` for requests from our own pages and for addresses typed by a person."""

SENT_BY_PROGRAMS = ("x-api-key", "x-dialect", "x-worker-session")
"""Headers that a page of another site can send only after a CORS preflight, which this server never approves.
Workers send at least one of them; its value does not matter."""


def check_own(scope: Scope, origins: Sequence[str]) -> None:
    """Check that a request comes from a program on this machine or from one of our own pages.

    Args:
        scope: The ASGI scope of the request.
        origins: Additional origins whose pages may use the server.

    Raises:
        Forbidden: The request comes from elsewhere.
    """
    authority = header(scope, "host") or ""
    if not is_own(_host_of(authority)):
        raise Forbidden(
            None,
            "Without an API key, this server only answers requests to localhost. Run `worker key"
            " create` to create a key.",
        )
    if _follows_a_link(scope):
        return
    origin = header(scope, "origin")
    if origin in origins:
        return
    if origin is not None and urlsplit(origin).netloc.lower() != authority.lower():
        raise Forbidden(None, "Without an API key, this server rejects requests from pages of other sites.")
    site = header(scope, "sec-fetch-site")
    if site is not None and site not in OWN_SITES:
        raise Forbidden(None, "Without an API key, this server rejects requests from pages of other sites.")


def check_program(scope: Scope) -> None:
    """Check that a request has a header that a page of another site cannot send.

    Raises:
        Forbidden: The request has no such header.
    """
    if not any(header(scope, name) for name in SENT_BY_PROGRAMS):
        raise Forbidden(None, "Workers must send the x-api-key header; any value is accepted while no key is required.")


def is_own(host: str) -> bool:
    """Return whether a host name or address refers to this machine."""
    return host.endswith(".localhost") or is_loopback(host)


def _host_of(authority: str) -> str:
    """Return the host of a ``host:port`` string, or an empty string if it is malformed."""
    try:
        return (urlsplit(f"//{authority}").hostname or "").rstrip(".")
    except ValueError:
        return ""


def _follows_a_link(scope: Scope) -> bool:
    """Return whether a browser is navigating to one of our pages: that changes nothing, and frames are excluded."""
    return (
        scope["method"] in ("GET", "HEAD")
        and header(scope, "sec-fetch-mode") == "navigate"
        and header(scope, "sec-fetch-dest") == "document"
        and (scope["path"] == "/" or scope["path"].startswith("/ui"))
    )
