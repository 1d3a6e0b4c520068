"""Functions that read headers from an ASGI scope, before the request is parsed further."""

from starlette.types import Scope

BEARER = "bearer "


def header(scope: Scope, name: str) -> str | None:
    """Return the first header of that name, or None."""
    wanted = name.encode()
    return next((value.decode("latin-1") for each, value in scope["headers"] if each == wanted), None)


def address_of(scope: Scope) -> str:
    """Return the client's address; a trusted proxy's forwarded address takes effect."""
    client = scope.get("client")
    return client[0] if client else ""


def key_of(scope: Scope) -> str | None:
    """Return the request's key, from ``x-api-key`` or from a bearer token, which Prometheus and other tools send."""
    key = header(scope, "x-api-key")
    if key is not None:
        return key
    authorization = header(scope, "authorization") or ""
    return authorization[len(BEARER) :].strip() if authorization.lower().startswith(BEARER) else None
