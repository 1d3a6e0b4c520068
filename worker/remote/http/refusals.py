"""Conversion of error responses to our exceptions."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from worker.words.errors import (
    AgentNotFound,
    Conflict,
    FileNotStored,
    LeaseLost,
    ModuleException,
    NotFound,
    TaskNotFound,
    TooLarge,
    Unavailable,
    ValidationError,
)
from worker.words.knowledge import KnowledgeBaseNotFound

BUSY = frozenset({408, 425, 429, 502, 503, 504})
"""Statuses of temporary errors. 500 is not one: it is a server error that a retry may not avoid."""

AGAIN = BUSY | {500}
"""Statuses after which a request is retried."""

KEY_REFUSED = frozenset({401, 403})
UNKNOWN_ROUTE = frozenset({404, 405})
TEXT_CHARACTERS = 500  # shown of a body that is not our JSON, such as a proxy's HTML page


class KeyRefused(ModuleException):
    """The platform rejected the key; check XPANDER_API_KEY."""

    status = 401

    def __init__(self, platform: str, status_code: int = 401, said: str = "") -> None:
        why = f" {said}" if said else ""
        super().__init__(status_code, f"{platform} rejected the API key ({status_code}); check XPANDER_API_KEY.{why}")


@dataclass(frozen=True, slots=True)
class Subject:
    """The subject of a request, named in errors such as not found or lease lost."""

    task_id: str | None = None
    attempt: int | None = None
    agent_id: str | None = None
    reference: str | None = None
    knowledge_base_id: str | None = None


NOTHING = Subject()


def refusal(status: int, body: Mapping[str, Any], subject: Subject, platform: str) -> ModuleException:
    """Return the exception for an error response.

    Args:
        status: The HTTP status of the response, or of one verb in it.
        body: The error's fields: ``description``, ``kind``, ``field``, ``retry_after``.
        subject: The subject of the request.
        platform: The platform's name for messages.
    """
    text = str(body.get("description") or f"{platform} returned status {status}.")
    match status:
        case 401:
            return KeyRefused(platform, status)
        case 403:
            return KeyRefused(platform, status, text if body.get("kind") == "Forbidden" else "")
        case 404:
            return _not_found(text, body.get("kind"), subject)
        case 409:
            return _conflict(text, body.get("kind"), subject)
        case 413:
            return TooLarge(text)
        case 422:
            return ValidationError(text, field=_field(body))
        case _ if status in BUSY:
            error = Unavailable(text, retry_after=_seconds(body.get("retry_after")))
            error.status_code = status
            return error
        case _:
            return ModuleException(status, text)


def body_of(text: str) -> dict[str, Any]:
    """Parse the body of an error response: our own format, FastAPI's, or any text."""
    try:
        body = json.loads(text)
    except ValueError:
        body = None
    if not isinstance(body, dict):
        return {"description": text.strip()[:TEXT_CHARACTERS]} if text.strip() else {}
    detail = body.get("detail")
    if "description" in body or detail is None:
        return body
    if isinstance(detail, list) and detail and isinstance(detail[0], dict):
        location = [str(part) for part in detail[0].get("loc", ()) if part != "body"]
        return {"description": f"{'.'.join(location)}: {detail[0].get('msg')}", "field": ".".join(location) or None}
    return {"description": str(detail)[:TEXT_CHARACTERS]}


def _not_found(text: str, kind: Any, subject: Subject) -> ModuleException:
    if kind == "NotFound":
        return NotFound(text)
    if subject.knowledge_base_id is not None:
        return KnowledgeBaseNotFound(subject.knowledge_base_id)
    if subject.task_id is not None:
        return TaskNotFound(subject.task_id)
    if subject.agent_id is not None:
        return AgentNotFound(subject.agent_id)
    return NotFound(text) if subject.reference is None else FileNotStored(subject.reference)


def _conflict(text: str, kind: Any, subject: Subject) -> ModuleException:
    if subject.task_id is not None and subject.attempt is not None and kind in ("LeaseLost", None):
        return LeaseLost(subject.task_id, subject.attempt)
    return Conflict(text)


def _field(body: Mapping[str, Any]) -> str | None:
    field = body.get("field")
    return field if isinstance(field, str) else None


def _seconds(value: Any) -> float | None:
    try:
        return max(0.0, float(value))
    except (TypeError, ValueError):
        return None
