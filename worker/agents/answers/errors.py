"""Errors of model answers: broken off, empty, withheld, unreadable, or replaced by a provider's error."""

from collections.abc import Iterator
from functools import partial
from json import JSONDecodeError
from types import FrameType
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from worker.words.classification import message_of
from worker.words.error_codes import UNREADABLE, ErrorCode
from worker.words.error_facts import LIBRARIES, facts_of
from worker.words.finish import FinishReason

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

SUCCESS = 200  # HTTP
BAD_GATEWAY = 502  # HTTP: an invalid response
GATEWAY_TIMEOUT = 504  # HTTP: a server that does not answer
SHOWN_CHARACTERS = 200  # of an unreadable response in an error message
ERROR_FIELDS = ("code", "type", "status", "message", "param")  # of a provider's error object
_ARGUMENTS = "Unable to parse tool parameter JSON"  # start of the message of Anthropic's client
UNPROCESSABLE = 422  # HTTP: the request is understood but will not be answered; a retry changes nothing


CODES: dict[FinishReason, ErrorCode] = {
    FinishReason.ContentFilter: ErrorCode.ContentFilter,
    FinishReason.Refusal: ErrorCode.ContentFilter,
    FinishReason.ContextLength: ErrorCode.ContextLength,
    FinishReason.Length: ErrorCode.Limit,
    FinishReason.ToolLimit: ErrorCode.Limit,
    FinishReason.ToolLoop: ErrorCode.Limit,
}
"""Error codes of answers that are not accepted; a retry would not change the outcome."""


class AnswerError(Exception):
    """A model gave no valid answer.

    Args:
        text: A description of the problem.
        code: The provider's own reason; empty if it gave none.
        reason: Why the answer ended, if it did.
    """

    error_code: ErrorCode | None = ErrorCode.InvalidResponse
    status_code: int | None = BAD_GATEWAY

    def __init__(self, text: str, code: str = "", reason: FinishReason | None = None) -> None:
        super().__init__(text)
        self.code = code
        self.reason = reason


class BrokenOff(AnswerError):  # noqa: N818 - the name describes the answer
    """A stream ended before its answer was complete."""

    error_code = ErrorCode.Unavailable


class EmptyAnswer(AnswerError):  # noqa: N818 - the name describes the answer
    """The answer contains neither text nor anything else."""


class NotAccepted(AnswerError):  # noqa: N818 - the name describes the answer
    """The answer is incomplete, and the handler's policy asks for another attempt."""


class Withheld(AnswerError):  # noqa: N818 - the name describes the answer
    """The provider or its model declined to answer or cut the answer short, and a retry would not change that."""

    error_code = ErrorCode.ContentFilter
    status_code = UNPROCESSABLE

    def __init__(self, text: str, code: str = "", reason: FinishReason | None = None) -> None:
        super().__init__(text, code, reason)
        self.error_code = CODES.get(reason, ErrorCode.InvalidResponse) if reason is not None else self.error_code


class ProviderFailed(AnswerError):  # noqa: N818 - the name describes the answer
    """The provider returned an error instead of an answer.

    Args:
        text: The provider's message.
        body: The provider's error object, by which it is classified.
        response: The response, if its status and headers tell more.
    """

    def __init__(self, text: str, body: dict[str, Any] | None = None, response: Any = None) -> None:
        super().__init__(text)
        self.body = body or {}
        self.response = response
        is_told = bool(body) or response is not None
        self.error_code = None if is_told else ErrorCode.Unavailable
        self.status_code = None if is_told else BAD_GATEWAY


class UnreadableAnswer(AnswerError):  # noqa: N818 - the name describes the answer
    """The response is not in the provider's format: a proxy's page, or JSON with another structure.

    Args:
        response: The response.
        error: The error that parsing raised.
        what: The part that cannot be parsed.
    """

    def __init__(
        self, response: Any, error: BaseException | None = None, what: str = "The provider's response"
    ) -> None:
        shown = response if isinstance(response, str) else message_of(error) if error is not None else type(response)
        super().__init__(f"{what} cannot be parsed: {str(shown)[:SHOWN_CHARACTERS]}")


