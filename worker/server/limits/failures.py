"""Error responses: one JSON format for all errors."""

import math
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse

from worker.server.limits.request_bounds import allowed
from worker.words.errors import ConfigurationError, ModuleException

RETRY_SECONDS = 5  # the default for temporary errors that set no ``retry_after``


class FieldError(BaseModel):
    """A validation error of one field."""

    field: str
    message: str


class ErrorBody(BaseModel):
    """An error response."""

    status_code: int
    description: str
    kind: str = Field(description="The name of the error, such as TaskNotFound or LeaseLost.")
    field: str | None = None
    errors: list[FieldError] | None = None


_MEANINGS = {
    401: "The API key is missing or not valid.",
    404: "Not found in this organization.",
    409: "The current state does not allow the operation, or the attempt is stale.",
    413: "The request body is too large.",
    416: "The requested range is outside the file.",
    422: "A value is not valid; `field` names it.",
    424: "The tool was called and failed, or is no longer available; do not repeat the call.",
    429: "The agent's queue is full; try again after the Retry-After seconds.",
    503: "The database is unavailable; try again after the Retry-After seconds.",
    504: "The tool exceeded its time limit.",
}


def documented(*codes: int) -> dict[int | str, dict[str, Any]]:
    """Return a route's possible errors for the OpenAPI document; 401, 413, 422 and 503 are added to every route."""
    return {code: {"model": ErrorBody, "description": _MEANINGS[code]} for code in sorted({401, 413, 422, 503, *codes})}


def install(app: FastAPI) -> None:
    """Register handlers that return every error in the common format."""
    app.add_exception_handler(ModuleException, _module)
    app.add_exception_handler(RequestValidationError, _validation)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(Exception, _defect)


def error_json(error: ModuleException) -> dict[str, Any]:
    """Return an error as a JSON object."""
    body: dict[str, Any] = {
        "status_code": status_of(error),
        "description": error.description.encode("utf-8", "replace").decode(),
        "kind": type(error).__name__,
    }
    field = getattr(error, "field", None)
    if field:
        body |= {"field": field, "errors": [{"field": field, "message": body["description"]}]}
    retry_after = getattr(error, "retry_after", None)
    if retry_after is not None:
        body["retry_after"] = retry_after
    return body


def status_of(error: ModuleException) -> int:
    """Return the HTTP status of an error; 503 for configuration errors, which are not the client's mistake."""
    return 503 if isinstance(error, ConfigurationError) else error.status_code


def response(error: ModuleException) -> JSONResponse:
    """Return an error as an HTTP response."""
    body = error_json(error)
    headers: dict[str, str] = {}
    if body["status_code"] in (429, 503):
        headers["Retry-After"] = str(math.ceil(body.get("retry_after") or RETRY_SECONDS))
    if body["status_code"] == 401:  # noqa: PLR2004 - HTTP: unauthorized
        headers["WWW-Authenticate"] = "ApiKey"
    return JSONResponse(body, body["status_code"], headers)


async def _module(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, ModuleException)  # noqa: S101 - registered only for this class
    return response(error)


async def _validation(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - registered only for this class
    found = [{"field": _place(each["loc"]), "message": _readable(_words(each))} for each in error.errors()]
    first = found[0] if found else {"field": "body", "message": "cannot be parsed"}
    description = f"{first['field']}: {first['message']}"
    body = {"status_code": 422, "description": description, "kind": "ValidationError", "field": first["field"]}
    return JSONResponse({**body, "errors": found}, 422)


def _words(problem: Any) -> str:
    return "this request has no such field" if problem["type"] == "extra_forbidden" else str(problem["msg"])


def _place(where: Any) -> str:
    """Return a field's name without the leading part of the request (body, query, …) and pydantic's own terms."""
    parts = [str(part) for part in where if "[" not in str(part)]  # as in ``function-after[…]``, one type of a union
    named = parts[1:] if len(parts) > 1 and parts[0] in ("body", "query", "path", "header") else parts
    return _readable(".".join(named)) or "body"


def _readable(text: str) -> str:
    return text.encode("utf-8", "replace").decode()[:500]


async def _http(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)  # noqa: S101 - registered only for this class
    if error.status_code == 405:  # noqa: PLR2004 - HTTP: the framework lists the methods of only one matching route
        error.headers = {"allow": ", ".join(allowed(request.app.routes, dict(request.scope)))}
    if error.status_code == 400:  # noqa: PLR2004 - the framework's status for a body that it cannot parse
        error = HTTPException(422, error.detail)
    kinds = {422: "ValidationError", 404: "NotFound", 413: "TooLarge"}
    body = {
        "status_code": error.status_code,
        "description": str(error.detail),
        "kind": kinds.get(error.status_code, "ModuleException"),
    }
    return JSONResponse(body, error.status_code, headers=dict(error.headers or {}))


async def _defect(_: Request, error: Exception) -> JSONResponse:
    del error  # it is logged with its traceback; the response does not reveal it
    body = {"status_code": 500, "description": "Internal server error.", "kind": "ModuleException"}
    return JSONResponse(body, 500)
