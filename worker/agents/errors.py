"""Errors of an agent's run."""

from contextlib import suppress

from worker.words.classification import classify, message_of
from worker.words.error_codes import ErrorCode
from worker.words.errors import ModuleException
from worker.words.providers import ProviderState

UNAVAILABLE = 503  # the HTTP status reported for a broken connection


class AgentFailed(ModuleException):
    """The agent's run ended in an error.

    The description is the provider's own message and ``__cause__`` the original exception. The status code is the
    provider's, so that retry decisions follow the provider's response; an error without one is final.
    """

    status = 422

    def __init__(self, description: str | None = None, cause: BaseException | None = None) -> None:
        super().__init__(status_of(cause), description)
        self.__cause__ = cause
        if cause is None:
            self.error_code = ErrorCode.Handler


class FailedStep(AgentFailed):
    """A step of a workflow failed.

    Args:
        step: The step's name.
        cause: The exception behind the failure, if known.
        said: The error's text if there is no exception.
    """

    def __init__(self, step: str | None, cause: BaseException | None, said: str) -> None:
        self.why = said if cause is None else message_of(cause)
        super().__init__(f"Step {step!r} failed: {self.why}", cause)

    def __str__(self) -> str:
        return self.description


class FailedTool(Exception):  # noqa: N818 - named after the event
    """A tool failure that ended a run; most tool failures are reported to the model and end nothing."""

    error_code = ErrorCode.Tool


def failed_tool(error: Exception) -> Exception:
    """Return the error that ends a run after a tool failed: the tool's own if it is classified, else ``FailedTool``."""
    if classify(error).code is not ErrorCode.Handler:
        return error
    failed = FailedTool(message_of(error))
    failed.__cause__ = error
    return failed


class ResultInvalid(ModuleException):
    """The agent's result does not have the requested form, even after one repair.

    Args:
        problem: What does not match, and where.
        content: The result that the agent returned.
    """

    status = 422
    error_code = ErrorCode.ResultInvalid

    def __init__(self, problem: str, content: str) -> None:
        super().__init__(None, f"The result does not have the requested format: {problem}")
        self.problem = problem
        self.content = content


def status_of(cause: BaseException | None) -> int | None:
    """Return the HTTP status code for an exception; None if no status applies."""
    if cause is None:
        return None
    known = classify(cause)
    return known.status or (UNAVAILABLE if known.is_retryable else None)


def ensure_message(error: BaseException) -> None:
    """Give an error without a message that of its cause, or else a class name such as httpx's ``ReadError``.

    Agno reports an error by its message alone; without one, neither the cause nor whether to retry could be determined.
    """
    from agno.exceptions import AgnoError

    with suppress(Exception):  # converting a third-party exception to text may raise anything
        if not str(error):
            words = message_of(error.__cause__ or error)
            error.args = (words,)
            if isinstance(error, AgnoError):
                error.message = words


def provider_is_away(state: ProviderState) -> Exception:
    """Return the error that replaces a call to an unavailable provider. Its type makes Agno try other models."""
    from agno.exceptions import ModelProviderError

    status = 429 if state.error_code in {ErrorCode.Quota, ErrorCode.RateLimited} else UNAVAILABLE
    error = ModelProviderError(f"{state.id} is unavailable: {state.message}", status_code=status)
    error.is_prevented_call = True  # pyright: ignore[reportAttributeAccessIssue] # checked by is_prevented_call
    return error


def is_prevented_call(error: BaseException) -> bool:
    """Return whether an error stands for a call that was not made."""
    return bool(getattr(error, "is_prevented_call", False))
