"""Answers of models that are no answers: broken off, empty, withheld, unreadable, an error in place of one."""

from json import JSONDecodeError
from typing import Any

from pydantic import ValidationError

from worker.words.classification import message_of
from worker.words.error_codes import ErrorCode
from worker.words.error_facts import LIBRARIES
from worker.words.finish import FinishReason

BAD_GATEWAY = 502  # HTTP: an answer that is none
GATEWAY_TIMEOUT = 504  # HTTP: a server that does not answer
SHOWN_CHARACTERS = 200  # of what cannot be read
UNPROCESSABLE = 422  # HTTP: the request is understood and will not be answered; another try changes nothing


CODES: dict[FinishReason, ErrorCode] = {
    FinishReason.ContentFilter: ErrorCode.ContentFilter,
    FinishReason.Refusal: ErrorCode.ContentFilter,
    FinishReason.ContextLength: ErrorCode.ContextLength,
    FinishReason.Length: ErrorCode.Limit,
    FinishReason.ToolLimit: ErrorCode.Limit,
    FinishReason.ToolLoop: ErrorCode.Limit,
}
"""What an answer that is not accepted is as an error; another try would not change it."""


class AnswerError(Exception):
    """A model gave no answer that counts.

    Args:
        text: What is wrong, in words.
        code: The provider's own word; empty if it gave none.
        reason: Why the answer ended, where it did.
    """

    error_code: ErrorCode | None = ErrorCode.InvalidResponse
    status_code: int | None = BAD_GATEWAY

    def __init__(self, text: str, code: str = "", reason: FinishReason | None = None) -> None:
        super().__init__(text)
        self.code = code
        self.reason = reason


class BrokenOff(AnswerError):  # noqa: N818 - what became of an answer
    """A stream ended without the end of its answer."""

    error_code = ErrorCode.Unavailable


class EmptyAnswer(AnswerError):  # noqa: N818 - what became of an answer
    """The answer holds neither text nor anything else."""


class NotAccepted(AnswerError):  # noqa: N818 - what became of an answer
    """The answer is not whole, and its handler wants another try."""


class Withheld(AnswerError):  # noqa: N818 - what became of an answer
    """The provider or its model declined to answer, or cut it, and another try would change nothing."""

    error_code = ErrorCode.ContentFilter
    status_code = UNPROCESSABLE

    def __init__(self, text: str, code: str = "", reason: FinishReason | None = None) -> None:
        super().__init__(text, code, reason)
        self.error_code = CODES.get(reason, ErrorCode.InvalidResponse) if reason is not None else self.error_code


class ProviderFailed(AnswerError):  # noqa: N818 - what became of an answer
    """The provider reports an error where its answer should be.

    Args:
        text: Its message.
        body: The error as the provider has it, which says what it is.
    """

    def __init__(self, text: str, body: dict[str, Any] | None = None) -> None:
        super().__init__(text)
        self.body = body or {}
        self.error_code = None if body else ErrorCode.Unavailable
        self.status_code = None if body else BAD_GATEWAY


class UnreadableAnswer(AnswerError):  # noqa: N818 - what became of an answer
    """What came is no answer of the provider's: a page of a proxy, or JSON of another form.

    Args:
        response: What came.
        error: How reading it failed.
    """

    def __init__(self, response: Any, error: BaseException | None = None) -> None:
        shown = response if isinstance(response, str) else message_of(error) if error is not None else type(response)
        super().__init__(f"The provider's answer cannot be read: {str(shown)[:SHOWN_CHARACTERS]}")


def unreadable_in(error: BaseException) -> UnreadableAnswer | None:
    """What a client, or Agno, raises of an answer that is none of its provider's; None means it is something else.

    Some clients pass on a page that a proxy has sent as the text that it is, and Agno looks for an answer's fields in
    it; others hold JSON against a model of their own.
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
    """Whether a client of a provider has raised it, and not the user's code."""
    trace = error.__traceback__
    while trace is not None:
        if str(trace.tb_frame.f_globals.get("__name__", "")).partition(".")[0] in LIBRARIES:
            return True
        trace = trace.tb_next
    return False


class SilentModel(AnswerError):  # noqa: N818 - what became of an answer
    """A model said nothing for too long.

    Args:
        seconds: For how long.
    """

    error_code = ErrorCode.Timeout
    status_code = GATEWAY_TIMEOUT

    def __init__(self, seconds: float) -> None:
        super().__init__(f"The model said nothing for {seconds:g} seconds.")
