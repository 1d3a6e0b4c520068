"""The first processing of every request: its path is normalized and the size of its body is limited."""

import re
from collections.abc import Sequence
from typing import Any
from urllib.parse import parse_qsl

from starlette.exceptions import HTTPException
from starlette.routing import BaseRoute, Match
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from worker.words.ids import is_id
from worker.words.limits import FILE_BYTES

BODY_BYTES = 10 * 1024 * 1024
FORM_BYTES = 64 * 1024 * 1024  # the form of a new task includes all its files
SIGN_IN_BYTES = 64 * 1024  # small, since this body is read before a key is known
ANSWER_BYTES = 2 * 1024 * 1024  # needs no key either, but its link is validated first; a value may have 1 MiB
UPLOADS = {
    "/files": FILE_BYTES,
    "/ui/new": FORM_BYTES,
    "/ui/answer": ANSWER_BYTES,
    "/ui/sign-in": SIGN_IN_BYTES,
    "/ui/sign-out": SIGN_IN_BYTES,
}

ROOTS = frozenset(
    {
        "activity",
        "agent-execution",
        "agents",
        "agents-metrics",
        "audit",
        "conversations",
        "deliveries",
        "docs",
        "events",
        "files",
        "health",
        "keys",
        "knowledge_bases",
        "metadata",
        "metrics",
        "providers",
        "openapi.json",
        "ready",
        "requests",
        "ui",
        "work",
        "workers",
    }
)
"""First segments of our own routes; a path that starts with any other segment names an organization."""

_DOCUMENTS = re.compile(r"/ui/knowledge/[^/]+")  # the form that adds documents to a knowledge base

METHODS = ("DELETE", "GET", "PATCH", "POST", "PUT")

CONTROLLER = "agent-controller"
"""A first segment that some base URLs contain, followed by the organization."""


class PathMiddleware:
    """ASGI middleware that serves every route bare and under ``/{organization_id}``, with and without a final slash.

    Redirects are not used, because the public client follows them in only some of its calls.

    Args:
        app: The next ASGI application.
        routes: All routes of the application.
    """

    def __init__(self, app: ASGIApp, routes: Sequence[BaseRoute]) -> None:
        self._app = app
        self._routes = routes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Normalize the path of a request and pass the request on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        organization_id, path = self._split(scope)
        most = max_body_bytes(path)
        announced = content_length(scope)
        refusal = too_large(most) if path != "/files" else file_too_large(scope, announced)
        inner = {**scope, "path": path, "raw_path": path.encode("utf-8", "replace"), "organization_id": organization_id}
        await self._app(inner, _Bounded(receive, most, announced, refusal), send)

    def _split(self, scope: Scope) -> tuple[str | None, str]:
        """Split a path into the organization that it names, if any, and the route.

        A path that matches a route as it is names no organization. An organization may still be named like the first
        segment of a route, except where that would be ambiguous (``RESERVED_ORGANIZATIONS``).
        """
        parts = scope["path"].rstrip("/").split("/")[1:]
        if parts and parts[0] == CONTROLLER:
            parts = parts[1:]
        path = "/" + "/".join(parts)
        if len(parts) < 2 or not is_id(parts[0]):  # noqa: PLR2004 - an organization and at least one more segment
            return None, path
        within = "/" + "/".join(parts[1:])
        if parts[0] in ROOTS and (
            parts[1] not in ROOTS or self._matches_route(scope, path) or not self._matches_route(scope, within)
        ):
            return None, path
        return parts[0], within

    def _matches_route(self, scope: Scope, path: str) -> bool:
        return matches_route(self._routes, {**scope, "path": path})


def matches_route(routes: Sequence[BaseRoute], scope: Scope) -> bool:
    """Return whether a route matches the path and method of a scope."""
    asked = {**scope, "root_path": ""}
    return any(route.matches(asked)[0] is Match.FULL for route in routes)


def allowed(routes: Sequence[BaseRoute], scope: Scope) -> list[str]:
    """Return the methods that the path of a scope supports; several routes may share a path."""
    found = [method for method in METHODS if matches_route(routes, {**scope, "method": method})]
    return [*found, "HEAD"] if "GET" in found else found


def max_body_bytes(path: str) -> int:
    """Return the largest allowed body size of a path, in bytes."""
    return UPLOADS.get(path, FORM_BYTES if _DOCUMENTS.fullmatch(path) else BODY_BYTES)


def content_length(scope: Scope) -> int:
    """Return the body size that the ``Content-Length`` header declares, or 0 without that header."""
    for name, value in scope["headers"]:
        if name == b"content-length" and value.isdigit():
            return int(value[:20])
    return 0


class _Bounded:
    """A ``receive`` callable that raises 413 once the body is too large."""

    def __init__(self, receive: Receive, most: int, announced: int, refusal: HTTPException) -> None:
        self._refusal = refusal
        self._receive = receive
        self._most = most
        self._size = 0
        self._announced = announced

    async def __call__(self) -> Message:
        if self._announced > self._most:
            raise self._refusal
        message: dict[str, Any] = dict(await self._receive())
        self._size += len(message.get("body", b""))
        if self._size > self._most:
            raise self._refusal
        return message


def file_too_large(scope: Scope, announced: int) -> HTTPException:
    """Return the error for a file over the size limit."""
    name = dict(parse_qsl(scope.get("query_string", b"").decode("ascii", "replace"))).get("name", "the file")
    has = f"{name[:255]} has {announced} bytes" if announced else f"{name[:255]} is too large"
    return HTTPException(413, f"{has}; the maximum is {FILE_BYTES} bytes")


def too_large(most: int) -> HTTPException:
    """Return the error for a body over the size limit."""
    return HTTPException(413, f"The request body exceeds {most:,} bytes.")
