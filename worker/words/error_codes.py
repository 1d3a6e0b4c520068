"""Error codes as used in tasks, events, pages and webhooks, and the providers' names and phrases that map to them."""

import re
from enum import StrEnum


class ErrorCode(StrEnum):
    """The kind of an error, in one word.

    ``rate_limited``, ``overloaded``, ``unavailable``, ``timeout`` and ``invalid_response`` are transient and retried.
    ``quota`` and ``auth`` last until somebody pays or corrects a key. The others are problems of the task itself.
    """

    RateLimited = "rate_limited"
    Overloaded = "overloaded"
    Unavailable = "unavailable"
    Timeout = "timeout"
    InvalidResponse = "invalid_response"
    Quota = "quota"
    Auth = "auth"
    InvalidRequest = "invalid_request"
    ContextLength = "context_length"
    ContentFilter = "content_filter"
    Tool = "tool"
    ResultInvalid = "result_invalid"
    Handler = "handler"
    Crash = "crash"
    Limit = "limit"
    Unanswered = "unanswered"


TRANSIENT = frozenset(
    {
        ErrorCode.RateLimited,
        ErrorCode.Overloaded,
        ErrorCode.Unavailable,
        ErrorCode.Timeout,
        ErrorCode.InvalidResponse,
    }
)
"""Codes of errors that a retry may resolve."""

OUTAGES = frozenset({ErrorCode.Overloaded, ErrorCode.Unavailable, ErrorCode.Timeout})
"""Codes that mean the provider is down for every caller."""

BLOCKED = frozenset({ErrorCode.Quota, ErrorCode.Auth})
"""Codes that mean the provider refuses every request with this key."""

FINAL_STATUSES = frozenset({501, 505})
"""The only 5xx statuses that a retry cannot change."""

STATUSES = {
    401: ErrorCode.Auth,
    402: ErrorCode.Quota,
    403: ErrorCode.Auth,
    407: ErrorCode.Auth,
    408: ErrorCode.Timeout,
    409: ErrorCode.Unavailable,
    413: ErrorCode.ContextLength,
    423: ErrorCode.Unavailable,
    424: ErrorCode.Unavailable,  # Bedrock's ModelErrorException, Hugging Face's GenerationError
    425: ErrorCode.Unavailable,
    429: ErrorCode.RateLimited,
    498: ErrorCode.Overloaded,  # Groq's flex tier
    499: ErrorCode.Unavailable,  # Google's CANCELLED
    501: ErrorCode.InvalidRequest,
    504: ErrorCode.Timeout,
    505: ErrorCode.InvalidRequest,
    524: ErrorCode.Timeout,  # Cloudflare's
    529: ErrorCode.Overloaded,  # Anthropic's
}
"""Codes by HTTP status; any other 4xx is an invalid request, any other 5xx an unavailable service."""


def of_status(status: int) -> ErrorCode:
    """Return the code that an HTTP error status implies."""
    return STATUSES.get(status) or (ErrorCode.Unavailable if status >= 500 else ErrorCode.InvalidRequest)  # noqa: PLR2004 - HTTP: the server's fault


