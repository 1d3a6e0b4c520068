"""What an error is, for every provider: by its status wherever it sits, by its names, by its cause, by its message."""

import asyncio
import json
import socket
import ssl
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import anthropic
import httpx
import openai
import pytest
from agno.exceptions import ModelAuthenticationError, ModelProviderError, ModelRateLimitError
from ollama._client import CONNECTION_ERROR_MESSAGE

from worker.agents.answers.errors import ProviderFailed
from worker.agents.errors import AgentFailed, ResultInvalid
from worker.words.classification import causes, classify, message_of
from worker.words.error_codes import ErrorCode
from worker.words.errors import ConfigurationError, TimeLimit, Unavailable, Unsupported

NO_TRUST = "[SSL: CERTIFICATE_VERIFY_FAILED] self-signed certificate"
REQUEST: Any = httpx.Request("POST", "https://provider.test/v1/chat")


def no_http() -> Exception:
    raised = made("ClientResponseError", "aiohttp.client_exceptions", status=400, headers={})
    processing = type(made("HttpProcessingError", "aiohttp.http_exceptions"))
    raised.__cause__ = type("BadStatusLine", (processing,), {"code": 400})("Bad status line")
    return raised


def made(_name: str, _module: str = "elsewhere", _text: str = "it failed", **attributes: Any) -> Exception:
    """An exception of a library that is not installed here, with the attributes that its own has."""
    error: Exception = type(_name, (Exception,), {"__module__": _module})(_text)
    for name, value in attributes.items():
        setattr(error, name, value)
    return error


def response(status: int, body: Any = None, **headers: str) -> Any:
    content = body if isinstance(body, str) else json.dumps(body or {})
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx.Response(status, content=content, headers=named, request=REQUEST)


def openai_error(status: int, body: Any, **headers: str) -> Exception:
    error = body.get("error", body) if isinstance(body, dict) else body
    return openai.APIStatusError(
        f"Error code: {status} - {body}", response=response(status, body, **headers), body=error
    )


def of_ollama(cause: Exception) -> Exception:
    """What Ollama's client raises in place of a failed connection, whose cause it hides."""
    error = ConnectionError(CONNECTION_ERROR_MESSAGE)
    error.__context__, error.__suppress_context__ = cause, True
    return error


def wrapped(error: BaseException, kind: type[ModelProviderError] = ModelProviderError, **more: Any) -> Exception:
    outer = kind(str(error), **more)
    outer.__cause__ = error
    return outer


def within_litellm(error: BaseException) -> Exception:
    """What LiteLLM raises for an error within a stream."""
    outer = made("MidStreamFallbackError", "litellm.exceptions", "litellm.MidStreamFallbackError: x", status_code=500)
    outer.__cause__ = error
    return outer


def grpc_error(name: str) -> Exception:
    code = type("StatusCode", (), {"name": name})()
    return made("AioRpcError", "grpc.aio", code=lambda: code, details=lambda: "try later")


def bedrock(code: str, status: int | None = None, message: str = "Slow down", **headers: str) -> Exception:
    answer: dict[str, Any] = {"Error": {"Code": code, "Message": message}}
    if status:
        answer["ResponseMetadata"] = {"HTTPStatusCode": status, "HTTPHeaders": headers}
    return made("ClientError", "botocore.exceptions", response=answer, operation_name="Converse")


def gemini(status: int, name: str, message: str = "no", details: list[Any] | None = None) -> Exception:
    body = {"error": {"code": status, "message": message, "status": name, "details": details or []}}
    return made("ClientError", "google.genai.errors", code=status, status=name, message=message, details=body)


