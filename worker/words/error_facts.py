"""The facts that an exception carries: status, names, headers and body, wherever its library stores them.

Those libraries are not imported, and their exceptions are not trusted: each attribute may be missing, have any type, or
raise.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, cast

MAX_CHARACTERS = 65_536  # read from a body or message; a provider may answer with a whole page
MAX_DETAILS = 20  # read from a Google error

OURS = ("AgentFailed", "FailedStep")
"""Our own wrappers, whose text is the provider's message."""

WRAPPERS = frozenset(
    {
        *("ModelProviderError", "ModelRateLimitError", "ContextWindowExceededError", *OURS),
        "MidStreamFallbackError",  # LiteLLM's, around every error within a stream
    }
)
"""Classes that Agno, or we, wrap around a model's error; they have a default status if that error has none."""

LIBRARIES = frozenset(
    {
        *("aioboto3", "aiobotocore", "aiohttp", "anthropic", "azure", "boto3", "botocore", "cerebras", "cohere"),
        *("fireworks", "google", "groq", "grpc", "httpcore", "httpx", "httpx2", "huggingface_hub", "ibm_watsonx_ai"),
        *("litellm", "llama_api_client", "mistralai", "ollama", "openai", "portkey_ai", "requests", "text_generation"),
        *("together", "urllib3"),
    }
)
"""Clients of providers and their HTTP libraries; the names of their error classes can be taken literally."""


@dataclass(slots=True)
class Facts:
    """The facts that one exception carries.

    Args:
        status: The HTTP status, 400 to 599; None if there is none.
        names: The names that the provider and the library give the error, the provider's own first.
        headers: The headers of the response, with lower-case names.
        body: The error object of the response.
        details: Google's details: RetryInfo, QuotaFailure, ErrorInfo.
        message: The provider's message; empty if there is none.
    """

    status: int | None = None
    names: list[str] = field(default_factory=list[str])
    headers: dict[str, str] = field(default_factory=dict[str, str])
    body: dict[str, Any] = field(default_factory=dict[str, Any])
    details: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    message: str = ""
    is_remote: bool = False  # raised by a client of another service, or reporting such a service's answer

    @property
    def own_code(self) -> str | None:
        """The provider's own code; None if the error has no name."""
        return self.names[0] if self.names else None


def facts_of(error: BaseException) -> Facts:
    """Extract the facts of an exception.

    Args:
        error: An exception of any library.
    """
    response = attribute(error, "response")
    if response is None and _is_of_library(error):  # Ollama's client raises its error from None
        response = attribute(error.__context__, "response")
    body = _error_object(error, response)
    facts = Facts(body=body, headers=_headers(error, response, body), details=_details(error, body))
    facts.status = _status(error, response, body)
    facts.is_remote = _is_of_library(error) or bool(facts.status or body or facts.headers or _grpc_code(error))
    if facts.is_remote:
        facts.names = list(dict.fromkeys(each for each in _names(error, body, facts.details) if each))
    facts.message = _message(body) or _own_message(error) or _text_of(error)
    return facts


def attribute(thing: object, name: str) -> Any:
    """Return an attribute, or None if it is missing or cannot be read."""
    try:
        return getattr(thing, name, None)
    except Exception:  # noqa: BLE001 - a property of a third-party class may raise anything
        return None


def mapping(value: object) -> dict[str, Any]:
    """Return the value if it is a dict, else an empty dict."""
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def _status(error: BaseException, response: Any, body: dict[str, Any]) -> int | None:
    if _is_no_http(error) or _is_no_http(error.__cause__):
        return None
    places = (
        attribute(error, "status_code"),
        attribute(error, "http_status"),
        attribute(error, "status"),
        attribute(error, "code"),
        attribute(response, "status_code"),
        attribute(response, "status"),
        attribute(attribute(error, "raw_response"), "status_code"),
        mapping(mapping(response).get("ResponseMetadata")).get("HTTPStatusCode"),
        body.get("code"),
        body.get("status_code"),
        body.get("status"),
    )
    return next((status for each in places if (status := as_status(each)) is not None), None)


def _is_no_http(error: BaseException | None) -> bool:
    """Return whether an answer was not HTTP at all, which aiohttp reports with the status of a bad request."""
    return any(each.__name__ == "HttpProcessingError" for each in type(error).__mro__)


def as_status(value: object) -> int | None:
    """Return an HTTP error status, given as a number or as text; None for anything else."""
    if isinstance(value, str) and len(value) == 3 and value.isdecimal():  # noqa: PLR2004 - an HTTP status
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool):
        return None
    return int(value) if 400 <= value < 600 else None  # noqa: PLR2004 - the HTTP error statuses


def _names(error: BaseException, body: dict[str, Any], details: list[dict[str, Any]]) -> Iterator[str]:
    for name in ("code", "type", "error_type", "status", "reason", "Code", "__type"):
        yield _name(body.get(name))
    inner = mapping(body.get("innererror")) or mapping(body.get("inner_error"))
    yield _name(inner.get("code"))
    for each in details:
        yield _name(each.get("reason"))
    for name in ("code", "type", "status", "reason"):
        yield _name(attribute(error, name))
    yield _grpc_code(error)


