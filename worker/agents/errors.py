"""What can go wrong in an agent's run."""

from contextlib import suppress

from worker.words.classification import classify, message_of
from worker.words.error_codes import ErrorCode
from worker.words.errors import ModuleException
from worker.words.providers import ProviderState

UNAVAILABLE = 503  # what a broken connection is on the wire


class AgentFailed(ModuleException):
    """The agent's run ended in an error.

    The description is the provider's own message and ``__cause__`` the real exception. The status code is the
    provider's, so that what decides on another try sees what the provider said; an error that has none is final.
    """

    status = 422

    def __init__(self, description: str | None = None, cause: BaseException | None = None) -> None:
        super().__init__(status_of(cause), description)
        self.__cause__ = cause
        if cause is None:
            self.error_code = ErrorCode.Handler


class FailedTool(Exception):  # noqa: N818 - what happened
    """A tool's failure that ended a run; most are told to the model, and end nothing."""

    error_code = ErrorCode.Tool


def failed_tool(error: Exception) -> Exception:
    """What ended a run where a tool raised an error: one worth another try by itself."""
    if classify(error).code is not ErrorCode.Handler:
        return error
    failed = FailedTool(message_of(error))
    failed.__cause__ = error
    return failed


class ResultInvalid(ModuleException):
    """The agent's result does not have the form that was asked for, nor had its second try.

    Args:
        problem: What does not fit, and where.
        content: The result as the agent gave it.
    """

    status = 422
    error_code = ErrorCode.ResultInvalid

    def __init__(self, problem: str, content: str) -> None:
        super().__init__(None, f"The result does not have the form asked for: {problem}")
        self.problem = problem
        self.content = content


def status_of(cause: BaseException | None) -> int | None:
    """The status code that says on the wire what an exception says; none where it says nothing of the kind."""
    if cause is None:
        return None
    known = classify(cause)
    return known.status or (UNAVAILABLE if known.is_retryable else None)


def give_words(error: BaseException) -> None:
    """Give an error that has no text the name of what is behind it, such as httpx's ``ReadError``.

    Agno reports an error by its text alone; without one, nobody could tell what it was or whether to try again.
    """
    from agno.exceptions import AgnoError

    with suppress(Exception):  # the text of a foreign exception may be anything
        if not str(error):
            words = message_of(error.__cause__ or error)
            error.args = (words,)
            if isinstance(error, AgnoError):
                error.message = words


def provider_is_away(state: ProviderState) -> Exception:
    """What a model raises in place of a call that is not made, as Agno's own: it turns to its other models then."""
    from agno.exceptions import ModelProviderError

    status = 429 if state.error_code in {ErrorCode.Quota, ErrorCode.RateLimited} else UNAVAILABLE
    error = ModelProviderError(f"{state.id} is away: {state.message}", status_code=status)
    error.is_gate = True  # pyright: ignore[reportAttributeAccessIssue] # known again by this
    return error


def is_gate(error: BaseException) -> bool:
    """Whether it stands for a call that was not made."""
    return bool(getattr(error, "is_gate", False))