TRANSIENT: dict[str, tuple[BaseException, str]] = {
    "openai 429": (openai_error(429, {"error": {"code": "rate_limit_exceeded", "message": "slow"}}), "rate_limited"),
    "openai 503 slow_down": (openai_error(503, {"error": {"code": "slow_down"}}), "overloaded"),
    "openai in a stream": (
        openai.APIError("The server had an error", REQUEST, body={"type": "server_error"}),
        "unavailable",
    ),
    "openrouter 429 in a stream": (
        openai.APIError("limited", REQUEST, body={"message": "x", "code": 429}),
        "rate_limited",
    ),
    "openrouter 502 in a stream": (openai.APIError("lost", REQUEST, body={"message": "x", "code": 502}), "unavailable"),
    "openrouter code as text": (openai.APIError("lost", REQUEST, body={"code": "503"}), "unavailable"),
    "anthropic 529": (anthropic.APIStatusError("x", response=response(529), body=None), "overloaded"),
    "anthropic in a stream": (
        anthropic.APIStatusError(
            "Overloaded", response=response(200), body={"type": "error", "error": {"type": "overloaded_error"}}
        ),
        "overloaded",
    ),
    "anthropic api_error in a stream": (
        anthropic.APIStatusError("x", response=response(200), body={"type": "error", "error": {"type": "api_error"}}),
        "unavailable",
    ),
    "gemini 429": (gemini(429, "RESOURCE_EXHAUSTED"), "rate_limited"),
    "gemini 503": (gemini(503, "UNAVAILABLE", "The model is overloaded."), "overloaded"),
    "gemini 500": (gemini(500, "INTERNAL"), "unavailable"),
    "gemini wrapped": (wrapped(gemini(503, "UNAVAILABLE"), status_code=502), "unavailable"),
    "gemini per minute": (
        gemini(
            429,
            "RESOURCE_EXHAUSTED",
            "You exceeded your current quota, please check your plan and billing details.",
            [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "37s"}],
        ),
        "rate_limited",
    ),
    "bedrock throttled": (bedrock("ThrottlingException", 429), "rate_limited"),
    "bedrock throttled in a stream": (bedrock("throttlingException"), "rate_limited"),
    "bedrock wrapped": (wrapped(bedrock("ServiceUnavailableException")), "unavailable"),
    "bedrock stream": (bedrock("modelStreamErrorException"), "unavailable"),
    "bedrock model not ready": (bedrock("ModelNotReadyException", 429), "overloaded"),
    "bedrock timeout": (bedrock("ModelTimeoutException", 408), "timeout"),
    "bedrock status only": (bedrock("Strange", 503), "unavailable"),
    "mistral": (
        made(
            "SDKError",
            "mistralai.models",
            status_code=429,
            body='{"message": "Rate limit", "type": "x", "code": "1300"}',
        ),
        "rate_limited",
    ),
    "mistral capacity": (
        made("SDKError", "mistralai.models", status_code=429, body='{"type": "service_tier_capacity_exceeded"}'),
        "overloaded",
    ),
    "mistral wrapped": (wrapped(made("SDKError", "mistralai.models", status_code=503, body="")), "unavailable"),
    "groq wrapped": (
        wrapped(
            made("APIError", "groq", body={"error": {"message": "Over capacity", "code": 498, "type": "over_capacity"}})
        ),
        "overloaded",
    ),
    "cohere": (
        made("TooManyRequestsError", "cohere.errors", status_code=429, body={"message": "trial"}),
        "rate_limited",
    ),
    "ollama": (made("ResponseError", "ollama._types", status_code=503, error="server busy"), "unavailable"),
    "hugging face": (made("OverloadedError", "huggingface_hub.errors"), "overloaded"),
    "hugging face 503": (
        made(
            "HfHubHTTPError",
            "huggingface_hub.errors",
            response=response(503, {"error": "loading", "estimated_time": 20.0}),
        ),
        "unavailable",
    ),
    "hugging face 424": (
        made("HTTPError", "requests", response=response(424, {"error_type": "generation"})),
        "unavailable",
    ),
    "litellm": (made("ServiceUnavailableError", "litellm.exceptions", status_code=503), "unavailable"),
    "litellm in a stream": (
        within_litellm(openai.APIError("slow", REQUEST, body={"code": "rate_limit_exceeded"})),
        "rate_limited",
    ),
    "litellm's own in a stream": (within_litellm(ValueError("no end")), "unavailable"),
    "aiohttp status": (made("ClientResponseError", "aiohttp.client_exceptions", status=503, headers={}), "unavailable"),
    "aiohttp dropped": (made("ServerDisconnectedError", "aiohttp.client_exceptions"), "unavailable"),
    "aiohttp payload": (made("ClientPayloadError", "aiohttp.client_exceptions"), "unavailable"),
    "aiohttp met no HTTP": (no_http(), "unavailable"),
    "botocore endpoint": (made("EndpointConnectionError", "botocore.exceptions"), "unavailable"),
    "botocore read": (made("ReadTimeoutError", "botocore.exceptions"), "timeout"),
    "grpc unavailable": (grpc_error("UNAVAILABLE"), "unavailable"),
    "grpc deadline": (grpc_error("DEADLINE_EXCEEDED"), "timeout"),
    "httpx status": (httpx.HTTPStatusError("x", request=REQUEST, response=response(502)), "unavailable"),
    "httpx connection": (httpx.ConnectError("refused"), "unavailable"),
    "httpx read": (httpx.ReadTimeout("slow"), "timeout"),
    "openai connection": (openai.APIConnectionError(request=REQUEST), "unavailable"),
    "openai timeout": (openai.APITimeoutError(REQUEST), "timeout"),
    "reset": (ConnectionResetError(), "unavailable"),
    "resolver": (socket.gaierror(-3, "Temporary failure in name resolution"), "unavailable"),
    "tls cut": (ssl.SSLEOFError(), "unavailable"),
    "tls garbled": (ssl.SSLError(1, "[SSL: WRONG_VERSION_NUMBER] wrong version number"), "unavailable"),
    "httpx cannot decode": (httpx.DecodingError("Error -3 while decompressing data"), "invalid_response"),
    "time": (TimeoutError(), "timeout"),
    "mistral met a page": (made("SDKError", "mistralai.models", status_code=200, body="<html>"), "invalid_response"),
    "bedrock met a page": (made("ParserError", "botocore.eventstream"), "invalid_response"),
    "within a stream, without a code": (ProviderFailed("it failed", {"message": "it failed"}), "unavailable"),
    "answer that is no JSON": (wrapped(json.JSONDecodeError("x", "<html>", 0)), "invalid_response"),
    "Agno's own, from a text": (ModelRateLimitError("slow"), "rate_limited"),
    "ours": (Unavailable(), "unavailable"),
    "agent failed": (AgentFailed("x", openai.APIConnectionError(request=REQUEST)), "unavailable"),
    "a group": (
        ExceptionGroup("x", [httpx.ConnectError("a"), ExceptionGroup("y", [bedrock("ThrottlingException")])]),
        "unavailable",
    ),
}

