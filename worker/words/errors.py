"""The exceptions of the framework. Most are a ``ModuleException``: a status code, as on the wire, and a sentence."""

from typing import Any, ClassVar

from worker.words.error_codes import ErrorCode
from worker.words.exception_groups import group_message

SHOWN_CHARACTERS = 1_000  # of a result quoted in an error


class ModuleException(Exception):  # noqa: N818 - the public name comes from the contract
    """The platform could not carry out the operation.

    Args:
        status_code: The corresponding HTTP status on the wire.
        description: One sentence for a person.
    """

    status: ClassVar[int] = 500
    error_code: ErrorCode | None = None  # set if the status does not imply the code

    def __init__(self, status_code: int | None = None, description: str | None = None) -> None:
        self.status_code = self.status if status_code is None else status_code
        self.description = description or (self.__doc__ or "").strip().split("\n")[0]
        super().__init__(self.description)

    def __str__(self) -> str:
        return f"{self.description} ({self.status_code})"

    def __reduce__(self) -> tuple[Any, ...]:
        return _recreate, (type(self), self.args, vars(self))


def _recreate(kind: type[ModuleException], args: tuple[Any, ...], fields: dict[str, Any]) -> ModuleException:
    """Recreate an unpickled error without calling its constructor: errors travel between processes."""
    error = kind.__new__(kind, *args)
    error.__dict__.update(fields)
    return error


class ValidationError(ModuleException):
    """The input is not valid, and nothing was stored."""

    status = 422

    def __init__(self, description: str | None = None, *, field: str | None = None) -> None:
        super().__init__(None, description)
        self.field = field


class NotFound(ModuleException):
    """The requested object does not exist."""

    status = 404

    def __init__(self, description: str | None = None) -> None:
        super().__init__(None, description)


class TaskNotFound(NotFound):
    """No task has this id."""

    def __init__(self, task_id: str) -> None:
        super().__init__(f"There is no task {task_id!r}.")
        self.task_id = task_id


class AgentNotFound(NotFound):
    """No agent has this id."""

    def __init__(self, agent_id: str) -> None:
        super().__init__(f"There is no agent {agent_id!r}.")
        self.agent_id = agent_id


class ToolNotFound(NotFound):
    """The agent has no such tool, or no live worker offers it."""

    def __init__(self, agent_id: str, tool: str) -> None:
        super().__init__(f"Agent {agent_id!r} has no tool {tool[:80]!r}, or no running worker offers it.")
        self.agent_id = agent_id
        self.tool = tool


class FileNotStored(NotFound):
    """No stored file has this reference."""

    def __init__(self, reference: str) -> None:
        super().__init__(f"There is no stored file {reference!r}.")
        self.reference = reference


class Conflict(ModuleException):
    """The current state does not allow this operation."""

    status = 409

    def __init__(self, description: str | None = None) -> None:
        super().__init__(None, description)


class LeaseLost(Conflict):
    """The attempt no longer owns the task, so its write was refused."""

    def __init__(self, task_id: str, attempt: int) -> None:
        super().__init__(f"Attempt {attempt} no longer owns task {task_id!r}. Nothing was changed.")
        self.task_id = task_id
        self.attempt = attempt


class ChildFailed(ModuleException):
    """A child task that a handler created and waited for did not complete.

    Args:
        task: The child task in its final state.
    """

    status = 424
    error_code = ErrorCode.Handler  # the child has used up its own tries, so retrying the parent changes nothing

    def __init__(self, task: Any) -> None:
        said = f": {task.result[:SHOWN_CHARACTERS]}" if task.result else ""
        super().__init__(None, f"Task {task.id} of agent {task.agent_id} ended as {task.status}{said}")
        self.task = task


class CutOff(LeaseLost):
    """The worker was cut off from the platform for as long as its lease, so another attempt may own the task.

    The last write may have been stored all the same.
    """

    def __init__(self, task_id: str, attempt: int) -> None:
        super().__init__(task_id, attempt)
        self.description = (
            f"The worker lost contact with the platform for the length of its lease; attempt {attempt} may no"
            f" longer own task {task_id!r}."
        )


class TooLarge(ModuleException):
    """The data exceeds the size limit."""

    status = 413
    error_code = ErrorCode.InvalidRequest

    def __init__(self, description: str | None = None) -> None:
        super().__init__(None, description)


class Unsupported(ModuleException):
    """The platform does not support this operation."""

    status = 501

    def __init__(self, what: str, platform: str) -> None:
        super().__init__(None, f"{platform} cannot {what}.")
        self.what = what


class Unavailable(ModuleException):
    """The platform is currently unavailable; try again later."""

    status = 503

    def __init__(self, description: str | None = None, *, retry_after: float | None = None) -> None:
        super().__init__(None, description)
        self.retry_after = retry_after  # seconds


ProviderUnreachableError = Unavailable
"""An alias for code written for xpander-sdk, which ends tasks with this error."""


class GiveUp(ModuleException):
    """The handler gives up on the event, which is set aside immediately and only retried manually."""

    status = 410

    def __init__(self, description: str | None = None) -> None:
        super().__init__(None, description)


class ConfigurationError(ModuleException):
    """The configuration or a handler is not valid; nothing was started."""

    status = 400
    error_code = ErrorCode.Handler

    def __init__(self, description: str | None = None) -> None:
        super().__init__(None, description)

    def __str__(self) -> str:
        return self.description


class TimeLimit(Exception):  # noqa: N818 - a limit, not a defect
    """The handler's time limit was reached.

    Args:
        seconds: The limit.
    """

    error_code = ErrorCode.Limit

    def __init__(self, seconds: float) -> None:
        super().__init__(f"time limit of {seconds:g} s")
        self.seconds = seconds


class Escaped(Exception):  # noqa: N818 - the name describes an event
    """User code exited with something other than an ``Exception``: ``sys.exit()``, Ctrl-C, a library's own class.

    Args:
        error: What it raised.
    """

    def __init__(self, error: BaseException) -> None:
        super().__init__(_farewell(error))


def _farewell(error: BaseException) -> str:
    code = getattr(error, "code", None) if isinstance(error, SystemExit) else None
    if isinstance(error, BaseExceptionGroup):
        return f"{type(error).__name__}: {group_message(error, _farewell)}"
    if isinstance(error, SystemExit) and (code is None or isinstance(code, int | str)):
        return f"the task's code called sys.exit({'' if code is None else repr(code)})"
    return described(error)


def described(error: BaseException) -> str:
    """Return an error's text prefixed with its class name; the class name alone if its methods raise."""
    kind = type(error).__name__
    try:
        said = str(error)
    except BaseException:  # noqa: BLE001 - user code may raise anything
        said = ""
    return f"{kind}: {said}" if said else kind
