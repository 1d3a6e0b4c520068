"""Errors of model answers: broken off, empty, withheld, unreadable, or replaced by a provider's error."""

from json import JSONDecodeError
from typing import Any

from pydantic import ValidationError

from worker.words.classification import message_of
from worker.words.error_codes import ErrorCode
from worker.words.error_facts import LIBRARIES
from worker.words.finish import FinishReason

BAD_GATEWAY = 502  # HTTP: an invalid response
GATEWAY_TIMEOUT = 504  # HTTP: a server that does not answer
SHOWN_CHARACTERS = 200  # of an unreadable response in an error message
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
    """

    def __init__(self, text: str, body: dict[str, Any] | None = None) -> None:
        super().__init__(text)
        self.body = body or {}
        self.error_code = None if body else ErrorCode.Unavailable
        self.status_code = None if body else BAD_GATEWAY


class UnreadableAnswer(AnswerError):  # noqa: N818 - the name describes the answer
    """The response is not in the provider's format: a proxy's page, or JSON with another structure.

    Args:
        response: The response.
        error: The error that parsing raised.
    """

    def __init__(self, response: Any, error: BaseException | None = None) -> None:
        shown = response if isinstance(response, str) else message_of(error) if error is not None else type(response)
        super().__init__(f"The provider's response cannot be parsed: {str(shown)[:SHOWN_CHARACTERS]}")


def unreadable_in(error: BaseException) -> UnreadableAnswer | None:
    """Return the error for a response that is not the provider's, if a client's or Agno's exception indicates one.

    Some clients pass on a proxy's page as plain text, in which Agno then looks for an answer's fields; others validate
    JSON against a model of their own.
    """
    for each in (error, error.__cause__, error.__context__):
        if isinstance(each, AttributeError) and isinstance(each.obj, str | bytes):
            return UnreadableAnswer(each.obj)
        if isinstance(each, ValidationError) and "Request" not in each.title and _is_of_client(each):
            return UnreadableAnswer(None, each)
        if isinstance(each, JSONDecodeError) and _is_of_client(each):
            return UnreadableAnswer(each.doc or None, each)
    return None


def _is_of_client(error: BaseException) -> bool:
    """Return whether a provider's client raised the error, rather than the user's code."""
    trace = error.__traceback__
    while trace is not None:
        if str(trace.tb_frame.f_globals.get("__name__", "")).partition(".")[0] in LIBRARIES:
            return True
        trace = trace.tb_next
    return False


class SilentModel(AnswerError):  # noqa: N818 - the name describes the answer
    """A model sent nothing for too long.

    Args:
        seconds: Duration of the silence.
    """

    error_code = ErrorCode.Timeout
    status_code = GATEWAY_TIMEOUT

    def __init__(self, seconds: float) -> None:
        super().__init__(f"The model sent no output for {seconds:g} seconds.")