def _is_of_library(error: BaseException) -> bool:
    return any((each.__module__ or "").partition(".")[0] in LIBRARIES for each in type(error).__mro__)


def is_wrapper(error: BaseException) -> bool:
    """Return whether an exception's cause is more informative than the exception itself."""
    return type(error).__name__ in WRAPPERS


def _name(value: object) -> str:
    """Return the value if it can be the name of an error: a short text that is not a number; else an empty text."""
    text = value if isinstance(value, str) else ""
    return text if 0 < len(text) <= 200 and not text.isdecimal() and not text.isspace() else ""  # noqa: PLR2004 - a name


def _grpc_code(error: BaseException) -> str:
    """Return the name of a gRPC error's code, which is a method there; empty for other errors."""
    code = attribute(error, "code")
    if not callable(code) or attribute(error, "details") is None:
        return ""
    try:
        return _name(attribute(code(), "name"))
    except Exception:  # noqa: BLE001 - not a gRPC error after all
        return ""


def _headers(error: BaseException, response: Any, body: dict[str, Any]) -> dict[str, str]:
    places = (
        attribute(response, "headers"),
        attribute(error, "headers"),
        mapping(mapping(response).get("ResponseMetadata")).get("HTTPHeaders"),
        mapping(body.get("metadata")).get("headers"),  # OpenRouter puts the provider's headers in the body
    )
    found: dict[str, str] = {}
    for each in places:
        for name, value in _pairs(each):
            found.setdefault(str(name).lower(), str(value)[:500])
    return found


def _pairs(headers: object) -> list[tuple[Any, Any]]:
    if not isinstance(headers, Mapping) and not hasattr(headers, "items"):
        return []
    try:
        return list(cast("Mapping[Any, Any]", headers).items())[:200]
    except Exception:  # noqa: BLE001 - not usable as headers
        return []


def _error_object(error: BaseException, response: Any) -> dict[str, Any]:
    """Return the object that describes the error, from the body of the response or an event of its stream."""
    places = (
        lambda: attribute(error, "body"),
        lambda: mapping(response),  # botocore's response is a dict
        lambda: attribute(error, "details"),  # google-genai
        lambda: attribute(error, "response_json"),
        lambda: attribute(response, "text"),
        lambda: _json_within(_text_of(error)) if is_wrapper(error) else None,
    )
    for each in places:
        found = _unwrapped(each())
        if found:
            return found
    return {}


def _text_of(error: BaseException) -> str:
    try:
        return str(error)[:MAX_CHARACTERS]
    except Exception:  # noqa: BLE001 - a third-party __str__ may raise anything
        return ""


def _json_within(text: str) -> str | None:
    start = text.find("{")
    return text[start:] if start >= 0 else None


def _unwrapped(value: object) -> dict[str, Any]:
    value = _loaded(value)
    for _ in range(4):
        if isinstance(value, list) and value:
            value = cast("list[Any]", value)[0]
        if not isinstance(value, dict):
            return {}
        fields = cast("dict[str, Any]", value)
        inner = next((fields[name] for name in ("error", "Error") if fields.get(name)), None)
        if isinstance(inner, str):
            return {**fields, "message": fields.get("message") or inner}
        if inner is None and isinstance(fields.get("response"), dict):  # an event of OpenAI's Responses API
            inner = cast("dict[str, Any]", fields["response"]).get("error")
        if not isinstance(inner, dict):
            return fields
        value = cast("dict[str, Any]", inner)
    return cast("dict[str, Any]", value)


def _loaded(value: object) -> object:
    if isinstance(value, bytes):
        value = value[:MAX_CHARACTERS].decode(errors="replace")
    if not isinstance(value, str):
        return value
    text = value.strip()
    if not text.startswith(("{", "[")) or len(text) > MAX_CHARACTERS:
        return None
    try:
        return json.JSONDecoder().raw_decode(text)[0]
    except (ValueError, RecursionError):
        return None


def _details(error: BaseException, body: dict[str, Any]) -> list[dict[str, Any]]:
    for each in (body.get("details"), attribute(error, "details")):
        if isinstance(each, list):
            return [mapping(item) for item in cast("list[Any]", each)[:MAX_DETAILS] if isinstance(item, dict)]
    return []


def _message(body: dict[str, Any]) -> str:
    """Return the provider's message from an error object."""
    raw = mapping(body.get("metadata")).get("raw")  # OpenRouter: the message of the provider behind it
    for each in (body.get("message"), body.get("Message"), body.get("detail"), body.get("title"), raw):
        if isinstance(each, str) and each.strip():
            return each.strip()
        if isinstance(each, list) and each:
            first = mapping(cast("list[Any]", each)[0])
            said = first.get("msg") or first.get("message")
            if isinstance(said, str) and said:
                return said
        if isinstance(each, dict) and (said := _message(cast("dict[str, Any]", each))):
            return said
    return ""


def _own_message(error: BaseException) -> str:
    if _grpc_code(error):
        with suppress(Exception):
            return str(attribute(error, "details")() or "")
    for name in ("description", "message", "error", "body"):  # Cohere's text is its headers
        value = attribute(error, name)
        if isinstance(value, str) and value.strip():
            return value.strip()
    return ""