NAMES = {
    ErrorCode.Quota: """
        insufficient_quota billing_error billing_hard_limit_reached billing_not_active quota_exceeded
        insufficient_credits insufficient_balance insufficient_funds exceeded_current_quota_error
        payment_required arrearage
        service_quota_exceeded credit_balance_too_low credits_exhausted budget_exceeded payment_required_error
        """,
    ErrorCode.ContextLength: """
        context_length_exceeded context_window_exceeded model_context_window_exceeded string_above_max_length
        request_too_large input_too_long prompt_too_long max_context_length_exceeded
        """,
    ErrorCode.ContentFilter: """
        content_filter content_policy_violation responsible_ai_policy_violation image_content_policy_violation
        moderation_blocked safety prohibited_content guardrail_intervened content_filtered
        """,
    ErrorCode.Auth: """
        invalid_api_key incorrect_api_key authentication permission permission_denied access_denied unauthenticated
        unauthorized unrecognized_client invalid_signature signature_does_not_match expired_token
        invalid_client_token_id missing_authentication_token api_key_invalid api_key_expired account_deactivated
        forbidden invalid_auth
        model_authentication organization_deactivated no_credentials partial_credentials token_retrieval
        unauthorized_sso_token auth_error default_credentials refresh invalid_authentication service_disabled
        api_key_service_blocked
        """,
    ErrorCode.RateLimited: """
        rate_limit rate_limit_exceeded rate_limited model_rate_limit throttling throttled too_many_requests
        request_limit_exceeded resource_exhausted provisioned_throughput_exceeded user_rate_limit_exceeded
        tokens_limit_exceeded requests_limit_exceeded throttling_rate_quota
        """,
    ErrorCode.Overloaded: """
        overloaded engine_overloaded server_overloaded model_overloaded model_not_ready slow_down
        service_tier_capacity_exceeded capacity_exceeded over_capacity no_capacity model_at_capacity
        """,
    ErrorCode.Timeout: """
        timeout model_timeout deadline_exceeded gateway_timeout request_timeout api_timeout connect_timeout
        read_timeout write_timeout pool_timeout server_timeout socket_timeout connection_timeout stream_timeout
        """,
    ErrorCode.Unavailable: """
        server internal_server api internal internal_failure service_unavailable unavailable backend bad_gateway
        upstream model_stream model provider remote_server_unavailable aborted unknown generation
        incomplete_generation vector_store_timeout internal_service upstream_connection
        """,
    ErrorCode.InvalidRequest: """
        invalid_request not_found model_not_found validation resource_not_found invalid_argument failed_precondition
        invalid_prompt bad_request unprocessable_entity unsupported invalid_value invalid_image http_validation
        unsupported_value out_of_range unimplemented tool_use_failed json_validate_failed model_decommissioned
        """,
}
"""Error names of providers, clouds and their libraries; see ``plain_name`` for how they are compared."""


def plain_name(name: str) -> str:
    """Normalize an error's name: ``ThrottlingException``, ``throttling`` and ``THROTTLING`` become equal."""
    letters = re.sub(r"[^a-z0-9]", "", name[:200].lower())
    for ending in ("exception", "error"):
        letters = letters.removesuffix(ending)
    return letters


BY_NAME = {plain_name(each): code for code, names in NAMES.items() for each in names.split()}
"""Error codes by plain name."""

KEY_NAMES = frozenset(
    {
        *("invalidapikey", "incorrectapikey", "apikeyinvalid", "apikeyexpired", "missingauthenticationtoken"),
        *("unrecognizedclient", "invalidsignature", "signaturedoesnotmatch", "expiredtoken", "invalidclienttokenid"),
        *("accountdeactivated", "organizationdeactivated", "invalidauthentication"),
    }
)
"""The plain names among these that mean that the key itself is rejected, whatever the status."""

KEY_STATUSES = frozenset({400, 401})
"""Statuses of errors about a key that concern every request; Google's is 400."""

GENERIC = frozenset({ErrorCode.InvalidRequest, ErrorCode.Unavailable})
"""Codes so general that any other status or name is more specific."""

RANK = {code: rank for rank, code in enumerate(NAMES)}
"""The order of codes in ``NAMES``; if an error has several names, the lowest rank wins."""

CONNECTION_ERRORS = frozenset(
    {
        # httpx, and the clients of OpenAI, Anthropic, Groq, Cerebras, Together
        "NetworkError",
        "RemoteProtocolError",
        "ConnectError",
        "ReadError",
        "WriteError",
        "CloseError",
        "ProxyError",
        "APIConnectionError",
        # aiohttp
        "ClientConnectionError",
        "ClientPayloadError",
        "ServerDisconnectedError",
        "HttpProcessingError",
        # requests, urllib3, http.client
        "ConnectionError",
        "ChunkedEncodingError",
        "ProtocolError",
        "NewConnectionError",
        "MaxRetryError",
        "IncompleteRead",
        "IncompleteReadError",
        "RemoteDisconnected",
        "URLError",
        # botocore
        "HTTPClientError",
        "EndpointConnectionError",
        "ConnectionClosedError",
        "ResponseStreamingError",
        # azure-core, google-auth, anyio, the resolver
        "ServiceRequestError",
        "ServiceResponseError",
        "TransportError",
        "BrokenResourceError",
        "ClosedResourceError",
        "EndOfStream",
        "gaierror",
        *("SSLError", "SSLEOFError"),
        "SSLZeroReturnError",
        "NoResponseError",  # Mistral's
    }
)
"""Names of classes, base classes included, that mean a broken connection; by name, to import no library."""