FINAL: dict[str, tuple[BaseException, str]] = {
    "openai 400": (openai_error(400, {"error": {"type": "invalid_request_error"}}), "invalid_request"),
    "openai 404": (openai_error(404, {"error": {"code": "model_not_found"}}), "invalid_request"),
    "openai 401": (openai_error(401, {"error": {"code": "invalid_api_key"}}), "auth"),
    "openai quota": (openai_error(429, {"error": {"code": "insufficient_quota", "message": "pay"}}), "quota"),
    "openai context": (openai_error(400, {"error": {"code": "context_length_exceeded"}}), "context_length"),
    "azure filter": (
        openai_error(
            400, {"error": {"code": "content_filter", "innererror": {"code": "ResponsibleAIPolicyViolation"}}}
        ),
        "content_filter",
    ),
    "openai invalid prompt in a stream": (
        openai.APIError("x", REQUEST, body={"code": "invalid_prompt"}),
        "invalid_request",
    ),
    "litellm invalid prompt in a stream": (
        within_litellm(openai.APIError("x", REQUEST, body={"code": "invalid_prompt"})),
        "invalid_request",
    ),
    "openrouter 402": (openai_error(402, {"error": {"message": "Insufficient credits", "code": 402}}), "quota"),
    "anthropic credit": (
        anthropic.APIStatusError(
            "x",
            response=response(400),
            body={"error": {"type": "invalid_request_error", "message": "Your credit balance is too low"}},
        ),
        "quota",
    ),
    "anthropic too long": (
        anthropic.APIStatusError("x", response=response(400), body={"error": {"message": "prompt is too long: 3 > 2"}}),
        "context_length",
    ),
    "anthropic key": (
        anthropic.APIStatusError("x", response=response(401), body={"error": {"type": "authentication_error"}}),
        "auth",
    ),
    "gemini key": (
        gemini(400, "INVALID_ARGUMENT", "API key not valid.", [{"reason": "API_KEY_INVALID"}]),
        "auth",
    ),
    "gemini per day": (
        gemini(
            429,
            "RESOURCE_EXHAUSTED",
            "You exceeded your current quota",
            [{"violations": [{"quotaId": "GenerateRequestsPerDayPerProject"}]}, {"retryDelay": "20s"}],
        ),
        "quota",
    ),
    "bedrock denied": (bedrock("AccessDeniedException", 403), "auth"),
    "bedrock expired": (bedrock("ExpiredTokenException", 403), "auth"),
    "bedrock invalid": (bedrock("ValidationException", 400, "bad"), "invalid_request"),
    "bedrock too long": (
        bedrock("ValidationException", 400, "Input is too long for requested model."),
        "context_length",
    ),
    "bedrock no credentials": (made("NoCredentialsError", "botocore.exceptions"), "auth"),
    "mistral": (made("SDKError", "mistralai.models", status_code=422, body="{}"), "invalid_request"),
    "grpc": (grpc_error("INVALID_ARGUMENT"), "invalid_request"),
    "grpc key": (grpc_error("UNAUTHENTICATED"), "auth"),
    "agno key": (ModelAuthenticationError("OPENAI_API_KEY not set"), "auth"),
    "a page of what stands before it": (
        openai.PermissionDeniedError("x", response=response(403, "<html>", content_type="text/html"), body=None),
        "invalid_request",
    ),
    "wrong address": (wrapped_connection := openai.APIConnectionError(request=REQUEST), "invalid_request"),
    "untrusted certificate": (untrusted := openai.APIConnectionError(request=REQUEST), "invalid_request"),
    "untrusted certificate, of Ollama's client": (hidden := of_ollama(httpx.ConnectError(NO_TRUST)), "invalid_request"),
    "501": (Unsupported("resume", "the platform"), "invalid_request"),
    "a defect within a wrapper": (wrapped(KeyError("choices")), "handler"),
    "a defect": (ValueError("x"), "handler"),
    "a file's permissions": (PermissionError("no"), "handler"),
    "a user's own code": (made("Odd", code="unknown", type="server_error"), "handler"),
    "JSON in a text is no status": (ValueError('bad payload {"code": 503}'), "handler"),
    "a form": (ResultInvalid("no", "x"), "result_invalid"),
    "limit": (TimeLimit(3), "limit"),
    "configuration": (ConfigurationError("x"), "handler"),
    "agent failed": (AgentFailed("The run ended without a result."), "handler"),
    "a group with a defect": (ExceptionGroup("x", [httpx.ConnectError("a"), ValueError("b")]), "handler"),
    "cancelled": (asyncio.CancelledError(), "handler"),
}
wrapped_connection.__cause__ = httpx.UnsupportedProtocol("no http")
untrusted.__cause__ = httpx.ConnectError(NO_TRUST)