def failed(error: Any) -> ProviderFailed:
    """Return the error for a provider's error object or message."""
    if isinstance(error, str):
        return ProviderFailed(error, {"message": error})
    read = error.get if isinstance(error, dict) else partial(getattr, error)
    body = {name: each for name in ERROR_FIELDS if (each := read(name, None)) not in (None, "")}
    if body.get("type") == "error":  # the type of the event, not of the error
        del body["type"]
    return ProviderFailed(str(body.get("message") or "The provider failed without giving a reason."), body)


def unreadable_in(error: BaseException) -> AnswerError | None:
    """Return the error for a response that is not an answer, if a client's or Agno's exception indicates one.

    Some clients pass on a proxy's page as plain text, in which Agno then looks for an answer's fields; others validate
    JSON against a model of their own, errors included; others fail while they describe the provider's error.
    """
    for each in (error, error.__cause__, error.__context__):
        if isinstance(each, AttributeError) and isinstance(each.obj, str | bytes):
            return UnreadableAnswer(each.obj)
        if isinstance(each, AttributeError) and _is_of_enum(each):  # google-genai's: a reason that is not a string
            return UnreadableAnswer(None, each)
        if isinstance(each, ValidationError) and "Request" not in each.title and _is_of_client(each):
            return _error_among(each.errors(include_url=False)) or UnreadableAnswer(None, each)
        if isinstance(each, JSONDecodeError) and _is_of_client(each):
            return UnreadableAnswer(each.doc or None, each)
        is_unreadable = isinstance(each, RecursionError) or str(each).startswith(_ARGUMENTS)
        if isinstance(each, ValueError | RecursionError) and is_unreadable and _is_of_client(each):
            return UnreadableAnswer(None, each)
        if isinstance(each, TypeError | AttributeError | RuntimeError) and (undescribed := _undescribed(each)):
            return undescribed
    found = (_unreadable(each) for each in (error, error.__cause__) if each is not None and _is_of_client(each))
    return next((each for each in found if each is not None), None)


def _unreadable(error: BaseException) -> UnreadableAnswer | None:
    """Return the error for a client's exception about a response that it cannot parse, or does not expect."""
    if {each.__name__ for each in type(error).__mro__} & UNREADABLE:
        return UnreadableAnswer(None, error)
    body = getattr(error, "body", None)
    is_success = getattr(error, "status_code", None) == SUCCESS
    says: Any = facts_of(error).body
    is_error = says.get("error") or says.get("object") == "error"  # by which the exception is classified
    return UnreadableAnswer(body) if is_success and isinstance(body, str) and not is_error else None


def _error_among(mismatches: "list[ErrorDetails]") -> ProviderFailed | None:
    """Return the provider's error if that is what did not fit a client's model of an answer."""
    for each in mismatches:
        found: Any = each["input"]
        if isinstance(found, dict) and found.get("object") == "error":  # Mistral
            return failed(found)
        if isinstance(found, dict) and found.get("error"):
            return failed(found["error"])
    return None


def _undescribed(error: BaseException) -> ProviderFailed | None:
    """Return the provider's error if a client failed while it created its own exception for that error."""
    for frame in _frames(error):
        made = frame.f_locals.get("self")
        if frame.f_code.co_name == "__init__" and isinstance(made, BaseException) and _is_of_library(frame):
            given = frame.f_locals
            if isinstance(given.get("error"), dict):
                return failed(given["error"])
            return ProviderFailed("The provider gave an error without a message.", response=given.get("raw_response"))
    return None


def _is_of_enum(error: BaseException) -> bool:
    """Return whether a client's enum raised the error as it looked up a value."""
    return any(frame.f_code.co_name == "_missing_" and _is_of_library(frame) for frame in _frames(error))


def _is_of_client(error: BaseException) -> bool:
    """Return whether a provider's client raised the error, rather than the user's code."""
    return any(map(_is_of_library, _frames(error)))


def _is_of_library(frame: FrameType) -> bool:
    return str(frame.f_globals.get("__name__", "")).partition(".")[0] in LIBRARIES


def _frames(error: BaseException) -> Iterator[FrameType]:
    trace = error.__traceback__
    while trace is not None:
        yield trace.tb_frame
        trace = trace.tb_next


class SilentModel(AnswerError):  # noqa: N818 - the name describes the answer
    """A model sent nothing for too long.

    Args:
        seconds: Duration of the silence.
    """

    error_code = ErrorCode.Timeout
    status_code = GATEWAY_TIMEOUT

    def __init__(self, seconds: float) -> None:
        super().__init__(f"The model sent no output for {seconds:g} seconds.")
