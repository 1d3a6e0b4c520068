"""Reporting of errors: a line for people, and an exit code for scripts."""

import os
import sys
import traceback
from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

from worker.words.errors import ConfigurationError, ModuleException, ValidationError

FAILED = 1
WRONG_USAGE = 2
BROKEN_PIPE = 128 + 13  # a shell's exit code for a program that SIGPIPE has ended


@runtime_checkable
class UsageErrors(Protocol):
    """The error that typer raises for invalid arguments. Its class is in different modules in different versions."""

    exit_code: int

    def format_message(self) -> str:
        """Describe the problem in a sentence or two."""
        ...


def report(error: Exception, *, command: str, with_traceback: bool) -> int | None:
    """Print an error to standard error.

    Args:
        error: The error that a command raised.
        command: The command, in case the error does not name it.
        with_traceback: Whether to print the traceback.

    Returns:
        The exit code; None if the error is a defect of this program, which the caller should raise.
    """
    if isinstance(error, BrokenPipeError):
        _forget_output()
        return BROKEN_PIPE
    if isinstance(error, UsageErrors):
        where = getattr(getattr(error, "ctx", None), "command_path", command)
        message = error.format_message().strip().removesuffix(".").replace("Value error, ", "")
        if message:  # empty if the help was shown because there were no arguments
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
    """Return whether ``--debug`` was given, or ``WORKER_LOG_LEVEL`` is ``debug``."""
    return bool(options.get("debug")) or os.environ.get("WORKER_LOG_LEVEL", "").lower() == "debug"


def bad_settings(error: Any) -> ConfigurationError:
    """Return an error that stops a command: a line for each invalid setting, without its value, which may be a secret.

    Args:
        error: pydantic's ``ValidationError`` from ``Settings()``.
    """
    problems = (f"{'.'.join(str(part) for part in each['loc'])}: {each['msg']}" for each in error.errors())
    return ConfigurationError("\n".join(problems))


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def _forget_output() -> None:
    # otherwise the interpreter would fail again when it flushes on exit
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