@pytest.mark.parametrize(("error", "code"), TRANSIENT.values(), ids=TRANSIENT)
def test_transient_errors_are_retried(error: BaseException, code: str) -> None:
    known = classify(error)
    assert (known.code, known.is_retryable) == (code, True)


@pytest.mark.parametrize(("error", "code"), FINAL.values(), ids=FINAL)
def test_others_are_final(error: BaseException, code: str) -> None:
    known = classify(error)
    assert (known.code, known.is_retryable) == (code, False)


@pytest.mark.parametrize("name", [*TRANSIENT, *FINAL])
def test_an_error_is_the_same_behind_whatever_is_raised_from_it(name: str) -> None:
    error, code = (TRANSIENT | FINAL)[name]
    if isinstance(error, Exception):
        assert classify(AgentFailed("the run failed", wrapped(error))).code in {code, "invalid_response"}
        again = RuntimeError("the agent failed")
        again.__cause__ = error
        assert classify(again).code == code


@pytest.mark.parametrize(
    ("name", "is_refused"),
    {
        "openai 401": True,
        "anthropic key": True,
        "gemini key": True,
        "bedrock expired": True,
        "bedrock denied": False,
        "a page of what stands before it": False,
        "openai 400": False,
    }.items(),
)
def test_a_key_is_refused_for_every_request_in_each_providers_words(name: str, is_refused: bool) -> None:
    assert classify(FINAL[name][0]).is_key_refused is is_refused


