"""Headers of a request, before anything else is made of it."""

from starlette.types import Scope

BEARER = "bearer "


def header(scope: Scope, name: str) -> str | None:
    """A header of a request; the first of them."""
    wanted = name.encode()
    return next((value.decode("latin-1") for each, value in scope["headers"] if each == wanted), None)


def address_of(scope: Scope) -> str:
    """Where a request comes from; what a trusted proxy says of it counts."""
    client = scope.get("client")
    return client[0] if client else ""


def key_of(scope: Scope) -> str | None:
    """The key that a request brings: in ``x-api-key``, or as a bearer token, as Prometheus and others send it."""
    key = header(scope, "x-api-key")
    if key is not None:
        return key
    authorization = header(scope, "authorization") or ""
    return authorization[len(BEARER) :].strip() if authorization.lower().startswith(BEARER) else None