TIMEOUTS = frozenset(
    {
        "TimeoutException",
        "APITimeoutError",
        "Timeout",
        "TimeoutError",
        "ServerTimeoutError",
        "ReadTimeout",
        "ReadTimeoutError",
        "ConnectTimeout",
        "ConnectTimeoutError",
        "PoolTimeout",
        "WriteTimeout",
        "ServiceRequestTimeoutError",
        "ServiceResponseTimeoutError",
    }
)
"""Names of classes, base classes included, that mean a timeout."""

INVALID_CALLS = frozenset(
    {"UnsupportedProtocol", "InvalidURL", "LocalProtocolError", "SSLCertVerificationError", "CertificateError"}
)
"""Names of classes of errors before anything is sent, such as a malformed URL or header; these are final."""

UNTRUSTED = "CERTIFICATE_VERIFY_FAILED"
"""OpenSSL's name for a certificate that is not trusted, in the texts of errors that wrap it."""

VAGUE = frozenset(
    {
        "Connection error.",  # OpenAI, Anthropic, Groq
        (
            "Failed to connect to Ollama. Please check that Ollama is downloaded, running and accessible."
            " https://ollama.com/download"
        ),
    }
)
"""Texts of clients about a failed connection, whose cause says more."""

UNREADABLE = frozenset(
    {
        "JSONDecodeError",
        "UnicodeDecodeError",
        *("DecodingError", "ContentDecodingError", "DecodeError"),  # httpx, requests, urllib3: not gzip, as declared
        "APIResponseValidationError",  # OpenAI, Anthropic
        "ResponseValidationError",  # Mistral
        "UnknownApiResponseError",  # Google
        "ParserError",  # botocore's, of an event stream
        "SSEError",  # Cohere's: the response is no event stream
    }
)
"""Names of classes that mean an unreadable answer, if a model's client raised them."""

WITHIN_STREAMS = frozenset({"APIError", "APIStatusError", "ResponseError", "EventStreamError", "ProviderFailed"})
"""Names of classes that the clients of OpenAI, Groq, Anthropic, Ollama and AWS raise, without a status, for an error
inside a stream with status 200; the last one is ours."""

QUOTA_PHRASES = (
    "insufficient_quota",
    "insufficient quota",
    "exceeded your current quota, please check your plan",
    "credit balance is too low",
    "insufficient credits",
    "insufficient balance",
    "insufficient funds",
    "requires more credits",
    "out of credits",
    "billing hard limit",
    "spending limit",
    "spend limit",
)
"""Phrases that providers use with status 429, 400 or 403 when a quota has to be paid for."""

PHRASES = {
    ErrorCode.ContextLength: (
        "context_length_exceeded",
        "context window",
        "maximum context length",
        "context length",
        "too many tokens",
        "input is too long",
        "input too long",
        "prompt is too long",
        "prompt too long",
        "token count exceeds",
        "exceeds the maximum number of tokens",
        "exceed context limit",
        "too many input tokens",
    ),
    ErrorCode.ContentFilter: (
        "content management policy",
        "content_filter",
        "content filter",
        "blocked by our safety",
        "content policy",
        "usage policies",
    ),
    ErrorCode.Auth: ("api key not valid", "invalid api key", "incorrect api key", "api key expired", "no api key"),
    ErrorCode.RateLimited: ("rate limit", "rate-limit", "rate_limit", "too many requests"),
    ErrorCode.Overloaded: ("overloaded", "over capacity", "at capacity", "high demand"),
}
"""Phrases in messages that identify a code if neither the status nor a name does."""