def test_an_error_raised_from_none_has_the_hint_of_the_response_below() -> None:
    error = made("ResponseError", "ollama._types", status_code=429, error="slow")
    error.__context__ = httpx.HTTPStatusError("x", request=REQUEST, response=response(429, retry_after="9"))
    error.__suppress_context__ = True
    assert classify(error).wait == pytest.approx(9)


def test_an_error_of_a_call_is_not_that_of_the_call_before_it() -> None:
    """Agno asks a fallback model, or has a request folded, while it handles the error of the model."""
    first, second = ModelProviderError("too long", 400), ModelProviderError("busy", 503)
    second.__context__ = first
    assert (classify(second).code, classify(second).is_retryable) == (ErrorCode.Unavailable, True)
    first.__context__, second.__context__ = second, None
    assert (classify(first).code, classify(first).is_retryable) == (ErrorCode.InvalidRequest, False)


AHEAD = 3600  # seconds


def hour_ahead() -> datetime:
    """An hour from when the test runs, which may be long after the tests were collected."""
    return datetime.now(UTC) + timedelta(seconds=AHEAD)


WAITS: dict[str, tuple[Exception, float]] = {
    "retry-after-ms": (openai_error(429, {}, retry_after_ms="2500", retry_after="3"), 2.5),
    "retry-after": (openai_error(429, {}, retry_after="7"), 7),
    "over five minutes": (openai_error(429, {}, retry_after="1800"), 1800),
    "text in seconds": (openai_error(429, {"error": {"message": "Limit 1. Please try again in 7.5s."}}), 7.5),
    "text in ms": (openai_error(429, {"error": {"message": "Please try again in 120ms."}}), 0.12),
    "text in minutes": (openai_error(429, {"error": {"message": "Please try again in 7m12.5s. Need more?"}}), 432.5),
    "text in words": (openai_error(429, {"error": {"message": "retry after 20 seconds"}}), 20),
    "gemini's text": (gemini(429, "RESOURCE_EXHAUSTED", "Please retry in 37.5s."), 37.5),
    "google's RetryInfo": (gemini(429, "RESOURCE_EXHAUSTED", "no", [{"retryDelay": "41s"}]), 41),
    "openai's reset": (
        openai_error(
            429,
            {},
            x_ratelimit_remaining_requests="5",
            x_ratelimit_reset_requests="1h0m0s",
            x_ratelimit_remaining_tokens="0",
            x_ratelimit_reset_tokens="6m0s",
        ),
        360,
    ),
    "the IETF's": (openai_error(429, {}, ratelimit_remaining="0", ratelimit_reset="30"), 30),
    "hugging face": (openai_error(503, {"error": "loading", "estimated_time": 20.0}), 20),
    "bedrock": (bedrock("ThrottlingException", 429, **{"retry-after": "4"}), 4),
    "aiohttp": (made("ClientResponseError", "aiohttp.x", status=429, headers={"Retry-After": "9"}), 9),
    "behind a wrapper": (wrapped(openai_error(429, {}, retry_after="8")), 8),
}


@pytest.mark.parametrize(("error", "seconds"), WAITS.values(), ids=WAITS)
def test_the_providers_own_hints_are_honoured(error: Exception, seconds: float) -> None:
    assert classify(error).wait == pytest.approx(seconds)


def in_seconds(moment: datetime) -> str:
    return str(int(moment.timestamp()))


def in_milliseconds(moment: datetime) -> str:
    return str(int(moment.timestamp() * 1000))


@pytest.mark.parametrize(
    ("limit", "moment"),
    [
        ("anthropic_ratelimit_requests", datetime.isoformat),
        ("x_ratelimit", in_milliseconds),
        ("x_ratelimit", in_seconds),
    ],
    ids=["a date", "milliseconds", "seconds"],
)
def test_a_moment_at_which_a_limit_begins_anew_is_waited_for(limit: str, moment: Callable[[datetime], str]) -> None:
    at = moment(hour_ahead())
    for headers in ({f"{limit}_remaining": "0", f"{limit}_reset": at}, {"retry_after": at}):
        asked = classify(openai_error(429, {}, **headers)).wait
        assert asked is not None
        assert AHEAD - 60 < asked <= AHEAD + 1


