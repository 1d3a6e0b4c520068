"""What went wrong, as a line for a person and an exit code for a script."""

import os
import sys
import traceback
from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

from worker.words.errors import ConfigurationError, ModuleException, ValidationError

FAILED = 1
WRONG_USAGE = 2
BROKEN_PIPE = 128 + 13  # what the shell shows of a program that SIGPIPE ended


@runtime_checkable
class UsageErrors(Protocol):
    """What typer raises of arguments that do not fit; where its class lives differs between versions."""

    exit_code: int

    def format_message(self) -> str:
        """Say in a sentence or two what does not fit."""
        ...


def report(error: Exception, *, command: str, with_traceback: bool) -> int | None:
    """Say on standard error what went wrong.

    Args:
        error: What a command raised.
        command: The command, where the error does not say it.
        with_traceback: Whether the reader wants to know where, too.

    Returns:
        The exit code; None means this is a defect of ours, to be raised with all that is known.
    """
    if isinstance(error, BrokenPipeError):
        _forget_output()
        return BROKEN_PIPE
    if isinstance(error, UsageErrors):
        where = getattr(getattr(error, "ctx", None), "command_path", command)
        message = error.format_message().strip().removesuffix(".").replace("Value error, ", "")
        if message:  # none: the help was asked for by leaving everything out, and has been shown
            _say(f"{where}: {message} (see {where} --help)")
        return WRONG_USAGE
    if not isinstance(error, ModuleException):
        return None
    if with_traceback:
        traceback.print_exception(error)
    else:
        _say(f"worker: {error.description}")
    return WRONG_USAGE if isinstance(error, ValidationError) else FAILED


def wants_traceback(options: Mapping[str, Any]) -> bool:
    """Whether ``--debug`` was given, or ``WORKER_LOG_LEVEL`` says the same."""
    return bool(options.get("debug")) or os.environ.get("WORKER_LOG_LEVEL", "").lower() == "debug"


def settings_problems(error: Any) -> list[str]:
    """One line a setting that does not fit: its name and why; never its value, which may be a secret.

    Args:
        error: pydantic's ``ValidationError`` from ``Settings()``.
    """
    return [f"{'.'.join(str(part) for part in each['loc'])}: {each['msg']}" for each in error.errors()]


def bad_settings(error: Any) -> ConfigurationError:
    """The same as an error that stops a command."""
    return ConfigurationError("\n".join(settings_problems(error)))


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def _forget_output() -> None:
    # else the interpreter fails once more when it flushes at its end
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