@pytest.mark.parametrize("value", ["2026-13-01T99:00:00", "build 3s-a", "5 apples 3s", "v1.5m-beta"])
def test_a_text_that_only_contains_a_duration_is_no_wait(value: str) -> None:
    assert classify(openai_error(429, {}, retry_after=value)).wait is None


MESSAGES: dict[str, tuple[Exception, str]] = {
    "openai": (openai_error(429, {"error": {"message": "Rate limit reached"}}), "Rate limit reached"),
    "anthropic": (
        anthropic.APIStatusError(
            "Error code: 400 - {'x'}", response=response(400), body={"error": {"message": "too big"}}
        ),
        "too big",
    ),
    "bedrock": (wrapped(bedrock("ThrottlingException", 429, "Too many tokens")), "Too many tokens"),
    "gemini": (gemini(503, "UNAVAILABLE", "The model is overloaded."), "The model is overloaded."),
    "mistral": (
        made(
            "SDKError",
            "mistralai",
            "API error occurred: Status 429. Body: {",
            status_code=429,
            body='{"message": "slow"}',
        ),
        "slow",
    ),
    "a handler's": (ValueError("no such customer"), "no such customer"),
    "a key": (KeyError("customer"), "KeyError: 'customer'"),
    "nothing": (RuntimeError(), "RuntimeError"),
    "a connection's": (
        wrapped(untrusted),
        f"Connection error: {NO_TRUST}",
    ),
    "a connection's of Ollama's client": (hidden, f"{CONNECTION_ERROR_MESSAGE}: {NO_TRUST}"),
    "a connection's that was given up": (
        given_up := openai.APIConnectionError(request=REQUEST),
        "Connection error: slow",
    ),
    "a connection's without a cause": (openai.APIConnectionError(request=REQUEST), "Connection error."),
}
given_up.__cause__ = httpx.ConnectError("slow")
given_up.__cause__.__cause__ = asyncio.CancelledError("Cancelled via a cancel scope")


@pytest.mark.parametrize(("error", "text"), MESSAGES.values(), ids=MESSAGES)
def test_the_text_is_the_providers_message(error: Exception, text: str) -> None:
    assert message_of(error) == text


def test_the_providers_own_code_stands_beside_ours() -> None:
    assert classify(bedrock("ThrottlingException", 429)).provider_code == "ThrottlingException"
    assert (
        classify(openai_error(400, {"error": {"code": "context_length_exceeded"}})).provider_code
        == "context_length_exceeded"
    )
    assert classify(gemini(503, "UNAVAILABLE")).provider_code == "UNAVAILABLE"
    assert classify(ValueError("x")).provider_code is None


def refuse(*_: object) -> Any:
    raise RuntimeError("it does not want to be looked at")


def hostile() -> Exception:
    kind: type[Exception] = type("Hostile", (Exception,), {"__getattribute__": refuse, "__str__": refuse})
    return kind()


def deep() -> Exception:
    error: Any = ValueError("x")
    for _ in range(5000):
        error = ExceptionGroup("x", [error])
    return error


def ring() -> Exception:
    first, second = ValueError("1"), ValueError("2")
    first.__cause__, second.__cause__ = second, first
    assert list(causes(first)) == [first, second]
    return first


@pytest.mark.parametrize(
    "make",
    [
        hostile,
        deep,
        ring,
        KeyboardInterrupt,
        lambda: made("X", "openai", status_code=float("nan"), response=object(), body=b"\xff{"),
        lambda: made("X", "openai", response=lambda: 1, headers=7, body=["x"]),
        lambda: made("X", "openai", status_code=429, body="[" * 60_000),
        lambda: made("X", "openai", status_code=429, _text="retry in " + "9" * 100_000),
        lambda: openai_error(429, {}, retry_after="1e400", retry_after_ms="nan"),
    ],
    ids=range(9),
)
def test_classifying_never_fails(make: Callable[[], BaseException]) -> None:
    error = make()
    known = classify(error)
    assert known.wait is None or 0 <= known.wait <= 86_400
    assert isinstance(known.code, ErrorCode)
    assert isinstance(message_of(error), str)
